/** The settings that a replay begins with. */
import type { HostSysctls } from './types';

/**
 * The host's settings; those of compaction as a kernel boots where it does not say them. Named one by one: every request
 * reads some, and an object that was put together from others is slow to read.
 */
export function hostSettings(host: HostSysctls): Required<HostSysctls> {
  return {
    compaction_proactiveness: host.compaction_proactiveness ?? 20,
    compact_unevictable_allowed: host.compact_unevictable_allowed ?? 1,
    extfrag_threshold: host.extfrag_threshold ?? 500,
    min_free_kbytes: host.min_free_kbytes,
    watermark_scale_factor: host.watermark_scale_factor,
    watermark_boost_factor: host.watermark_boost_factor,
    lowmem_reserve_ratio: [...host.lowmem_reserve_ratio],
    zone_reclaim_mode: host.zone_reclaim_mode,
    min_unmapped_ratio: host.min_unmapped_ratio,
    min_slab_ratio: host.min_slab_ratio,
    swappiness: host.swappiness,
    percpu_pagelist_high_fraction: host.percpu_pagelist_high_fraction,
    dirty_ratio: host.dirty_ratio,
    dirty_background_ratio: host.dirty_background_ratio,
    dirty_writeback_centisecs: host.dirty_writeback_centisecs,
  };
}
