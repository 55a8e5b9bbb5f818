import { memoryNodes } from '../host-nodes';
import { forAll, type RivalRule } from './rule';

/** Spread every guest over all nodes, and never reclaim for a node's sake. */
export const interleaveAll: RivalRule = {
  name: 'interleave-all',
  title: 'interleave over all nodes, zone_reclaim_mode 0',
  source: 'MongoDB, Production Notes, "MongoDB and NUMA Hardware": numactl --interleave=all',
  choose: (input) => ({
    ...forAll(input, () => ({ mode: 'interleave', nodeset: memoryNodes(input.host) })),
    sysctl: { zone_reclaim_mode: 0 },
  }),
};
