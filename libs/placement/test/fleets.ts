/** Random fleets for the tests: small numbers, so that ties, full nodes and refusals are common. */
import fc from 'fast-check';
import type { CellShape, GuestShape, HostShape, PackRequest } from '../src';

const KEYS = ['db', 'web', 'cache'];
const GROUPS = ['rack-a', 'rack-b'];

const pool = fc.record({
  sizeKib: fc.constantFrom(2048, 1_048_576),
  pages: fc.integer({ min: 0, max: 8 }),
});

const node = fc.record({
  memoryPages: fc.integer({ min: 0, max: 40 }),
  vcpus: fc.integer({ min: 0, max: 16 }),
  hugepages: fc.uniqueArray(pool, { maxLength: 2, selector: ({ sizeKib }) => sizeKib }),
});

const host = fc.record(
  {
    nodes: fc.array(node, { minLength: 1, maxLength: 4 }),
    occupied: fc.boolean(),
    group: fc.constantFrom(...GROUPS),
    antiAffinity: fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 1 }),
  },
  { requiredKeys: ['nodes', 'occupied'] },
);

const cell: fc.Arbitrary<CellShape> = fc.record(
  {
    memoryPages: fc.integer({ min: 0, max: 16 }),
    vcpus: fc.integer({ min: 0, max: 6 }),
    hugepages: fc.record({
      sizeKib: fc.constantFrom(2048, 1_048_576),
      pages: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { requiredKeys: ['memoryPages', 'vcpus'] },
);

const guest = fc.record(
  {
    cells: fc.array(cell, { minLength: 1, maxLength: 4 }),
    antiAffinity: fc.uniqueArray(fc.constantFrom(...KEYS), { maxLength: 2 }),
    hostGroups: fc.uniqueArray(fc.constantFrom(...GROUPS), { maxLength: 2 }),
    notOn: fc.uniqueArray(fc.constantFrom('host-0', 'host-1', 'elsewhere'), { maxLength: 2 }),
  },
  { requiredKeys: ['cells'] },
);

const named = (hosts: Omit<HostShape, 'id'>[]): HostShape[] =>
  hosts.map((shape, i) => ({
    ...shape,
    id: `host-${i}`,
    nodes: shape.nodes.map((each, nodeId) => ({ ...each, nodeId: 2 * nodeId })),
  }));

export const fleet: fc.Arbitrary<PackRequest> = fc
  .record({
    hosts: fc.array(host, { maxLength: 12 }),
    guests: fc.array(guest, { maxLength: 30 }),
    objective: fc.constantFrom('density' as const, 'locality' as const, 'spread' as const),
  })
  .map(({ hosts, guests, objective }) => ({
    hosts: named(hosts as Omit<HostShape, 'id'>[]),
    guests: guests.map((each, i): GuestShape => ({ ...each, name: `guest-${i}` })),
    objective,
  }));

/** Hosts and guests without rules besides capacity, for comparisons with packers that know no others. */
export const plainFleet: fc.Arbitrary<PackRequest> = fleet.map(({ hosts, guests }) => ({
  hosts: hosts.map(({ id, nodes, occupied }) => ({ id, nodes, occupied })),
  guests: guests.map(({ name, cells }) => ({ name, cells })),
  objective: 'density',
}));
