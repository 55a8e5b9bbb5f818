/** Steps that change settings, and everything the kernel recomputes at once when they do. */
import {
  recomputeMinFree,
  setupLowmemReserve,
  setupNodeReclaim,
  setupPcps,
  setupWatermarks,
} from './kernel';
import { wakeFlusher } from './flusher';
import { triggerKcompactd } from './kcompactd';
import type { KernelState } from './kernel-state';
import type { SysctlName, ThpDefrag, ThpEnabled } from './types';

/** Writes one vm sysctl. The value has been checked. @kernel kernel/sysctl.c and the handlers it names */
export function writeSysctl(k: KernelState, name: SysctlName, value: number | number[]): void {
  if (name === 'lowmem_reserve_ratio') {
    k.sysctl.lowmem_reserve_ratio = Array.isArray(value) ? [...value] : [value];
    setupLowmemReserve(k);
    return;
  }
  const before = k.sysctl.dirty_writeback_centisecs;
  k.sysctl[name] = Array.isArray(value) ? (value[0] ?? 0) : value;
  switch (name) {
    case 'min_free_kbytes':
      k.userMinFreeKbytes = k.sysctl.min_free_kbytes;
      setupWatermarks(k);
      return;
    case 'watermark_scale_factor':
      setupWatermarks(k);
      return;
    case 'percpu_pagelist_high_fraction':
      setupPcps(k);
      return;
    case 'dirty_writeback_centisecs':
      if (k.sysctl[name] > 0 && k.sysctl[name] !== before) wakeFlusher(k, true);
      return;
    case 'compaction_proactiveness':
      triggerKcompactd(k);
      return;
    case 'min_unmapped_ratio':
    case 'min_slab_ratio':
      setupNodeReclaim(k);
      return;
    default:
      return;
  }
}

/** Writes transparent_hugepage/enabled or defrag; starting or stopping khugepaged moves min_free_kbytes. */
export function writeThp(k: KernelState, enabled?: ThpEnabled, defrag?: ThpDefrag): void {
  if (defrag) k.thp.defrag = defrag;
  if (!enabled) return;
  k.thp.enabled = enabled;
  if (enabled !== 'never' || k.profile.lowersMinFree) recomputeMinFree(k);
}
