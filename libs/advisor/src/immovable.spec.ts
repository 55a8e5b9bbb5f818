import { host, planned, running } from '../test/builders';
import { immovable } from './immovable';
import type { GuestSpec } from './types';

const told = (guest: GuestSpec): string[] =>
  immovable({
    host: host([{ mib: 512 }, { mib: 512 }]),
    guests: [planned('new', 64, 0), guest],
    demand: {},
    seed: 1,
  }).map(({ message }) => message);

/** Running with CPUs on node 0 and the given policy node; 28 MiB local, 100 MiB on node 1. */
const away = (policyNode: number, over: { pinned?: boolean } = {}): GuestSpec => {
  const spec = running('db1', 128, 0, { 0: 28, 1: 100 });
  for (const region of spec.guest.regions) {
    region.policy = { mode: 'preferred', nodes: [policyNode] };
    region.pinned = over.pinned ?? false;
  }
  return spec;
};

test('pages that fell elsewhere need a restart or a migration', () => {
  expect(told(away(0))).toEqual([
    '100 MiB of db1 are on node 1, away from its CPUs; no setting moves pages that are already there, only a restart of the guest or a migration of its pages.',
  ]);
});

test('pages that the own numatune puts away from the CPUs would come back after a plain restart', () => {
  expect(told(away(1))[0]).toMatch(/only a restart with another numatune \(today's names node 1\)/);
});

test('pinned pages cannot be migrated', () => {
  const [message] = told(away(0, { pinned: true }));
  expect(message).toMatch(/already there and pinned, only a restart of the guest\.$/);
});

test.each(['restrictive', 'none'] as const)(
  'pages of a guest that was started %s follow another nodeset while it runs, as its route says',
  (mode) => {
    const spec = away(0);
    const nodeset = mode === 'none' ? [] : [0, 1];
    spec.numatune = { mode, nodeset };
    for (const region of spec.guest.regions) {
      region.policy = { mode: 'default', nodes: [] };
      if (mode === 'restrictive') region.cpusetMems = nodeset;
    }
    const restart =
      mode === 'restrictive'
        ? "a restart with another numatune (today's names node 1)"
        : 'a restart of the guest';
    expect(told(spec)).toEqual([
      '100 MiB of db1 are on node 1, away from its CPUs; of all settings only another nodeset while it runs ' +
        `(virsh numatune --live) moves pages that are already there, besides ${restart} or a migration of its pages.`,
    ]);
    for (const region of spec.guest.regions) region.pinned = true;
    expect(told(spec)[0]).toContain('no setting moves pages that are already there and pinned');
  },
);

test('an estimate is called one, and pages at home are not named', () => {
  const guess = { ...away(0), residencySource: 'estimated' } as GuestSpec;
  expect(told(guess)[0]).toContain('on node 1 (estimated)');
  expect(told(running('db1', 128, 0, { 0: 128 }))).toEqual([]);
});
