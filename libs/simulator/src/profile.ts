/** What differs between kernels and changes results, as data. Only 6.1.y (6.1.192) is modelled. */
import type { HostSysctls, KernelProfileName } from './types';

export interface KernelProfile {
  name: KernelProfileName;
  /** Clamp of the square-root rule for min_free_kbytes, KiB (`init_per_zone_wmark_min`). */
  minFreeKbytesFloor: number;
  minFreeKbytesCap: number;
  watermarkScaleFactorMax: number;
  swappinessMax: number;
  /** Pages per pcp batch at most, bytes / page size / 4 (`zone_batchsize`). */
  pcpBatchBasePages: number;
  /** What the kernel boots with; min_free_kbytes is computed from the host's size. */
  defaultSysctls: Omit<HostSysctls, 'min_free_kbytes'>;
}

export const kernelProfiles: Record<KernelProfileName, KernelProfile> = {
  '6.1.y': {
    name: '6.1.y',
    minFreeKbytesFloor: 128,
    minFreeKbytesCap: 262144,
    watermarkScaleFactorMax: 3000,
    swappinessMax: 200,
    pcpBatchBasePages: 256,
    defaultSysctls: {
      watermark_scale_factor: 10,
      watermark_boost_factor: 15000,
      lowmem_reserve_ratio: [256, 256, 32, 0],
      zone_reclaim_mode: 0,
      min_unmapped_ratio: 1,
      min_slab_ratio: 5,
      swappiness: 60,
      percpu_pagelist_high_fraction: 0,
      dirty_ratio: 20,
      dirty_background_ratio: 10,
      dirty_writeback_centisecs: 500,
    },
  },
};
