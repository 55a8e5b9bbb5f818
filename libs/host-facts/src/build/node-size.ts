import { PAGE_KIB, PAGES_PER_MIB } from '@zonewise/simulator';
import type { HostFacts } from '../facts';

/** A node's size or free memory as one source gives it; `unitPages` is what its rounding may hide. */
export interface NodeAmount {
  source: string;
  pages: number;
  unitPages: number;
}

/** `numastat -m` prints hundredths of a MB: half of one either way, in KiB. */
const HUNDREDTH_MIB_KIB = 6;

/**
 * What sources other than zoneinfo say of a node's managed memory, best first:
 * nodeMeminfo and `virsh nodememstats --cell` (MemTotal is the sum of managed pages), `numastat -m` and numactlHardware (the same, rounded),
 * capabilities, and where the host has one node what is said of the whole host.
 */
export function sizeSources(facts: HostFacts, nodeId: number, nodes: number): NodeAmount[] {
  const capability = facts.capabilities?.nodes.find((node) => node.id === nodeId);
  return [
    unlisted(facts, nodeId, 'managedPages'),
    kib('nodeMeminfo', facts.nodeMeminfo.get(nodeId)?.MemTotal),
    kib('cellMemstats', facts.cellMemstats.get(nodeId)?.totalKib),
    rounded('numastatMeminfo', facts.numastatMeminfo?.get(nodeId)?.MemTotal),
    mib('numactlHardware', facts.numactl?.nodes.find((n) => n.nodeId === nodeId)?.sizeMib),
    kib('capabilities', capability?.memoryKib),
    ...(nodes === 1 ? hostSizes(facts) : []),
  ].filter((amount) => amount !== null);
}

/** What sources other than zoneinfo say of a node's free memory, best first. */
export function freeSources(facts: HostFacts, nodeId: number, nodes: number): NodeAmount[] {
  return [
    unlisted(facts, nodeId, 'freePages'),
    kib('nodeMeminfo', facts.nodeMeminfo.get(nodeId)?.MemFree),
    basePages(facts, nodeId),
    kib('cellMemstats', facts.cellMemstats.get(nodeId)?.freeKib),
    kib('freecell', facts.freecell?.freeKibByNode.get(nodeId)),
    rounded('numastatMeminfo', facts.numastatMeminfo?.get(nodeId)?.MemFree),
    mib('numactlHardware', facts.numactl?.nodes.find((n) => n.nodeId === nodeId)?.freeMib),
    ...(nodes === 1 ? hostFrees(facts) : []),
  ].filter((amount) => amount !== null);
}

/** Sizes of the whole host. */
export function hostSizes(facts: HostFacts): NodeAmount[] {
  return [
    kib('meminfo', facts.meminfo?.MemTotal),
    kib('nodememstats', facts.nodememstats?.totalKib),
    kib('nodeinfo', facts.nodeinfo?.memoryKib),
  ].filter((amount) => amount !== null);
}

/** Free memory of the whole host. */
export function hostFrees(facts: HostFacts): NodeAmount[] {
  const vmstat = facts.vmstat?.nr_free_pages;
  return [
    kib('meminfo', facts.meminfo?.MemFree),
    vmstat === undefined ? null : { source: 'vmstat', pages: vmstat, unitPages: 1 },
    kib('nodememstats', facts.nodememstats?.freeKib),
    kib('freecell', facts.freecell?.totalKib ?? undefined),
  ].filter((amount) => amount !== null);
}

/** The node that a kernel log counts but does not list. */
function unlisted(
  { report }: HostFacts,
  nodeId: number,
  field: 'managedPages' | 'freePages',
): NodeAmount | null {
  const node = report?.unlisted;
  if (node?.nodeId !== nodeId) return null;
  return { source: 'kernelLog', pages: node[field], unitPages: 1 };
}

/** libvirt counts all free memory as free base pages. */
function basePages(facts: HostFacts, nodeId: number): NodeAmount | null {
  const pools = facts.freepages?.find((node) => node.nodeId === nodeId)?.pages;
  const base = pools?.find(({ sizeKib }) => sizeKib === PAGE_KIB);
  return base === undefined ? null : { source: 'freepages', pages: base.freePages, unitPages: 1 };
}

function kib(source: string, value: number | undefined): NodeAmount | null {
  if (value === undefined) return null;
  return { source, pages: Math.floor(value / PAGE_KIB), unitPages: 1 };
}

/** A value that stands for others up to {@link HUNDREDTH_MIB_KIB} away: the lowest of them, and how many follow. */
function rounded(source: string, value: number | undefined): NodeAmount | null {
  if (value === undefined) return null;
  const lowest = Math.floor(Math.max(value - HUNDREDTH_MIB_KIB, 0) / PAGE_KIB);
  const unitPages = Math.floor((value + HUNDREDTH_MIB_KIB) / PAGE_KIB) - lowest + 1;
  return { source, pages: lowest, unitPages };
}

function mib(source: string, value: number | undefined): NodeAmount | null {
  if (value === undefined) return null;
  return { source, pages: value * PAGES_PER_MIB, unitPages: PAGES_PER_MIB };
}
