import {
  lowmemReserve,
  pcpBatch,
  pcpHigh,
  setupPerZoneWmarks,
  type HostNode,
  type HostSysctls,
  type HostZone,
} from '@zonewise/simulator';
import type { ProblemList } from '../errors';
import type { Ledger } from '../ledger';
import { MAX_PAGESETS } from '../parse/text';
import { sizesOf } from './settings';

/** Zones that a source describes in part. */
interface Incomplete {
  laidOut: ReadonlySet<HostZone>;
  withoutLists: ReadonlySet<HostZone>;
}

/**
 * Gives marks, protection and per-CPU list sizes to the zones that no source printed them for, by the
 * kernel's formulas from sizes and settings.
 * @param laidOut zones without printed marks
 * @param withoutLists zones whose marks a kernel log printed, but not their per-CPU lists
 */
export function deriveMarks(
  nodes: HostNode[],
  { laidOut, withoutLists }: Incomplete,
  sysctl: HostSysctls,
  onlineCpus: number[],
  ledger: Ledger,
  problems: ProblemList,
): void {
  const count = laidOut.size + withoutLists.size;
  if (count === 0) return;
  if (count * onlineCpus.length > MAX_PAGESETS) {
    problems.add({
      code: 'limit-exceeded',
      message: `${count} zones and ${onlineCpus.length} CPUs`,
      expected: `at most ${MAX_PAGESETS} per-CPU lists`,
      found: String(count * onlineCpus.length),
    });
    return;
  }
  const zones = nodes.flatMap((node) => node.zones);
  const marks = setupPerZoneWmarks(
    sizesOf(zones),
    sysctl.min_free_kbytes,
    sysctl.watermark_scale_factor,
  );
  for (const [index, zone] of zones.entries()) {
    if (laidOut.has(zone)) Object.assign(zone, marks[index]);
  }
  for (const node of nodes) {
    deriveReserves(node, laidOut, sysctl, ledger);
    deriveLists(node, new Set([...laidOut, ...withoutLists]), sysctl, onlineCpus, ledger);
  }
}

function deriveReserves(
  node: HostNode,
  laidOut: ReadonlySet<HostZone>,
  sysctl: HostSysctls,
  ledger: Ledger,
): void {
  const protection = lowmemReserve(sizesOf(node.zones), sysctl.lowmem_reserve_ratio);
  for (const [index, zone] of node.zones.entries()) {
    if (!laidOut.has(zone)) continue;
    zone.protectionPages = protection[index] ?? [];
    const path = `nodes.${node.nodeId}.zones.${zone.name}`;
    ledger.derived(
      `${path}.minPages`,
      'sizes and settings',
      'setup_per_zone_wmarks; low and high alike',
    );
    ledger.derived(
      `${path}.protectionPages`,
      'sizes and settings',
      'setup_per_zone_lowmem_reserve',
    );
  }
}

function deriveLists(
  node: HostNode,
  withoutLists: ReadonlySet<HostZone>,
  sysctl: HostSysctls,
  onlineCpus: number[],
  ledger: Ledger,
): void {
  for (const zone of node.zones) {
    if (!withoutLists.has(zone)) continue;
    const batchPages = pcpBatch(zone.managedPages);
    const highPages = pcpHigh({
      managedPages: zone.managedPages,
      lowPages: zone.lowPages,
      batchPages,
      nodeCpus: node.cpus.length,
      onlineCpus: onlineCpus.length,
      percpuPagelistHighFraction: sysctl.percpu_pagelist_high_fraction,
    });
    zone.pagesets = onlineCpus.map((cpu) => ({ cpu, countPages: 0, highPages, batchPages }));
    ledger.derived(
      `nodes.${node.nodeId}.zones.${zone.name}.pagesets`,
      'sizes and settings',
      'zone_batchsize, zone_highsize; empty',
    );
  }
}
