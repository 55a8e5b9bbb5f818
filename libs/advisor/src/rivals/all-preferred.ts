import { memoryNodes, nearestFirst } from '../host-nodes';
import { guestCpuNodes, isPinned } from '../placement';
import { NodeAccounts } from './node-accounts';
import { forAll, type RivalRule } from './rule';

/**
 * Every guest prefers one node: that of its CPUs, or where these are not pinned the node with the most memory that
 * is not promised to anybody.
 */
export const allPreferred: RivalRule = {
  name: 'all-preferred',
  title: 'preferred with a single node for every guest',
  source:
    'Red Hat Enterprise Linux 6, Virtualization Tuning and Optimization Guide, 9.2 "NUMA Memory Allocation Policies"',
  choose: (input) => {
    const accounts = new NodeAccounts(input.host, input.guests);
    return forAll(input, (planned) => {
      const { spec } = planned;
      const nearest = nearestFirst(
        input.host,
        guestCpuNodes(spec.guest)[0] ?? 0,
        memoryNodes(input.host),
      )[0];
      const node = isPinned(spec, input.host) ? nearest : accounts.emptiest();
      if (node === undefined) return { mode: 'none', nodeset: [] };
      accounts.bookGuest(node, planned);
      return { mode: 'preferred', nodeset: [node] };
    });
  },
};
