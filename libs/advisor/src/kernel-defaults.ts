/** What the kernel sets on a host when nobody writes a setting. */
import {
  ZONE_NAMES,
  kernelProfiles,
  minFreeKbytes,
  setupPerZoneWmarks,
  type HostSysctls,
} from '@zonewise/simulator';
import type { SimulationRequest } from './types';

/**
 * A host's settings as its kernel boots with them; min_free_kbytes, KiB, is what it computes from the host's zones, and what
 * khugepaged raises it to where transparent huge pages are enabled.
 * @kernel mm/page_alloc.c init_per_zone_wmark_min(), mm/khugepaged.c set_recommended_min_free_kbytes()
 */
export function kernelDefaults({ host, thp }: SimulationRequest): HostSysctls {
  const profile = kernelProfiles[host.kernelProfile];
  const { watermark_scale_factor } = profile.defaultSysctls;
  const sizes = host.nodes.flatMap(({ zones }) =>
    zones.map(({ name, managedPages }) => ({ zoneIndex: ZONE_NAMES.indexOf(name), managedPages })),
  );
  const boot = minFreeKbytes(
    {
      zones: sizes.map((size) => ({ ...size, highPages: 0 })),
      ...{ thpEnabled: false, userMinFreeKbytes: -1, currentMinFreeKbytes: 0 },
    },
    profile,
  );
  const { enabled } = { ...host.thp, ...thp };
  if (enabled === 'never') return { ...profile.defaultSysctls, min_free_kbytes: boot };
  const marks = setupPerZoneWmarks(sizes, boot, watermark_scale_factor, profile);
  const raised = minFreeKbytes(
    {
      zones: sizes.map((size, i) => ({ ...size, highPages: marks[i]?.highPages ?? 0 })),
      ...{ thpEnabled: true, userMinFreeKbytes: Infinity, currentMinFreeKbytes: boot },
    },
    profile,
  );
  return { ...profile.defaultSysctls, min_free_kbytes: raised };
}
