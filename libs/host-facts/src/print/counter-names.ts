/**
 * Names of the kernel's counters in the order in which x86-64 kernels with NUMA, swap, transparent huge pages and
 * compaction print them, with the releases that have them. The lists of 5.10, 6.1 and 6.12 are those of recorded
 * hosts; for the releases between and before them a name stands from the release that brought it.
 * @kernel mm/vmstat.c vmstat_text[]
 */

/** A release as one number: 6.12 is 6012. */
export function releaseNumber(release: string): number {
  const [, major = '6', minor = '1'] = /^(\d{1,3})\.(\d{1,4})/.exec(release) ?? [];
  return Number(major) * 1000 + Number(minor);
}

/** `nr_slab_reclaimable` in every release, or `name@4013-` from 4.13 on, `name@4008-5008` up to and with 5.8. */
function namesAt(list: string, release: number): string[] {
  return list
    .trim()
    .split(/\s+/)
    .flatMap((entry) => {
      const [name = '', span] = entry.split('@');
      if (span === undefined) return [name];
      const [since = '', until = ''] = span.split('-');
      const isIn = release >= Number(since || 0) && release <= Number(until || Infinity);
      return isIn ? [name] : [];
    });
}

/** NUMA events of a zone. */
export const NUMA_EVENT_NAMES = [
  'numa_hit',
  'numa_miss',
  'numa_foreign',
  'numa_interleave',
  'numa_local',
  'numa_other',
] as const;
export type NumaEventName = (typeof NUMA_EVENT_NAMES)[number];

/** Since this release most counters are kept by node and no more by zone. */
const PER_NODE_SINCE = 4008;

const ZONE_STATS_BEFORE_4_8 = `
  nr_free_pages nr_alloc_batch@3012-
  nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable nr_mlock
  nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback
  nr_slab_reclaimable nr_slab_unreclaimable nr_page_table_pages nr_kernel_stack nr_unstable nr_bounce
  nr_vmscan_write nr_vmscan_immediate_reclaim@3002- nr_writeback_temp nr_isolated_anon nr_isolated_file
  nr_shmem nr_dirtied@3000- nr_written@3000- nr_pages_scanned@4001-
  ${NUMA_EVENT_NAMES.join(' ')}
  workingset_refault@3015- workingset_activate@3015- workingset_nodereclaim@3015-
  nr_anon_transparent_hugepages@3000- nr_free_cma@3006-`;

const ZONE_STATS = `
  nr_free_pages
  nr_zone_inactive_anon nr_zone_active_anon nr_zone_inactive_file nr_zone_active_file nr_zone_unevictable
  nr_zone_write_pending nr_mlock nr_slab_reclaimable@-4012 nr_slab_unreclaimable@-4012
  nr_page_table_pages@-5010 nr_kernel_stack@-5008 nr_bounce nr_zspages nr_free_cma nr_unaccepted@6005-
  ${NUMA_EVENT_NAMES.join(' ')}`;

const NODE_STATS = `
  nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable
  nr_slab_reclaimable@4013- nr_slab_unreclaimable@4013- nr_isolated_anon nr_isolated_file
  workingset_nodes@4020- workingset_refault@-5008 workingset_refault_anon@5009- workingset_refault_file@5009-
  workingset_activate@-5008 workingset_activate_anon@5009- workingset_activate_file@5009-
  workingset_restore@4020-5008 workingset_restore_anon@5009- workingset_restore_file@5009-
  workingset_nodereclaim nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback nr_writeback_temp
  nr_shmem nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages@5004- nr_file_pmdmapped@5004-
  nr_anon_transparent_hugepages nr_unstable@-5007 nr_vmscan_write nr_vmscan_immediate_reclaim
  nr_dirtied nr_written nr_throttled_written@5016- nr_kernel_misc_reclaimable@4020-
  nr_foll_pin_acquired@5007- nr_foll_pin_released@5007- nr_kernel_stack@5009-
  nr_page_table_pages@5011- nr_sec_page_table_pages@6001- nr_iommu_pages@6011- nr_swapcached@5012-
  pgpromote_success@5018- pgpromote_candidate@6001-
  pgdemote_kswapd@6008- pgdemote_direct@6008- pgdemote_khugepaged@6008-`;

const THRESHOLDS =
  'nr_dirty_threshold nr_dirty_background_threshold nr_memmap_pages@6011- nr_memmap_boot_pages@6011-';

const ZONES = ['dma', 'dma32', 'normal', 'movable', 'device@5018-'];
const perZone = (event: string): string => ZONES.map((zone) => `${event}_${zone}`).join(' ');

const EVENTS = `
  pgpgin pgpgout pswpin pswpout
  ${perZone('pgalloc')} ${perZone('allocstall')} ${perZone('pgskip')}
  pgfree pgactivate pgdeactivate pglazyfree pgfault pgmajfault pglazyfreed pgrefill pgreuse
  pgsteal_kswapd pgsteal_direct pgsteal_khugepaged@6002- pgdemote_kswapd@5015-6007 pgdemote_direct@5015-6007
  pgscan_kswapd pgscan_direct pgscan_khugepaged@6002- pgscan_direct_throttle
  pgscan_anon pgscan_file pgsteal_anon pgsteal_file
  zone_reclaim_success@6011- zone_reclaim_failed pginodesteal slabs_scanned kswapd_inodesteal
  kswapd_low_wmark_hit_quickly kswapd_high_wmark_hit_quickly pageoutrun pgrotated
  drop_pagecache drop_slab oom_kill
  numa_pte_updates numa_huge_pte_updates numa_hint_faults numa_hint_faults_local numa_pages_migrated
  pgmigrate_success pgmigrate_fail
  thp_migration_success thp_migration_fail thp_migration_split
  compact_migrate_scanned compact_free_scanned compact_isolated
  compact_stall compact_fail compact_success
  compact_daemon_wake compact_daemon_migrate_scanned compact_daemon_free_scanned
  htlb_buddy_alloc_success htlb_buddy_alloc_fail
  unevictable_pgs_culled unevictable_pgs_scanned unevictable_pgs_rescued unevictable_pgs_mlocked
  unevictable_pgs_munlocked unevictable_pgs_cleared unevictable_pgs_stranded
  thp_fault_alloc thp_fault_fallback thp_fault_fallback_charge
  thp_collapse_alloc thp_collapse_alloc_failed
  thp_file_alloc thp_file_fallback thp_file_fallback_charge thp_file_mapped
  thp_split_page thp_split_page_failed thp_deferred_split_page thp_underused_split_page@6012- thp_split_pmd
  thp_scan_exceed_none_pte@5017- thp_scan_exceed_swap_pte@5017- thp_scan_exceed_share_pte@5017- thp_split_pud
  thp_zero_page_alloc thp_zero_page_alloc_failed thp_swpout thp_swpout_fallback
  balloon_inflate balloon_deflate balloon_migrate
  swap_ra swap_ra_hit swpin_zero@6012- swpout_zero@6012- ksm_swpin_copy@5018- cow_ksm@5018-
  zswpin zswpout
  direct_map_level2_splits@5013- direct_map_level3_splits@5013-`;

/** Names by which part of the kernel counts. */
export interface CounterNames {
  /** Lines of a zone in /proc/zoneinfo, NUMA events among them. */
  zone: readonly string[];
  /** "per-node stats"; none before 4.8. */
  node: readonly string[];
  thresholds: readonly string[];
  events: readonly string[];
}

export function counterNames(release: number): CounterNames {
  const perNode = release >= PER_NODE_SINCE;
  return {
    zone: namesAt(perNode ? ZONE_STATS : ZONE_STATS_BEFORE_4_8, release),
    node: perNode ? namesAt(NODE_STATS, release) : [],
    thresholds: namesAt(THRESHOLDS, release),
    events: namesAt(EVENTS, release),
  };
}
