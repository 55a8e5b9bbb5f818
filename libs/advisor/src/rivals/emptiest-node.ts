import { wantedPages } from '../bounds';
import { cpuNodes } from '../host-nodes';
import { MeasuredMemory, NodeAccounts } from './node-accounts';
import type { RivalRule } from './rule';

/**
 * Nodes in ascending order of the memory promised on them; the first one with enough free memory, else the first
 * one. Memory and vCPUs are bound to it.
 *
 * @differs its second round, by memory that could be made free, is the first one here: idle cache counts as free
 */
export const emptiestNode: RivalRule = {
  name: 'emptiest-node',
  title: 'strict on the node with the least memory promised',
  source: 'SolusVM 2, Administrator Guide, "NUMA nodes"',
  choose: ({ host, guests, planned }) => {
    const accounts = new NodeAccounts(host, guests);
    const measured = new MeasuredMemory(host);
    const withCpus = accounts.nodes.filter((node) => cpuNodes(host).includes(node));
    const chosen = planned.flatMap((guest): [string, number][] => {
      const order = [...withCpus].sort(
        (a, b) => accounts.bookedPages(a) - accounts.bookedPages(b) || a - b,
      );
      const node = order.find((each) => measured.pages(each) >= wantedPages(guest)) ?? order[0];
      if (node === undefined) return [];
      accounts.bookGuest(node, guest);
      measured.take([node], guest);
      return [[guest.spec.guest.name, node]];
    });
    return {
      sysctl: {},
      numatune: Object.fromEntries(
        chosen.map(([name, node]) => [name, { mode: 'strict', nodeset: [node] }]),
      ),
      pinning: Object.fromEntries(chosen.map(([name, node]) => [name, { nodes: [node] }])),
    };
  },
};
