import { PAGE_KIB, PAGES_PER_MIB } from '@zonewise/simulator';
import type { HostFacts } from '../facts';

/** A node's size or free memory as one source gives it; `unitPages` is what its rounding may hide. */
export interface NodeAmount {
  source: string;
  pages: number;
  unitPages: number;
}

/**
 * What sources other than zoneinfo say of a node's managed memory, best first:
 * nodeMeminfo (MemTotal is the sum of managed pages), numactlHardware (the same in whole MB),
 * capabilities, and meminfo where the host has one node.
 */
export function sizeSources(facts: HostFacts, nodeId: number, nodes: number): NodeAmount[] {
  const capability = facts.capabilities?.nodes.find((node) => node.id === nodeId);
  return [
    kib('nodeMeminfo', facts.nodeMeminfo.get(nodeId)?.MemTotal),
    mib('numactlHardware', facts.numactl?.nodes.find((n) => n.nodeId === nodeId)?.sizeMib),
    kib('capabilities', capability?.memoryKib),
    nodes === 1 ? kib('meminfo', facts.meminfo?.MemTotal) : null,
  ].filter((amount) => amount !== null);
}

/** What sources other than zoneinfo say of a node's free memory, best first. */
export function freeSources(facts: HostFacts, nodeId: number, nodes: number): NodeAmount[] {
  return [
    kib('nodeMeminfo', facts.nodeMeminfo.get(nodeId)?.MemFree),
    mib('numactlHardware', facts.numactl?.nodes.find((n) => n.nodeId === nodeId)?.freeMib),
    nodes === 1 ? kib('meminfo', facts.meminfo?.MemFree) : null,
  ].filter((amount) => amount !== null);
}

function kib(source: string, value: number | undefined): NodeAmount | null {
  if (value === undefined) return null;
  return { source, pages: Math.floor(value / PAGE_KIB), unitPages: 1 };
}

function mib(source: string, value: number | undefined): NodeAmount | null {
  if (value === undefined) return null;
  return { source, pages: value * PAGES_PER_MIB, unitPages: PAGES_PER_MIB };
}
