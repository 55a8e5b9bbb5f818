/**
 * Errors that can be planted in the reference on purpose. The property test must notice each of them:
 * a mutation that nothing notices is a rule that nothing tests.
 */
export const MUTATIONS = [
  'split gives out the upper half',
  'merged block never goes to the tail',
  'watermark passes at the mark',
  'protection ignored',
  'steal needs one page more',
  'boost step missing',
  'movable steals the largest block',
  'NOFRAGMENT ignored',
  'pcp drained from the head',
  'pcp refill one block short',
  'free_factor without a cap',
  'zonelist tie to the higher id',
  'foreign counted on the serving node',
  'interleave index off by one',
  'HighAtomic never unreserved',
  'bind holds for every class',
  'kernel memory stays in the cpuset',
  'atomic memory stays within its policy',
  'node_reclaim asks for 16',
  'scan shift off by one',
  'cost never halves',
  'second reference does not activate',
  'batch freed in order of isolation',
  'written page stays where it is',
  'slots of all CPUs from one row',
  'kswapd stops at low',
  'kswapd runs for every class',
  'kswapd forgets wake-ups while it runs',
  'huge page walk stays at its node',
  'surplus huge page stays in its pool',
  'huge page faults ignore reservations',
  'shrinking frees reserved huge pages',
] as const;

export type Mutation = (typeof MUTATIONS)[number];
