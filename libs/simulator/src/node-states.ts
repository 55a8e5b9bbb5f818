/** Node states: which nodes exist, have memory of which kind, have CPUs. */
import type { ArchitectureZone } from './architecture';

/** What the states are read from; a zone is populated if it has present pages. */
export interface StateNode {
  nodeId: number;
  cpus: number[];
  zones: { name: ArchitectureZone; presentPages: number }[];
}

/** Node ids by state, ascending, under the kernel's names. */
export interface NodeStates {
  N_POSSIBLE: number[];
  N_ONLINE: number[];
  N_NORMAL_MEMORY: number[];
  /** The same as N_NORMAL_MEMORY where a kernel has no HighMem. */
  N_HIGH_MEMORY: number[];
  N_MEMORY: number[];
  N_CPU: number[];
}

const ORDINARY: ArchitectureZone[] = ['DMA', 'DMA32', 'Normal'];
const BELOW_MOVABLE: ArchitectureZone[] = [...ORDINARY, 'HighMem'];

/**
 * The states of nodes that are online. Memory in zone Device counts for none of them.
 * @param possible ids that could come online, where firmware announced more than are
 * @kernel include/linux/nodemask.h enum node_states, mm/page_alloc.c check_for_memory()
 */
export function nodeStates(nodes: StateNode[], possible: number[] = []): NodeStates {
  const ids = (pick: (node: StateNode) => boolean): number[] =>
    nodes
      .filter(pick)
      .map(({ nodeId }) => nodeId)
      .sort((a, b) => a - b);
  const online = ids(() => true);
  return {
    N_POSSIBLE: [...new Set([...online, ...possible])].sort((a, b) => a - b),
    N_ONLINE: online,
    N_NORMAL_MEMORY: ids((node) => hasZone(node, ORDINARY)),
    N_HIGH_MEMORY: ids((node) => hasZone(node, BELOW_MOVABLE)),
    N_MEMORY: ids((node) => hasZone(node, [...BELOW_MOVABLE, 'Movable'])),
    N_CPU: ids(({ cpus }) => cpus.length > 0),
  };
}

function hasZone(node: StateNode, names: ArchitectureZone[]): boolean {
  return node.zones.some(({ name, presentPages }) => presentPages > 0 && names.includes(name));
}

/**
 * One node: the kernel needs no masks. Built without NUMA it is `contig_page_data`; a NUMA kernel on such
 * a machine has node 0 alone, and every fallback list ends there.
 */
export function isUma(nodes: StateNode[]): boolean {
  return nodes.length === 1;
}
