import type { HostModel } from '@zonewise/simulator';
import { wantedPages } from '../bounds';
import { cpuNodes, distanceBetween, managedPages, memoryNodes, nodeUnion } from '../host-nodes';
import { MeasuredMemory } from './node-accounts';
import type { RivalRule } from './rule';

/** Share of a node that numad uses up at most (`-u`), percent. */
const TARGET_UTILIZATION_PERCENT = 85;
/** Weight of memory on a node that covers the request, and on one that covers part of it. */
const MEMORY_WEIGHT = { covers: 10, part: 4 };
/** The same for CPUs. */
const CPU_WEIGHT = { covers: 6, part: 1 };

/**
 * What numad advises for `numad -w NCPUS:MB`, which libvirt asks for a domain with placement='auto': the node that
 * scores best, more nodes until the request is met; strict, vCPUs on the same nodes. Memory is free memory plus
 * inactive file cache, up to 85 % of a node; a node's score is divided by its mean distance to those taken already.
 * Guests that started before have their memory by then; those that start later are not known.
 *
 * @differs the number of vCPUs is not known: the CPUs of a node, where it has any, cover every request. Written from the
 * description of its scoring, not from its code
 */
export const numad: RivalRule = {
  name: 'numad',
  title: "numad's choice for placement='auto'",
  source: 'numad(8), options -w, -u and -C; libvirt, Domain XML format, placement="auto"',
  choose: ({ host, planned }) => {
    const measured = new MeasuredMemory(host);
    const chosen = planned.map((guest): [string, number[]] => {
      const nodes = adviseNodes(host, wantedPages(guest), measured);
      measured.take(nodes, guest);
      return [guest.spec.guest.name, nodeUnion(nodes)];
    });
    return {
      sysctl: {},
      numatune: Object.fromEntries(
        chosen.map(([name, nodeset]) => [name, { mode: 'strict', nodeset }]),
      ),
      pinning: Object.fromEntries(
        chosen.flatMap(([name, nodes]) => {
          const withCpus = nodes.filter((node) => cpuNodes(host).includes(node));
          return withCpus.length > 0 ? [[name, { nodes: withCpus }]] : [];
        }),
      ),
    };
  },
};

/** Nodes in the order in which they are taken; all of them where they do not suffice together. */
function adviseNodes(host: HostModel, wanted: number, measured: MeasuredMemory): number[] {
  const taken: number[] = [];
  const left = new Set(memoryNodes(host));
  let missing = wanted;
  while (missing > 0 && left.size > 0) {
    const [best] = [...left]
      .map((node) => ({ node, score: score(host, node, missing, taken, measured) }))
      .sort((a, b) => b.score - a.score || a.node - b.node);
    if (best === undefined) break;
    left.delete(best.node);
    taken.push(best.node);
    missing -= usablePages(host, best.node, measured);
  }
  return taken.length > 0 ? taken : memoryNodes(host).slice(0, 1);
}

/** Free memory of a node less what numad leaves alone. */
function usablePages(host: HostModel, nodeId: number, measured: MeasuredMemory): number {
  const node = host.nodes.find((each) => each.nodeId === nodeId);
  if (!node) return 0;
  const kept = Math.ceil((managedPages(node) * (100 - TARGET_UTILIZATION_PERCENT)) / 100);
  return Math.max(0, measured.pages(nodeId) - kept);
}

function score(
  host: HostModel,
  nodeId: number,
  missingPages: number,
  taken: number[],
  measured: MeasuredMemory,
): number {
  const usable = usablePages(host, nodeId, measured);
  const memory = usable * (usable >= missingPages ? MEMORY_WEIGHT.covers : MEMORY_WEIGHT.part);
  const cpu = cpuNodes(host).includes(nodeId) ? CPU_WEIGHT.covers : CPU_WEIGHT.part;
  const distances = taken.map((other) => distanceBetween(host, other, nodeId));
  const distance =
    distances.length === 0 ? 1 : distances.reduce((a, b) => a + b, 0) / distances.length;
  return (memory * cpu) / distance;
}
