import { host, planned, running } from '../test/builders';
import { advise } from './advise';
import { violation } from './constraints';
import { resolveDemand } from './demand';
import { Estimator } from './estimate';
import { packing } from './packing';
import type { AdviceConstraints, AdviceRequest, Change, GuestSpec } from './types';
import { VcpuLimits } from './vcpu-load';

/**
 * Node 0 is full of memory that nobody can take; node 1 is empty, but a running guest uses its CPUs. Two guests that are
 * pinned to node 0 would have all of their memory on node 1.
 */
const request = (vcpus?: number, constraints: AdviceConstraints = {}): AdviceRequest => {
  const counted = (spec: GuestSpec): GuestSpec => (vcpus === undefined ? spec : { ...spec, vcpus });
  return {
    host: host([
      { mib: 1024, anonMib: 960, cpus: [0, 1, 2, 3] },
      { mib: 1024, cpus: [4, 5, 6, 7] },
    ]),
    guests: [
      counted(running('old', 64, 1, { 1: 64 })),
      counted(planned('a', 256, 0)),
      counted(planned('b', 256, 0)),
    ],
    demand: {},
    seed: 1,
    options: { constraints, budget: { replaysMax: 60 } },
  };
};
const pinned = (node: number, ...names: string[]): Change => ({
  sysctl: {},
  numatune: {},
  pinning: Object.fromEntries(names.map((name) => [name, { nodes: [node] }])),
});

test('memory draws vCPUs after it only as far as the CPUs there are not crowded, and the advice says so', () => {
  const free = advise(request());
  expect(Object.keys(free.evidence.advised.pinning ?? {})).toEqual(['a', 'b']);
  expect(free.evidence.advised.outcome.remoteShare).toBe(0);
  const { evidence } = advise(request(2));
  // Two vCPUs of the running guest and two of one of them on four CPUs: the other one would be two more.
  expect(Object.keys(evidence.advised.pinning ?? {})).toHaveLength(1);
  const remote = evidence.advised.outcome.guests.filter(({ remoteShare }) => remoteShare > 0.5);
  expect(remote.map(({ name }) => name)).toHaveLength(1);
  expect(evidence.search.pruned.find(({ bound }) => bound === 'vcpu-overcommit')?.message).toBe(
    'Configurations that crowd CPUs were not replayed; the first: 6 vCPUs would run on the 4 CPUs of node 1, and at most 4 may (2 as it is).',
  );
  expect(evidence.assumptions.find(({ code }) => code === 'vcpu-load')?.message).toContain(
    'As it is: node 0 4 vCPUs on 4 CPUs (at most 4) and node 1 2 vCPUs on 4 CPUs (at most 4).',
  );
});

test('the operator decides how crowded CPUs may be', () => {
  const { advised } = advise(request(2, { vcpuOvercommitMax: 1.5 })).evidence;
  expect(Object.keys(advised.pinning ?? {})).toEqual(['a', 'b']);
  expect(violation(request(2, { vcpuOvercommitMax: 1.4 }), pinned(1, 'a', 'b'))?.bound).toBe(
    'vcpu-overcommit',
  );
  expect(() => advise(request(2, { vcpuOvercommitMax: 0 }))).toThrow(
    'Found 0; expected a number above 0.',
  );
});

test('counting packs within the same limits as the replays are held to', () => {
  const asked = request(2);
  const demand = resolveDemand(asked);
  const rules = { mode: 'strict' as const, repins: true, sysctl: {} };
  const change = packing(asked, demand, new Estimator(asked, demand), rules);
  expect(Object.keys(change.pinning ?? {})).toHaveLength(1);
  expect(violation(asked, change)).toBeUndefined();
});

test('a host with more vCPUs than CPUs spreads them evenly, but for one guest, and never beyond five each', () => {
  const limits = (vcpus: number): number[] => new VcpuLimits(request(vcpus)).vcpusMax;
  // 9 vCPUs on 8 CPUs: 4.5 and a guest of 3; node 0 has 6 as it is.
  expect(limits(3)).toEqual([7.5, 7.5]);
  expect(limits(2)).toEqual([4, 4]);
  // 48 vCPUs: 24 and a guest of 16 would be 40 on 4 CPUs; node 0 has 32 as it is.
  expect(limits(16)).toEqual([32, 20]);
});

test('a guest is not brought to fewer CPUs than it has vCPUs', () => {
  const asked = request(6);
  const wide = asked.guests.map((spec): GuestSpec => {
    const regions = spec.guest.regions.map((region) => ({ ...region, cpuNodes: [0, 1] }));
    if (spec.state !== 'planned') return spec;
    return { ...spec, cpusPinned: false, guest: { ...spec.guest, regions } };
  });
  const floating = { ...asked, guests: wide };
  expect(violation(floating, pinned(1, 'a'))?.message).toBe(
    'a has 6 vCPUs and node 1 4 CPUs: it would have fewer CPUs than vCPUs.',
  );
  // As it is the guest has four CPUs already: that is not the change's doing.
  expect(violation(asked, pinned(1, 'a'))?.message ?? '').not.toContain('fewer CPUs than vCPUs');
});
