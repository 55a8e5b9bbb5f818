import { MIB, host, planned, running } from '../test/builders';
import { compileReplay } from './compile';
import { AdvisorInputError } from './errors';
import type { SimulationRequest } from './types';

const twoNodes = host([{ mib: 1024 }, { mib: 1024, anonMib: 256 }]);
const request = (over: Partial<SimulationRequest> = {}): SimulationRequest => ({
  host: twoNodes,
  guests: [
    planned('a', 256, 0),
    planned('b', 128, 0, { diskCachePages: 1000 }),
    running('old', 256, 1, { 1: 256 }),
  ],
  demand: {},
  seed: 7,
  ...over,
});
const ops = (over: Partial<SimulationRequest> = {}) =>
  compileReplay(request(over)).input.steps.map((step) => step.op);

test('planned guests start in order, then their disks fill the cache, then one settle', () => {
  const { steps } = compileReplay(request()).input;
  expect(steps.map((step) => step.label)).toEqual([
    'a starts',
    'b starts',
    'disks of b',
    'after the last guest',
  ]);
  expect(steps[0]).toMatchObject({ op: 'guest', touchPages: [256 * MIB] });
  expect(steps[2]).toMatchObject({
    op: 'cache',
    file: 'disk:b',
    pages: 1000,
    cpuNode: 0,
    policy: { mode: 'preferred', nodes: [0] },
  });
});

test('sysctl overrides come first, background cache before the guests and settled', () => {
  expect(
    ops({
      sysctl: { zone_reclaim_mode: 1, min_free_kbytes: 9000 },
      demand: { backgroundCache: [{ node: 1, mib: 10 }] },
    }),
  ).toEqual(['sysctl', 'sysctl', 'cache', 'settle', 'guest', 'guest', 'cache', 'settle']);
});

test('touch percent, rate, disk cache and start order come from the demand profile', () => {
  const { steps } = compileReplay(
    request({
      demand: {
        touchPercent: 50,
        rateMibPerSecond: 2,
        startOrder: ['b'],
        guests: { a: { touchPercent: 25, diskCacheMib: 1 } },
      },
    }),
  ).input;
  expect(steps[0]).toMatchObject({ label: 'b starts', touchPages: [64 * MIB] });
  expect(steps[2]).toMatchObject({
    label: 'a starts',
    touchPages: [64 * MIB],
    ratePagesPerSecond: 512,
  });
  expect(steps[3]).toMatchObject({ file: 'disk:a', pages: 256 });
});

test('a running guest owns its pages and is in no step, also with an override', () => {
  const numatune = { old: { mode: 'strict' as const, nodeset: [0] } };
  const { input, assumptions } = compileReplay(request({ numatune }));
  expect(input.runningGuests).toHaveLength(1);
  expect(input.runningGuests[0]?.residency).toEqual([
    { cell: 0, nodeId: 1, pages: 256 * MIB, hugePages: 0 },
  ]);
  expect(input.runningGuests[0]?.regions[0]?.policy).toEqual({ mode: 'bind', nodes: [0] });
  expect(JSON.stringify(input.steps)).not.toContain('old');
  expect(assumptions.map((note) => note.code)).toContain('running-guest-stays');
});

test('disk cache of a strict guest is limited by its cpuset, not by the policy of its backends', () => {
  const numatune = { b: { mode: 'strict' as const, nodeset: [1] } };
  const { steps } = compileReplay(request({ numatune })).input;
  expect(steps[2]).toMatchObject({ policy: { mode: 'default', nodes: [] }, cpusetMems: [1] });
});

test('a request without any guest still settles once', () => {
  expect(ops({ guests: [] })).toEqual(['settle']);
});

test.each<[string, string, Partial<SimulationRequest>]>([
  ['unknown-sysctl', '/sysctl/vm.foo', { sysctl: { 'vm.foo': 1 } as never }],
  ['unknown-guest', '/numatune/x', { numatune: { x: { mode: 'strict', nodeset: [0] } } }],
  ['unknown-node', '/numatune/a/nodeset', { numatune: { a: { mode: 'strict', nodeset: [5] } } }],
  ['empty-nodeset', '/numatune/a/nodeset', { numatune: { a: { mode: 'strict', nodeset: [] } } }],
  ['unknown-mode', '/numatune/a/mode', { numatune: { a: { mode: 'x' as never, nodeset: [0] } } }],
  ['unknown-guest', '/demand/startOrder/0', { demand: { startOrder: ['old'] } }],
  ['duplicate-start', '/demand/startOrder', { demand: { startOrder: ['a', 'a'] } }],
  ['invalid-demand', '/demand/touchPercent', { demand: { touchPercent: 101 } }],
  ['invalid-demand', '/demand/rateMibPerSecond', { demand: { rateMibPerSecond: 0 } }],
  ['invalid-demand', '/demand/rateMibPerSecond', { demand: { rateMibPerSecond: 2 ** 26 + 1 } }],
  [
    'invalid-demand',
    '/demand/guests/a/diskCacheMib',
    { demand: { guests: { a: { diskCacheMib: 2 ** 26 + 1 } } } },
  ],
  [
    'invalid-demand',
    '/demand/backgroundCache/0/mib',
    { demand: { backgroundCache: [{ node: 0, mib: 2 ** 26 + 1 }] } },
  ],
  [
    'invalid-demand',
    '/guests/0/guest/regions/0/sizePages',
    { guests: [planned('a', 2 ** 26 + 1, 0)] },
  ],
  [
    'unknown-node',
    '/demand/backgroundCache/0/node',
    { demand: { backgroundCache: [{ node: 9, mib: 1 }] } },
  ],
  [
    'invalid-demand',
    '/demand/backgroundCache/0/mib',
    { demand: { backgroundCache: [{ node: 0, mib: -1 }] } },
  ],
  ['duplicate-guest', '/guests/1/guest/name', { guests: [planned('a', 1, 0), planned('a', 1, 0)] }],
])('%s at %s is refused', (code, path, over) => {
  const error: unknown = (() => {
    try {
      return compileReplay(request(over));
    } catch (caught) {
      return caught;
    }
  })();
  expect(error).toBeInstanceOf(AdvisorInputError);
  expect(error).toMatchObject({ code, path });
});
