import { MIB, host, planned } from '../test/builders';
import { advise } from './advise';
import type { AdviceRequest, GuestSpec, HostModel } from './types';

const strict = (name: string, mib: number, over: Parameters<typeof planned>[3] = {}): GuestSpec =>
  planned(name, mib, 0, {
    ...over,
    numatune: { mode: 'strict', nodeset: [0] },
    region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0], ...over.region },
  });

const evidenceOf = (request: Omit<AdviceRequest, 'seed' | 'demand'>) =>
  advise({ demand: {}, seed: 1, ...request }).evidence;

const fixedSysctls = ({ sysctl }: HostModel) => Object.keys(sysctl) as (keyof typeof sysctl)[];

test('guests bound to their node start first, where by size none of both orders keeps all of them', () => {
  const guests = [
    planned('a', 700, 0),
    planned('b', 300, 0),
    planned('c', 300, 0),
    strict('s', 450),
  ];
  const { baseline, advised } = evidenceOf({
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    guests,
    options: { constraints: { pinnedGuests: guests.map(({ guest }) => guest.name) } },
  });
  expect(baseline.outcome.oomKills).not.toEqual([]);
  expect(advised.startOrder).toEqual(['s', 'a', 'b', 'c']);
  expect(advised.outcome.oomKills).toEqual([]);
});

test('disk cache none alone, where guests moved out of the way of page cache would be remote for nothing', () => {
  const model = host([{ mib: 4096 }, { mib: 4096, anonMib: 3000 }]);
  const names = ['a', 'b', 'c'];
  const { baseline, advised } = evidenceOf({
    host: model,
    guests: names.map((name) => planned(name, 1400, 0, { diskCachePages: 1000 * MIB })),
    options: { constraints: { fixedSysctls: fixedSysctls(model) } },
  });
  expect(baseline.outcome.remoteShare).toBeGreaterThan(0.1);
  expect(advised.diskCache).toEqual({ a: 'none', b: 'none', c: 'none' });
  expect(advised.numatune).toEqual({});
  expect(advised.outcome.remoteShare).toBeLessThan(0.05);
});

test('a guest goes to a pool on another node with its pinned vCPUs', () => {
  const hugetlb = { sizeKib: 2048, reserve: true } as const;
  const { baseline, advised } = evidenceOf({
    host: host([{ mib: 2048, anonMib: 1900 }, { mib: 2048 }]),
    guests: [strict('a', 500, { region: { hugetlb } })],
  });
  expect(baseline.outcome.failedStarts).toEqual(['a']);
  expect(advised.numatune).toEqual({ a: { mode: 'strict', nodeset: [1] } });
  expect(advised.pinning).toEqual({ a: { nodes: [1] } });
  expect(advised.hugepages).toMatchObject([{ node: 1, sizeKib: 2048 }]);
  expect(advised.outcome).toMatchObject({ failedStarts: [], remoteShare: 0 });
});
