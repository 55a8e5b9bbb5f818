import { judgePlan, type JudgeOutcome } from './judge';
import type { PlanDocument } from './plan-document';
import type { PlanEvent } from './plan-events';
import type { GateVerdict } from './verdict';
import { twoNodes } from './test/two-nodes';

const bound = { numatune: { mode: 'strict' as const, nodeset: '0' }, cpuset: '0-1' };

/** kvm1 and kvm2 with 200 MiB on node 0 each, kvm3 with 64; one more of 200 MiB fits on each, two do not. */
function judge(events: PlanEvent[], over: Partial<PlanDocument> = {}): JudgeOutcome {
  const hosts = ['kvm1', 'kvm2', 'kvm3'].map((name, i) => ({
    ...{ name, path: `/hosts/${i}` },
    host: twoNodes(),
  }));
  const guests = [
    { name: 'a', flavour: 'large', path: '/guests/0' },
    { name: 'b', flavour: 'large', path: '/guests/1' },
    { name: 'c', flavour: 'small', path: '/guests/2' },
    { name: 'late', flavour: 'middle', count: 2, path: '/guests/3' },
  ];
  const size = (memoryMib: number) => ({ memoryMib, ...bound });
  const flavours = { large: size(200), middle: size(170), small: size(64) };
  const assignments = { kvm1: ['a'], kvm2: ['b'], kvm3: ['c'] };
  const used = events.some(({ boot }) => boot !== undefined);
  return judgePlan(
    {
      hosts,
      guests: used ? guests : guests.slice(0, 3),
      flavours,
      assignments: used ? { ...assignments, kvm1: ['a', 'late'] } : assignments,
      events,
      ...over,
    },
    { today: '2027-01-01', modelVersion: '0' },
  );
}

function verdict(events: PlanEvent[], over: Partial<PlanDocument> = {}): GateVerdict {
  const outcome = judge(events, over);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}

const found = ({ findings }: GateVerdict): string[] =>
  findings.map(({ rule, host, guest }) => `${rule} ${host} ${guest ?? ''}`);

const pagesOf = ({ hosts }: GateVerdict, host: string, guest: string): number =>
  (hosts.find(({ name }) => name === host)?.outcome.guests ?? [])
    .filter(({ name }) => name === guest)
    .flatMap(({ pagesByNode }) => pagesByNode)
    .reduce((sum, { pages }) => sum + pages, 0);

const MIB = 256;

it('a migration leaves its memory on one host and touches it on the other', () => {
  const moved = verdict([{ at: 'Monday', migrate: 'a', to: 'kvm3' }]);
  expect(found(moved)).toEqual([]);
  expect(pagesOf(moved, 'kvm1', 'a')).toBe(0);
  expect(pagesOf(moved, 'kvm3', 'a')).toBe(200 * MIB);
  const twice = verdict([
    { migrate: 'a', to: 'kvm3' },
    { migrate: 'b', to: 'kvm3' },
  ]);
  expect(found(twice)).toEqual([expect.stringMatching(/^ZW00[12] kvm3 [abc]$/)]);
});

it('what has left makes room for what comes', () => {
  const events = [{ boot: 'late-1' }, { boot: 'late-2' }];
  expect(found(verdict(events))).toEqual([expect.stringMatching(/^ZW00[12] kvm1 /)]);
  expect(found(verdict([{ boot: 'late-1' }, { stop: 'a' }, { boot: 'late-2' }]))).toEqual([]);
});

it('a balloon gives memory to others, and takes it again', () => {
  const shrunk = verdict([{ balloon: 'a', memoryMib: 50 }]);
  expect(pagesOf(shrunk, 'kvm1', 'a')).toBe(50 * MIB);
  const room = [{ balloon: 'a', memoryMib: 20 }, { boot: 'late-1' }, { boot: 'late-2' }];
  expect(found(verdict(room))).toEqual([]);
  const back = verdict([...room, { balloon: 'a', memoryMib: 200 }]);
  expect(found(back)).toEqual([expect.stringMatching(/^ZW001 kvm1 /)]);
});

it('guests of a lost host boot where the plan says', () => {
  const spread = verdict([{ lose: 'kvm1', to: { kvm2: ['a'] } }]);
  expect(found(spread)).toEqual([]);
  expect(pagesOf(spread, 'kvm2', 'a')).toBe(200 * MIB);
  const onto = [
    { lose: 'kvm1', to: { kvm3: ['a'] } },
    { lose: 'kvm2', to: { kvm3: ['b'] } },
  ];
  expect(found(verdict(onto))).toEqual([expect.stringMatching(/^ZW00[12] kvm3 /)]);
});

it('hosts that see the same are replayed once, whatever their guests are called', () => {
  const alike = verdict([
    { at: 'first', balloon: 'a', memoryMib: 50 },
    { at: 'second', balloon: 'b', memoryMib: 50 },
  ]);
  expect(alike.hosts.map(({ sameAs }) => sameAs)).toEqual([undefined, 'kvm1', undefined]);
  expect(alike.hosts[1]?.demand.events).toMatchObject([{ event: 'balloon', guest: 'b' }]);
});

it.each<[string, PlanEvent[], string]>([
  ['an unknown guest', [{ stop: 'aa' }], 'unknown-guest /events/0/stop'],
  ['an unknown host', [{ migrate: 'a', to: 'kvm9' }], 'unknown-host /events/0/to'],
  ['a migration to nowhere', [{ migrate: 'a' }], 'plan-event /events/0'],
  ['a stop twice', [{ stop: 'a' }, { stop: 'a' }], 'plan-event /events/1/stop'],
  ['a stop before the boot', [{ stop: 'late-1' }, { boot: 'late-1' }], 'plan-event /events/0/stop'],
  ['a boot twice', [{ boot: 'late-1' }, { boot: 'late-1' }], 'plan-event /events/1/boot'],
  [
    'a way back',
    [
      { migrate: 'a', to: 'kvm2' },
      { migrate: 'a', to: 'kvm1' },
    ],
    'plan-event /events/1/to',
  ],
  ['a lost guest', [{ lose: 'kvm1' }], 'plan-event /events/0'],
  [
    'a guest of another host',
    [{ lose: 'kvm3', to: { kvm2: ['c', 'a'] } }],
    'plan-event /events/0/to/kvm2/1',
  ],
  [
    'a lost host that is needed',
    [
      { lose: 'kvm1', to: { kvm2: ['a'] } },
      { migrate: 'b', to: 'kvm1' },
    ],
    'plan-event /events/1/to',
  ],
  ['two things at once', [{ stop: 'a', boot: 'a' }], 'plan-event /events/0'],
  ['a balloon without size', [{ balloon: 'a' }], 'plan-event /events/0'],
  [
    'a balloon beyond the guest',
    [{ stop: 'b' }, { balloon: 'a', memoryMib: 999 }],
    'invalid-demand /events/1/memoryMib',
  ],
])('%s cannot be judged', (_what, events, problem) => {
  const outcome = judge(events);
  const problems = outcome.ok ? [] : outcome.problems.map(({ code, path }) => `${code} ${path}`);
  expect(problems).toContain(problem);
});
