import {
  kernelProfileOf,
  kernelProfiles,
  minFreeKbytes,
  PAGE_KIB,
  replayProfileFor,
  type HostModel,
  type HostSysctls,
  type HostZone,
  type KhugepagedSettings,
} from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { zoneIndex } from './layout';

/** What the host's kernel boots with, as far as replays know such a setting. */
function bootSysctls(release: string | undefined) {
  const defaults = kernelProfiles[replayProfileFor(release)].defaultSysctls;
  const own = release === undefined ? undefined : kernelProfileOf(release)?.profile;
  // A kernel without the boost never raises a mark, which is what the factor 0 says.
  const { watermark_boost_factor } = own?.defaultSysctls ?? defaults;
  return { ...defaults, watermark_boost_factor };
}

/** @kernel mm/khugepaged.c khugepaged_init() */
const KHUGEPAGED_AT_BOOT: KhugepagedSettings = {
  scanSleepMs: 10_000,
  allocSleepMs: 60_000,
  pagesToScan: 4096,
  maxPtesNone: 511,
};

/** THP settings as read, else what most distributions ship (CONFIG_TRANSPARENT_HUGEPAGE_ALWAYS). */
export function buildThp(facts: HostFacts, ledger: Ledger): HostModel['thp'] {
  const { thpEnabled, thpDefrag } = facts;
  if (thpEnabled !== undefined) ledger.read('thp.enabled', 'thpEnabled');
  else ledger.default('thp.enabled', 'always');
  if (thpDefrag !== undefined) ledger.read('thp.defrag', 'thpDefrag');
  else ledger.default('thp.defrag', 'madvise');
  if (thpEnabled === undefined) {
    ledger.caveat(
      'thp-assumed',
      'transparent_hugepage/enabled was not given: always is assumed. Guests with huge pages are placed differently from guests without.',
    );
  }
  const thp = { enabled: thpEnabled ?? 'always', defrag: thpDefrag ?? 'madvise' } as const;
  if (facts.khugepaged === undefined) return thp;
  ledger.read('thp.khugepaged', 'khugepaged');
  const khugepaged = { ...KHUGEPAGED_AT_BOOT, ...facts.khugepaged };
  if (khugepaged.scanSleepMs === 0) {
    khugepaged.scanSleepMs = 1;
    const note = 'it never sleeps: replayed with pauses of 1 ms';
    ledger.derived('thp.khugepaged.scanSleepMs', 'khugepaged', note);
  }
  return { ...thp, khugepaged };
}

export function buildSwap(facts: HostFacts, ledger: Ledger): HostModel['swap'] {
  const total = facts.meminfo?.SwapTotal ?? facts.report?.swap?.totalKib;
  if (total === undefined) {
    ledger.default('swap', 'no meminfo: no swap');
    ledger.caveat('swap-assumed', 'Without meminfo the host is taken as having no swap.');
    return { totalPages: 0, freePages: 0 };
  }
  ledger.read('swap', facts.meminfo?.SwapTotal === undefined ? 'kernelLog' : 'meminfo');
  const totalPages = Math.floor(total / PAGE_KIB);
  const freePages = Math.floor(
    (facts.meminfo?.SwapFree ?? facts.report?.swap?.freeKib ?? total) / PAGE_KIB,
  );
  return { totalPages, freePages: Math.min(freePages, totalPages) };
}

/**
 * Settings: read ones first; min_free_kbytes and watermark_scale_factor that are not given are derived
 * from the printed marks, or by the kernel's formula; all others are the kernel's defaults.
 * @param marked zones whose marks zoneinfo printed
 */
export function buildSysctls(
  facts: HostFacts,
  zones: HostZone[],
  marked: HostZone[],
  thpEnabled: boolean,
  ledger: Ledger,
): HostSysctls {
  const read = facts.sysctl?.values ?? {};
  for (const name of Object.keys(read)) ledger.read(`sysctl.${name}`, 'sysctl');
  const { watermark_scale_factor: bootScale, ...defaults } = bootSysctls(facts.version);
  const values = { ...defaults, lowmem_reserve_ratio: [...defaults.lowmem_reserve_ratio], ...read };
  for (const name of Object.keys(defaults)) {
    if (!Object.hasOwn(read, name)) ledger.default(`sysctl.${name}`, 'not given');
  }
  if (read.zone_reclaim_mode === undefined) {
    ledger.caveat(
      'zone-reclaim-mode-assumed',
      'vm.zone_reclaim_mode was not given: 0, the default, is assumed. It decides whether a node drops its page cache before memory is taken from another node.',
    );
  }
  const scale = read.watermark_scale_factor ?? deriveScaleFactor(facts, marked, bootScale, ledger);
  const minFree =
    read.min_free_kbytes ?? deriveMinFree(facts, zones, marked, thpEnabled, scale, ledger);
  if (read.min_free_kbytes !== undefined) checkMarks(facts, zones, marked, minFree, ledger);
  noteDirtyBytes(facts, values, zones, ledger);
  if (facts.sysctl?.zoneOrder === true) {
    ledger.caveat(
      'zonelist-order',
      'vm.numa_zonelist_order is Zone on this host; kernels since 4.14 and the simulator order zonelists by node.',
    );
  }
  return { ...values, watermark_scale_factor: scale, min_free_kbytes: minFree };
}

function deriveScaleFactor(
  facts: HostFacts,
  marked: HostZone[],
  bootScale: number,
  ledger: Ledger,
): number {
  const largest = [...marked].sort((a, b) => b.managedPages - a.managedPages)[0];
  const gap = largest === undefined ? 0 : largest.lowPages - largest.minPages;
  const path = 'sysctl.watermark_scale_factor';
  if (largest === undefined || gap <= Math.floor((largest.minPages - largest.boostPages) / 4)) {
    ledger.default(path, 'not given, and the marks do not show it');
    return bootScale;
  }
  ledger.derived(
    path,
    facts.zoneSource,
    'low - min of the largest zone is that share of its managed pages',
  );
  const factor = Math.round((gap * 10000) / Math.max(largest.managedPages, 1));
  return Math.min(Math.max(factor, 1), 3000);
}

function deriveMinFree(
  facts: HostFacts,
  zones: HostZone[],
  marked: HostZone[],
  thpEnabled: boolean,
  scale: number,
  ledger: Ledger,
): number {
  const path = 'sysctl.min_free_kbytes';
  const formula = minFreeKbytes({
    zones: sizesOf(zones).map((size) => ({ ...size, highPages: 0 })),
    thpEnabled,
    userMinFreeKbytes: -1,
    currentMinFreeKbytes: 0,
  });
  if (marked.length === 0) {
    ledger.derived(path, 'sizes', "the kernel's formula for these zones and this THP setting");
    return formula;
  }
  const share = shareOf(marked, zones);
  if (agrees(formula * share, marked)) {
    ledger.derived(
      path,
      facts.zoneSource,
      "the kernel's formula, which the printed min marks agree with",
    );
    return formula;
  }
  ledger.derived(path, facts.zoneSource, PRINTED_MIN_NOTE);
  return Math.round(printedMin(marked) / share) * PAGE_KIB;
}

const PRINTED_MIN_NOTE =
  'the sum of the printed min marks without boost, for the zones without any in proportion to their size';

/** Part of the managed memory that these zones have: their part of the minimum. */
function shareOf(marked: HostZone[], zones: HostZone[]): number {
  return managedSum(marked) / Math.max(managedSum(zones), 1);
}

function managedSum(zones: HostZone[]): number {
  return zones.reduce((sum, zone) => sum + zone.managedPages, 0);
}

function printedMin(marked: HostZone[]): number {
  return marked.reduce((sum, zone) => sum + zone.minPages - zone.boostPages, 0);
}

/** Each zone's min mark is its share of the setting, rounded down. */
function agrees(minFreeKib: number, marked: HostZone[]): boolean {
  const rounded = Math.floor(minFreeKib / PAGE_KIB) - printedMin(marked);
  return rounded >= 0 && rounded <= marked.length;
}

export function sizesOf(zones: HostZone[]): { zoneIndex: number; managedPages: number }[] {
  return zones.map((zone) => ({
    zoneIndex: zoneIndex(zone.name),
    managedPages: zone.managedPages,
  }));
}

/** The printed marks stay until something recomputes them; a setting that would give others is named. */
function checkMarks(
  facts: HostFacts,
  zones: HostZone[],
  marked: HostZone[],
  minFree: number,
  ledger: Ledger,
): void {
  if (marked.length === 0) return;
  if (agrees(minFree * shareOf(marked, zones), marked)) return;
  ledger.differ(
    'sysctl.min_free_kbytes',
    { source: 'sysctl', value: minFree },
    { source: `${facts.zoneSource}, sum of the min marks`, value: printedMin(marked) * PAGE_KIB },
    'the setting is taken as read and the marks as printed, until a step makes the kernel recompute them',
  );
}

function noteDirtyBytes(
  facts: HostFacts,
  values: { dirty_ratio: number; dirty_background_ratio: number },
  zones: HostZone[],
  ledger: Ledger,
): void {
  const bytes = zones.reduce((sum, zone) => sum + zone.managedPages, 0) * PAGE_KIB * 1024;
  const asRatio = (limit: number): number => Math.min(100, Math.floor((limit * 100) / bytes));
  const note = 'vm.dirty_bytes is set: the ratio is its share of all memory, rounded down';
  const { dirtyBytes, dirtyBackgroundBytes } = facts.sysctl ?? {};
  if (dirtyBytes !== undefined) {
    values.dirty_ratio = asRatio(dirtyBytes);
    ledger.derived('sysctl.dirty_ratio', 'sysctl', note);
  }
  if (dirtyBackgroundBytes !== undefined) {
    values.dirty_background_ratio = asRatio(dirtyBackgroundBytes);
    ledger.derived('sysctl.dirty_background_ratio', 'sysctl', note);
  }
  if (dirtyBytes !== undefined || dirtyBackgroundBytes !== undefined) {
    ledger.caveat(
      'dirty-bytes',
      'The host limits dirty memory in bytes; the model knows ratios, whole percents of memory.',
    );
  }
}
