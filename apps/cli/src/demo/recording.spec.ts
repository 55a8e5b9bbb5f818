import type { Candidate, RecommendationContent } from '@zonewise/advisor';
import { recordingTable, type Recordings } from './recording';

const MIB_PAGES = 256;
const pages = (mib: number): [number, number, number] => [
  mib * MIB_PAGES,
  mib * MIB_PAGES,
  mib * MIB_PAGES,
];

/** Guest a, strict on node 0, as the kernel placed it. */
const recordings: Recordings = {
  recordings: [
    {
      ...{ setting: 'strict on node 0', plannedMode: 'strict', plannedNodes: [0] },
      ...{ zoneReclaimMode: 0, oomKills: 0 },
      guestPagesByNode: { a: { node0: pages(7), node1: pages(0) } },
      inactiveFilePagesByNode: { node0: pages(1), node1: pages(2) },
    },
  ],
};

function candidate(nodeset: number[], mib: number, change: Partial<Candidate> = {}): Candidate {
  const guest = { name: 'a', state: 'planned', mode: 'strict', nodeset };
  const pagesByNode = [{ nodeId: 0, pages: mib * MIB_PAGES }];
  return {
    ...{ id: 'c', sysctl: {}, numatune: { a: { mode: 'strict', nodeset } }, ...change },
    outcome: {
      guests: [{ ...guest, pagesByNode }],
      nodes: [0, 1].map((nodeId) => ({ nodeId, fileCachePages: 0 })),
    },
  } as unknown as Candidate;
}

/** What stands beside guest a on node 0: what the replay has, what the kernel did. */
function besideA(candidates: Candidate[]): string[] | undefined {
  const [baseline = candidate([], 0), advised = baseline, ...alternatives] = candidates;
  const evidence = { baseline, advised, alternatives };
  const table = recordingTable(recordings, { evidence } as unknown as RecommendationContent);
  return /strict on node 0 +a +(\d+) +(\d+)/.exec(table)?.slice(1);
}

test('a recording stands beside the replay of its own setting', () => {
  const others = [
    candidate([1], 1),
    candidate([0, 1], 2),
    candidate([0], 3, { pinning: { a: { nodes: [0] } } }),
    candidate([0], 4, { startOrder: ['a'] }),
    candidate([0], 5, { sysctl: { zone_reclaim_mode: 1 } }),
    candidate([0], 6, { sysctl: { min_free_kbytes: 1 } }),
  ] as Candidate[];
  expect(besideA([...others, candidate([0], 8)])).toEqual(['8', '7']);
});

test('a setting that was not replayed has no row', () => {
  expect(besideA([candidate([1], 1), candidate([0, 1], 2)])).toBeUndefined();
});
