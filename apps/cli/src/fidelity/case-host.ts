import {
  kernelProfileOf,
  ZONE_NAMES,
  type HostModel,
  type HostNode,
  type HostSysctls,
  type HostZone,
  type KernelProfileName,
  type KhugepagedSettings,
  type LruPages,
  type Numastat,
  type ThpDefrag,
  type ThpEnabled,
} from '@zonewise/simulator';
import {
  bootSnapshot,
  type RecordedCase,
  type RecordedSnapshot,
  type RecordedZone,
} from './case-file';

const KIB_PER_PAGE = 4;

function lru(counters: Record<string, number>, prefix: string): LruPages {
  const pages = (name: string) => counters[`${prefix}${name}`] ?? 0;
  return {
    inactiveAnonPages: pages('inactive_anon'),
    activeAnonPages: pages('active_anon'),
    inactiveFilePages: pages('inactive_file'),
    activeFilePages: pages('active_file'),
    unevictablePages: pages('unevictable'),
  };
}

function hostZone(
  snapshot: RecordedSnapshot,
  nodeId: string,
  name: HostZone['name'],
  zone: RecordedZone,
): HostZone {
  return {
    name,
    startPfn: zone.start_pfn,
    spannedPages: zone.spanned,
    presentPages: zone.present,
    managedPages: zone.managed,
    freePages: zone.free,
    boostPages: zone.boost ?? 0,
    minPages: zone.min,
    lowPages: zone.low,
    highPages: zone.high,
    protectionPages: zone.protection,
    freeBlocks: snapshot.buddyinfo[nodeId]?.[name] ?? [],
    freeBlocksByType: snapshot.pagetypeinfo.free[nodeId]?.[name],
    pageblocksByType: snapshot.pagetypeinfo.blocks?.[nodeId]?.[name],
    pagesets: zone.pagesets.map(({ cpu, count, high, batch }) => ({
      cpu,
      countPages: count,
      highPages: high,
      batchPages: batch,
    })),
    lru: lru(zone.counters, 'nr_zone_'),
  };
}

/** `0-1,4` as numbers; empty for a node without CPUs. */
export function cpuNumbers(cpulist: string): number[] {
  return cpulist
    .trim()
    .split(',')
    .filter((item) => item !== '')
    .flatMap((item) => {
      const [first = 0, last = first] = item.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

function numastat(counters: Record<string, number>): Numastat {
  return {
    numaHit: counters.numa_hit ?? 0,
    numaMiss: counters.numa_miss ?? 0,
    numaForeign: counters.numa_foreign ?? 0,
    interleaveHit: counters.interleave_hit ?? 0,
    localNode: counters.local_node ?? 0,
    otherNode: counters.other_node ?? 0,
  };
}

function hostNode(snapshot: RecordedSnapshot, nodeId: string): HostNode {
  const { zones = {}, stats = {} } = snapshot.zoneinfo[nodeId] ?? {};
  const node = snapshot.nodes[nodeId];
  const lists = lru(stats, 'nr_');
  return {
    nodeId: Number(nodeId),
    cpus: cpuNumbers(node?.cpulist ?? ''),
    zones: ZONE_NAMES.flatMap((name) => {
      const zone = zones[name];
      return zone === undefined || zone.managed === 0
        ? []
        : [hostZone(snapshot, nodeId, name, zone)];
    }),
    lru: lists,
    // The recordings begin after a drop of all caches: what is left is held.
    heldFilePages: lists.inactiveFilePages + lists.activeFilePages,
    filePages: stats.nr_file_pages ?? 0,
    mappedPages: stats.nr_mapped ?? 0,
    shmemPages: stats.nr_shmem ?? 0,
    anonPages: stats.nr_anon_pages ?? 0,
    dirtyPages: stats.nr_dirty ?? 0,
    writebackPages: stats.nr_writeback ?? 0,
    slabReclaimablePages: stats.nr_slab_reclaimable ?? 0,
    slabUnreclaimablePages: stats.nr_slab_unreclaimable ?? 0,
    hugepages: [],
    numastat: numastat(node?.numastat ?? {}),
  };
}

function sysctls(recorded: RecordedCase, snapshot: RecordedSnapshot): HostSysctls {
  const text = (name: string) => snapshot.sysctl[name] ?? recorded.boot.sysctls[name] ?? '';
  const value = (name: string) => Number(text(name));
  return {
    min_free_kbytes: value('min_free_kbytes'),
    watermark_scale_factor: value('watermark_scale_factor'),
    watermark_boost_factor: value('watermark_boost_factor'),
    lowmem_reserve_ratio: text('lowmem_reserve_ratio').trim().split(/\s+/).map(Number),
    zone_reclaim_mode: value('zone_reclaim_mode'),
    min_unmapped_ratio: value('min_unmapped_ratio'),
    min_slab_ratio: value('min_slab_ratio'),
    swappiness: value('swappiness'),
    percpu_pagelist_high_fraction: value('percpu_pagelist_high_fraction'),
    dirty_ratio: value('dirty_ratio'),
    dirty_background_ratio: value('dirty_background_ratio'),
    dirty_writeback_centisecs: value('dirty_writeback_centisecs'),
    compaction_proactiveness: value('compaction_proactiveness'),
  };
}

/** The chosen word of a line such as `always [madvise] never`. */
export function chosen(line: string | undefined): string {
  return /\[([^\]]+)\]/.exec(line ?? '')?.[1] ?? '';
}

/** The profile that follows the recorded kernel; undefined where no replay has its mechanisms. */
export function recordedProfile({ kernel }: RecordedCase): KernelProfileName | undefined {
  const match = kernelProfileOf(kernel.release);
  if (match === undefined || !match.exact || !match.profile.validated) return undefined;
  return match.profile.name as KernelProfileName;
}

/** khugepaged's settings, where they were recorded. */
function khugepagedOf(mm: Record<string, string>): { khugepaged?: KhugepagedSettings } {
  const value = (name: string): number => Number(mm[`transparent_hugepage/khugepaged/${name}`]);
  const khugepaged = {
    scanSleepMs: value('scan_sleep_millisecs'),
    allocSleepMs: value('alloc_sleep_millisecs'),
    pagesToScan: value('pages_to_scan'),
    maxPtesNone: value('max_ptes_none'),
  };
  return Object.values(khugepaged).every(Number.isSafeInteger) ? { khugepaged } : {};
}

/**
 * The host model of a recorded machine as it was after boot.
 * @throws Error for a case of a kernel that no replay follows
 */
export function caseHost(recorded: RecordedCase): HostModel {
  const snapshot = bootSnapshot(recorded);
  const kernelProfile = recordedProfile(recorded);
  if (!kernelProfile) throw new Error(`${recorded.kernel.release} is not replayed`);
  const nodeIds = Object.keys(snapshot.nodes).sort((a, b) => Number(a) - Number(b));
  return {
    kernelProfile,
    kernelRelease: recorded.kernel.release,
    nodes: nodeIds.map((nodeId) => hostNode(snapshot, nodeId)),
    distances: nodeIds.map((nodeId) => snapshot.nodes[nodeId]?.distance ?? []),
    sysctl: sysctls(recorded, snapshot),
    thp: {
      enabled: chosen(recorded.boot.mm['transparent_hugepage/enabled']) as ThpEnabled,
      defrag: chosen(recorded.boot.mm['transparent_hugepage/defrag']) as ThpDefrag,
      ...khugepagedOf(recorded.boot.mm),
    },
    swap: {
      totalPages: (snapshot.meminfo.SwapTotal ?? 0) / KIB_PER_PAGE,
      freePages: (snapshot.meminfo.SwapFree ?? 0) / KIB_PER_PAGE,
    },
  };
}
