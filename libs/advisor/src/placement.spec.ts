import { host, planned, process, region } from '../test/builders';
import { applyPlacement, homeNodes, isPinned } from './placement';
import type { GuestSpec } from './types';

const twoNodes = host([{ mib: 512 }, { mib: 512 }]);
const first = (spec: GuestSpec, mode: GuestSpec['numatune']['mode'], nodeset: number[]) =>
  applyPlacement(spec, { mode, nodeset }, twoNodes).guest.regions[0];

test.each([
  ['strict', [1], { policy: { mode: 'bind', nodes: [1] }, cpusetMems: [1] }],
  ['preferred', [1], { policy: { mode: 'preferred', nodes: [1] } }],
  ['preferred', [0, 1], { policy: { mode: 'preferred_many', nodes: [0, 1] } }],
  ['interleave', [0, 1], { policy: { mode: 'interleave', nodes: [0, 1] } }],
  ['restrictive', [0], { policy: { mode: 'default', nodes: [] }, cpusetMems: [0] }],
  ['none', [], { policy: { mode: 'default', nodes: [] } }],
] as const)('%s on %j becomes what libvirt starts', (mode, nodeset, expected) => {
  const spec = planned('a', 64, 0, {
    numatune: { mode: 'none', nodeset: [] },
    region: { policy: { mode: 'default', nodes: [] } },
  });
  const placed = first(spec, mode, [...nodeset]);
  expect(placed).toMatchObject(expected);
  expect(placed?.cpusetMems).toEqual('cpusetMems' in expected ? expected.cpusetMems : undefined);
  expect(placed?.cpuNodes).toEqual([0]);
});

test('a guest that is not pinned gets the CPUs of its strict nodes, and it is said', () => {
  const spec = { ...planned('a', 64, 0), cpusPinned: false };
  const { guest, notes } = applyPlacement(spec, { mode: 'strict', nodeset: [1] }, twoNodes);
  expect(guest.regions[0]?.cpuNodes).toEqual([1]);
  expect(notes.map((note) => note.code)).toEqual(['cpu-affinity-follows-numatune']);
});

test('without an answer, CPUs on some of the nodes count as pinned and CPUs on all of them do not', () => {
  const spec = planned('a', 64, 0);
  delete spec.cpusPinned;
  expect(isPinned(spec, twoNodes)).toBe(true);
  const wide = planned('a', 64, 0, { region: { cpuNodes: [0, 1] } });
  delete wide.cpusPinned;
  expect(isPinned(wide, twoNodes)).toBe(false);
});

test('cells with nodes of their own keep them, the mode changes on all', () => {
  const spec: GuestSpec = {
    ...planned('a', 64, 0),
    guest: process('a', [region(32, 0), region(32, 1, { cell: 1 })]),
    numatune: { mode: 'preferred', nodeset: [0, 1] },
  } as GuestSpec;
  const { guest } = applyPlacement(spec, { mode: 'strict', nodeset: [0, 1] }, twoNodes);
  expect(guest.regions.map((r) => r.policy)).toEqual([
    { mode: 'bind', nodes: [0] },
    { mode: 'bind', nodes: [1] },
  ]);
  expect(guest.regions.map((r) => r.cpusetMems)).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

test('restrictive limits each cell to its own nodes, and unpinned CPUs follow each cell', () => {
  const spec: GuestSpec = {
    ...planned('a', 64, 0),
    guest: process('a', [region(32, 0), region(32, 1, { cell: 1 })]),
    cpusPinned: false,
  } as GuestSpec;
  const { guest } = applyPlacement(spec, { mode: 'restrictive', nodeset: [0, 1] }, twoNodes);
  expect(guest.regions.map((r) => r.cpusetMems)).toEqual([[0], [1]]);
  expect(guest.regions.map((r) => r.cpuNodes)).toEqual([[0], [1]]);
  expect(homeNodes(spec, twoNodes)).toEqual([0, 1]);
});

test('home is the nodeset, else the policy, else the CPUs', () => {
  expect(homeNodes(planned('a', 1, 0), twoNodes)).toEqual([0]);
  const bare = planned('a', 1, 1, { numatune: { mode: 'none', nodeset: [] } });
  expect(homeNodes(bare, twoNodes)).toEqual([1]);
  const free = planned('a', 1, 1, {
    numatune: { mode: 'none', nodeset: [] },
    region: { policy: { mode: 'default', nodes: [] }, cpuNodes: [1] },
  });
  expect(homeNodes(free, twoNodes)).toEqual([1]);
});

test('a memory device with a nodemask of its own stays where its document says', () => {
  const device = region(32, 1, { cell: 1, policy: { mode: 'bind', nodes: [1] } });
  const spec: GuestSpec = {
    ...planned('a', 64, 0),
    guest: process('a', [region(32, 0), device]),
    ownNodesCells: [1],
  } as GuestSpec;
  const { guest } = applyPlacement(spec, { mode: 'strict', nodeset: [0] }, twoNodes);
  expect(guest.regions[0]?.policy).toEqual({ mode: 'bind', nodes: [0] });
  expect(guest.regions[1]).toEqual(device);
  expect(homeNodes(spec, twoNodes)).toEqual([0]);
});

test.each([
  ['none', []],
  ['interleave', [0, 1]],
  ['preferred', [0, 1]],
] as const)('%s on %j draws an unpinned guest nowhere: it runs on all nodes', (mode, nodeset) => {
  const spec = {
    ...planned('a', 64, 0, { numatune: { mode: 'strict', nodeset: [0] } }),
    cpusPinned: false,
  };
  const { guest, notes } = applyPlacement(spec, { mode, nodeset: [...nodeset] }, twoNodes);
  expect(guest.regions[0]?.cpuNodes).toEqual([0, 1]);
  expect(notes.map(({ code }) => code)).toEqual(['cpu-affinity-follows-numatune']);
});

test('nothing is said of CPUs that stay where they were', () => {
  const spec = { ...planned('a', 64, 0, { region: { cpuNodes: [0, 1] } }), cpusPinned: false };
  const { notes } = applyPlacement(spec, { mode: 'none', nodeset: [] }, twoNodes);
  expect(notes).toEqual([]);
});
