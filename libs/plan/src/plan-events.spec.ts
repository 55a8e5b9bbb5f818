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

/** c has more than node 0 of any host. */
const tooLarge = Object.fromEntries(
  Object.entries({ large: 100, middle: 64, small: 600 }).map(([name, memoryMib]) => [
    name,
    { memoryMib, ...bound },
  ]),
);

/** Events that do no harm, at these times. */
const at = (...times: (string | number)[]): PlanEvent[] =>
  times.map((time) => ({ at: time, balloon: 'a', memoryMib: 200 }));

/** The plan with a guest of 200 MiB besides, which is outside in the beginning. */
function withNew(events: PlanEvent[]): GateVerdict {
  const flavours = Object.fromEntries(
    Object.entries({ large: 200, small: 64 }).map(([name, memoryMib]) => [
      name,
      { memoryMib, ...bound },
    ]),
  );
  return verdict(events, {
    flavours,
    guests: [
      { name: 'a', flavour: 'large', path: '/guests/0' },
      { name: 'b', flavour: 'large', path: '/guests/1' },
      { name: 'c', flavour: 'small', path: '/guests/2' },
      { name: 'new', flavour: 'large', count: 2, path: '/guests/3' },
    ],
    assignments: { kvm1: ['a', 'new-2'], kvm2: ['b'], kvm3: ['c'] },
  });
}

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

it('a guest comes from a host outside with all its memory, and leaves for one', () => {
  const arrived = withNew([{ 'migrate-in': 'new-1', to: 'kvm3' }]);
  expect(found(arrived)).toEqual([]);
  expect(pagesOf(arrived, 'kvm3', 'new-1')).toBe(200 * MIB);
  const full = withNew([{ 'migrate-in': 'new-1', to: 'kvm1' }]);
  expect(found(full)).toEqual([expect.stringMatching(/^ZW00[12] kvm1 /)]);
  const room = withNew([{ 'migrate-out': 'a' }, { 'migrate-in': 'new-1', to: 'kvm1' }]);
  expect(found(room)).toEqual([]);
  expect(['a', 'new-1'].map((name) => pagesOf(room, 'kvm1', name))).toEqual([0, 200 * MIB]);
  const back = verdict([{ 'migrate-out': 'a' }, { 'migrate-in': 'a', to: 'kvm3' }]);
  expect(pagesOf(back, 'kvm3', 'a')).toBe(200 * MIB);
});

it('a guest comes back to a host that it was on, as one guest', () => {
  const events: PlanEvent[] = [
    { migrate: 'a', to: 'kvm3' },
    { balloon: 'a', memoryMib: 50 },
    { migrate: 'a', to: 'kvm1' },
    { balloon: 'a', memoryMib: 100 },
  ];
  const returned = verdict(events);
  expect(found(returned)).toEqual([]);
  const [kvm1, , kvm3] = returned.hosts;
  expect(kvm1!.outcome.guests.map(({ name }) => name)).toEqual(['a']);
  expect([kvm1!.accounting.plannedMib, kvm3!.accounting.plannedMib]).toEqual([200, 264]);
  expect(pagesOf(returned, 'kvm1', 'a')).toBe(100 * MIB);
  expect(pagesOf(returned, 'kvm3', 'a')).toBe(0);
  expect(kvm1!.demand.events).toMatchObject([
    { event: 'stop', guest: 'a' },
    { event: 'incoming', guest: 'a' },
    { event: 'balloon', guest: 'a' },
  ]);
  const twice = verdict([...events.slice(0, 3), ...events.slice(0, 3)]);
  expect(found(twice)).toEqual([]);
  expect(pagesOf(twice, 'kvm1', 'a')).toBe(200 * MIB);
  // What is said of the guest holds whenever it is there.
  const half = verdict(events.slice(0, 3), { demand: { guests: { a: { touchPercent: 50 } } } });
  expect(pagesOf(half, 'kvm1', 'a')).toBe(100 * MIB);
});

it('a guest that comes back and finds no room is a finding about it', () => {
  const events: PlanEvent[] = [
    { boot: 'late-1' },
    { migrate: 'a', to: 'kvm3' },
    { boot: 'late-2' },
    { migrate: 'a', to: 'kvm1' },
  ];
  const full = verdict(events);
  expect(full.findings).toMatchObject([{ host: 'kvm1', place: { path: '/events/3' } }]);
  expect(JSON.stringify(full)).not.toMatch(/a\/2|zw\//);
});

it('a guest that was booted and stopped boots again', () => {
  const again = verdict([{ boot: 'late-1' }, { stop: 'late-1' }, { boot: 'late-1' }], {
    guests: [
      { name: 'a', flavour: 'large', path: '/guests/0' },
      { name: 'late-1', flavour: 'middle', path: '/guests/1' },
    ],
    assignments: { kvm1: ['a', 'late-1'] },
  });
  expect(found(again)).toEqual([]);
  expect(pagesOf(again, 'kvm1', 'late-1')).toBe(170 * MIB);
});

it('the packer leaves out who comes from outside', () => {
  const auto = verdict([{ 'migrate-in': 'late-2', to: 'kvm2' }, { stop: 'late-1' }], {
    assignments: 'auto',
    guests: [{ name: 'late', flavour: 'middle', count: 2, path: '/guests/0' }],
  });
  expect(auto.placements?.map(({ guest }) => guest)).toEqual(['late-1']);
  expect(pagesOf(auto, 'kvm2', 'late-2')).toBe(170 * MIB);
});

it('a plan of one host says nothing more of who comes from outside', () => {
  const one = verdict([{ 'migrate-in': 'c' }], {
    hosts: [{ name: 'kvm1', path: '/hosts/0', host: twoNodes() }],
    guests: [
      { name: 'a', flavour: 'large', path: '/guests/0' },
      { name: 'c', flavour: 'small', path: '/guests/1' },
    ],
    assignments: undefined,
  });
  expect(one.hosts[0]?.demand.events).toEqual([{ event: 'incoming', guest: 'c' }]);
  expect(pagesOf(one, 'kvm1', 'c')).toBe(64 * MIB);
});

it('events may say when in any words, and in order as numbers and times', () => {
  const orders = [
    ['night', 'morning', 'night', '23:00', '01:00'],
    [1, 'label', 1, 2.5],
    ['2027-01-01', 'label', '2027-01-01T00:00Z', '2027-01-01T10:00+02:00', '2027-01-01 08:00:00.5'],
  ];
  for (const order of orders) expect(found(verdict(at(...order)))).toEqual([]);
});

it('what an event causes points at the event, with the guest beside it', () => {
  const lost = verdict([{ stop: 'c' }, { at: 'night', lose: 'kvm1', to: { kvm2: ['a'] } }], {
    guests: [
      { name: 'a', flavour: 'large', path: '/guests/0' },
      { name: 'b', flavour: 'large', count: 2, path: '/guests/1' },
      { name: 'c', flavour: 'small', path: '/guests/2' },
    ],
    flavours: {
      large: { memoryMib: 200, ...bound },
      small: { memoryMib: 64, ...bound },
    },
    assignments: { kvm1: ['a'], kvm2: ['b'], kvm3: ['c'] },
  });
  expect(lost.findings).toMatchObject([{ host: 'kvm2', place: { path: '/events/1' } }]);
  const [finding] = lost.findings;
  const line = finding!.guest === 'a' ? '/guests/0' : '/guests/1';
  expect(finding!.related).toEqual([{ place: { path: line }, message: finding!.guest }]);
  const booted = verdict([{ boot: 'late-1' }, { at: 3, boot: 'late-2' }]);
  expect(booted.findings).toMatchObject([
    {
      ...{ code: 'oom-kill', guest: 'a', place: { path: '/events/1' } },
      related: [{ place: { path: '/guests/0' }, message: 'a' }],
    },
  ]);
  // A guest that boots where it is assigned fails by its own line, with the event beside it.
  const large = verdict([{ at: 3, boot: 'c' }], { flavours: tooLarge });
  expect(large.findings).toMatchObject([
    {
      ...{ code: 'failed-start', guest: 'c', place: { path: '/guests/2' } },
      related: [{ place: { path: '/events/0' }, message: '3: boot c' }],
    },
  ]);
  // Without an event there is the guest alone.
  const plain = verdict([], { assignments: { kvm1: ['a', 'b', 'c'] } });
  expect(plain.findings[0]?.place.path).toMatch(/^\/guests\//);
  expect(plain.findings[0]).not.toHaveProperty('related');
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
  ['a migration to where it is', [{ migrate: 'a', to: 'kvm1' }], 'plan-event /events/0/to'],
  [
    'a guest that comes from outside and is there',
    [{ stop: 'c' }, { 'migrate-in': 'a', to: 'kvm2' }],
    'plan-event /events/1/migrate-in',
  ],
  [
    'a guest that comes from outside and is assigned',
    [{ 'migrate-in': 'a', to: 'kvm2' }],
    'plan-event /events/0/migrate-in',
  ],
  [
    'a guest that has left',
    [{ 'migrate-out': 'a' }, { balloon: 'a', memoryMib: 50 }],
    'plan-event /events/1/balloon',
  ],
  ['a way in to nowhere', [{ 'migrate-out': 'a' }, { 'migrate-in': 'a' }], 'plan-event /events/1'],
  ['times in disorder', at('2027-01-02', '2027-01-01'), 'plan-event /events/1/at'],
  ['numbers in disorder', at(2, 10, 9), 'plan-event /events/2/at'],
  [
    'hours in disorder',
    at('2027-01-01T10:00+02:00', '2027-01-01T07:59Z'),
    'plan-event /events/1/at',
  ],
  ['numbers and times', at('2027-01-02', 3), 'plan-event /events/1/at'],
  ['a day that there is not', at('2027-02-30'), 'plan-event /events/0/at'],
  ['an hour that there is not', at('2027-02-03T25:00'), 'plan-event /events/0/at'],
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
