import { host, MIB, planned } from '../test/builders';
import { checkPlan } from './check-plan';
import { compileReplay } from './compile';
import type { DemandProfile, GuestSpec, SimulationRequest } from './types';

/** Pinned to the CPUs of node 0, with the emulator on those of node 1; nothing says where its memory goes. */
const mover: GuestSpec = {
  ...planned('mover', 128, 0, {
    diskCachePages: 1000,
    numatune: { mode: 'none', nodeset: [] },
    region: { policy: { mode: 'default', nodes: [] } },
  }),
  emulatorNodes: [1],
};

const request = (
  demand: DemandProfile,
  over: Partial<SimulationRequest> = {},
): SimulationRequest => ({
  host: host([{ mib: 512 }, { mib: 512 }]),
  guests: [mover],
  demand,
  seed: 1,
  ...over,
});

const by = (event: 'boot' | 'incoming', over: Partial<SimulationRequest> = {}) =>
  checkPlan(request({ events: [{ event, guest: 'mover' }] }, over), {}).outcome;

test('memory that a migration brings is written from the CPUs of the emulator', () => {
  const pagesOf = (outcome: ReturnType<typeof by>) =>
    outcome.guests[0]?.pagesByNode.map(({ pages }) => pages);
  expect(pagesOf(by('boot'))).toEqual([128 * MIB, 0]);
  const arrived = by('incoming');
  expect(pagesOf(arrived)).toEqual([0, 128 * MIB]);
  // It is used from its vCPUs' node.
  expect(arrived.remoteShare).toBe(1);
  const bound = { numatune: { mover: { mode: 'strict' as const, nodeset: [0] } } };
  expect(pagesOf(by('incoming', bound))).toEqual([128 * MIB, 0]);
  const unpinned = { guests: [{ ...mover, cpusPinned: false }], ...bound };
  const [start] = compileReplay(
    request({ events: [{ event: 'incoming', guest: 'mover' }] }, unpinned),
  ).input.steps;
  expect(start).toMatchObject({ op: 'guest', guest: { regions: [{ cpuNodes: [0] }] } });
  const pinned = { pinning: { mover: { nodes: [0] } } };
  expect(pagesOf(by('incoming', pinned))).toEqual([128 * MIB, 0]);
});

test('a guest that a migration brings reads no disk', () => {
  const ops = (event: 'boot' | 'incoming') =>
    compileReplay(request({ events: [{ event, guest: 'mover' }] })).input.steps.map(({ op }) => op);
  expect(ops('boot')).toEqual(['guest', 'cache', 'settle']);
  expect(ops('incoming')).toEqual(['guest', 'settle']);
});

test('a violation names the event during which it happened', () => {
  const bound = (name: string, mib: number) =>
    planned(name, mib, 0, {
      numatune: { mode: 'strict', nodeset: [0] },
      region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
    });
  const guests = [bound('a', 300), bound('b', 100), bound('late', 300)];
  const events: DemandProfile['events'] = [
    { event: 'balloon', guest: 'b', memoryMib: 50 },
    { event: 'boot', guest: 'late' },
  ];
  const found = (of: SimulationRequest) =>
    checkPlan(of, {}).violations.map(({ code, event }) => ({ isDeath: code !== 'stall', event }));
  expect(found(request({ events }, { guests }))).toEqual([{ isDeath: true, event: 1 }]);
  const atOnce = found(request({ events: events.slice(0, 1) }, { guests }));
  expect(atOnce).toEqual([{ isDeath: true, event: undefined }]);
});
