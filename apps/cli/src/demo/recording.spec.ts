import type { Outcome } from '@zonewise/advisor';
import { recordingTable, simulationOf, type Recording } from './recording';

const MIB_PAGES = 256;
const pages = (least: number, most = least): [number, number, number] => [
  least * MIB_PAGES,
  least * MIB_PAGES,
  most * MIB_PAGES,
];

const recording: Recording = {
  ...{ setting: 'strict on node 0', plannedMode: 'strict', plannedNodes: [0] },
  ...{ zoneReclaimMode: 1, oomKills: 0 },
  guestPagesByNode: { a: { node0: pages(7), node1: pages(0) } },
  inactiveFilePagesByNode: { node0: pages(1, 3), node1: pages(2) },
};

test('a recording is replayed with its own settings', () => {
  expect(simulationOf(recording, ['a', 'b'])).toEqual({
    numatune: {
      a: { mode: 'strict', nodeset: [0] },
      b: { mode: 'strict', nodeset: [0] },
    },
    sysctl: { zone_reclaim_mode: 1 },
  });
});

test('replay and recording stand side by side, node by node', () => {
  const outcome = {
    guests: [{ name: 'a', pagesByNode: [{ nodeId: 0, pages: 8 * MIB_PAGES }] }],
    nodes: [4, 5].map((mib, nodeId) => ({ nodeId, fileCachePages: mib * MIB_PAGES })),
  } as Outcome;
  const rows = recordingTable([{ recording, outcome }])
    .split('\n')
    .slice(3)
    .map((line) => line.trim().split(/\s{2,}/));
  expect(rows).toEqual([
    ['strict on node 0', 'a', '8', '7', '0', '0'],
    ['page cache', '4', '1 to 3', '5', '2'],
  ]);
});
