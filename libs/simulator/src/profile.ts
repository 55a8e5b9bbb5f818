/** What differs between kernels and changes results, as data. Only 6.1.y (6.1.192) is modelled. */
import type { KernelProfileName } from './types';

export interface KernelProfile {
  name: KernelProfileName;
  /** Clamp of the square-root rule for min_free_kbytes, KiB (`init_per_zone_wmark_min`). */
  minFreeKbytesFloor: number;
  minFreeKbytesCap: number;
  watermarkScaleFactorMax: number;
  swappinessMax: number;
  /** Pages per pcp batch at most, bytes / page size / 4 (`zone_batchsize`). */
  pcpBatchBasePages: number;
}

export const kernelProfiles: Record<KernelProfileName, KernelProfile> = {
  '6.1.y': {
    name: '6.1.y',
    minFreeKbytesFloor: 128,
    minFreeKbytesCap: 262144,
    watermarkScaleFactorMax: 3000,
    swappinessMax: 200,
    pcpBatchBasePages: 256,
  },
};
