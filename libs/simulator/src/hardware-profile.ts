/** What operations cost in virtual time. Data, with the source of each number. */

/**
 * Nanoseconds unless the name says otherwise. Times and stalls follow from these; so does where pages
 * go while kswapd races an allocator that may take from several nodes, or that may be swapped for.
 */
export interface HardwareProfile {
  name: string;
  description: string;
  /** First touch of a base page on a local node: fault, zeroing, page table. */
  faultNs: number;
  /** Added when the page lies on another node. */
  remoteFaultNs: number;
  /** First touch of a 2 MiB page. */
  hugeFaultNs: number;
  /** Making a hugetlb page of a free block, without clearing it. */
  hugetlbPageNs: number;
  /** Added per base page of a huge or base fault on memory that the machine has not used since it started. */
  freshPageNs: number;
  /** The same for a page that is read into the cache; 0 where that is part of `cacheReadNs` and such pages are not counted. */
  freshReadNs: number;
  /** Pages that may be used for the first time before that costs anything. */
  freshFreePages: number;
  /** Reading one page into the cache, device excluded. */
  cacheReadNs: number;
  /** Reading one page that the cache holds. */
  cacheHitNs: number;
  /** Scanning one page in reclaim. */
  scanNs: number;
  /** Added for a page that a process maps: its page tables are looked up. */
  rmapNs: number;
  /** Freeing one reclaimed page. */
  stealNs: number;
  /** Entering one round of reclaim (isolation, slab shrinkers, bookkeeping). */
  reclaimRoundNs: number;
  /** Before the first batch that a machine ever reclaims: its code has not run yet. */
  firstReclaimNs: number;
  /** Writing one page to swap. */
  pageoutNs: number;
  /** Dirty file pages that become clean per second of writeback (pages per second). */
  writebackPagesPerSecond: number;
  /** From waking the flusher to its first pages being handed to the device. */
  flusherLatencyNs: number;
  /** A write to swap, from its issue to its end: each request, and each of its pages. */
  swapWriteNs: number;
  swapWritePageNs: number;
  /** Most pages that one request to the swap device can hold. */
  swapRequestPages: number;
  /** The swap device has one place at a time: its area is not divided into clusters. */
  swapRotational: boolean;
  /** Reading one page back from swap. */
  swapInNs: number;
  /** Freeing one page at exit. */
  freeNs: number;
  /** From waking kswapd to its first look, on a CPU of its own. */
  kswapdWakeNs: number;
  /** One page looked at by a scanner of compaction. */
  compactScanNs: number;
  /** Moving one page to another frame. */
  migrateNs: number;
  /** From the start of a replay to the first look of each kcompactd at its node. */
  firstCompactCheckNs: number;
  /** From a replay's start to the next statistics work of its CPUs, which comes once a second. */
  vmstatPhaseNs: number;
  /** From a replay's start to the next sum of the statistics of memory cgroups, which comes every two seconds. */
  statsFlushPhaseNs: number;
  /** Reading the state after a step, while the statistics work goes on. */
  readoutNs: number;
  /** One OOM kill, from the decision to the freed memory. */
  oomKillNs: number;
  /** Where the numbers come from. */
  sources: string[];
}

const LAB_TCG: HardwareProfile = {
  name: 'lab-tcg',
  description: 'Emulated machine that the recorded kernel cases ran on',
  faultNs: 8_400,
  remoteFaultNs: 0,
  hugeFaultNs: 2_300_000,
  hugetlbPageNs: 40_000,
  freshPageNs: 8_400,
  freshReadNs: 0,
  freshFreePages: 130_000,
  cacheReadNs: 11_000,
  cacheHitNs: 6_300,
  scanNs: 400,
  rmapNs: 900,
  stealNs: 1_400,
  reclaimRoundNs: 5_000,
  firstReclaimNs: 2_600_000,
  pageoutNs: 12_000,
  swapWriteNs: 60_000,
  swapWritePageNs: 0,
  swapRequestPages: 254,
  swapRotational: true,
  writebackPagesPerSecond: 100_000,
  flusherLatencyNs: 60_000_000,
  swapInNs: 33_000,
  freeNs: 850,
  kswapdWakeNs: 50_000,
  compactScanNs: 200,
  migrateNs: 6_500,
  firstCompactCheckNs: 118_000_000,
  vmstatPhaseNs: 460_000_000,
  statsFlushPhaseNs: 490_000_000,
  readoutNs: 40_000_000,
  oomKillNs: 100_000_000,
  sources: [
    'faultNs, cacheReadNs: wall times of the recorded touch and cache steps divided by their pages',
    'cacheHitNs: 64 000 cached pages in the 0.40 to 0.43 s of F03 step 12',
    'hugeFaultNs: wall times of recorded touches of huge pages without reclaim, 2.2 to 2.6 ms each',
    'hugetlbPageNs: 132 pages in 5.5 ms in the boot of H02 step 6 that compacted least',
    'swapWriteNs, swapWritePageNs: a request is over 50 to 70 us after its issue by the share of pages whose write ends before they are back on their list, 1 to 5 of 100 in recorded steps that swap; traced times of the same requests hold mostly waits of the emulator',
    'swapRequestPages, swapRotational: max_segments of that disk, and its kernel log at swapon',
    'freshPageNs, freshFreePages: samples of recorded touches: 8.8 us a page up to about 480 MiB touched in all, 16.4 us from there on, 8.8 us again for memory that was in use before (the emulator gets its own memory from its host then); local or remote makes no difference',
    'scanNs, stealNs, reclaimRoundNs: wall times of touches with and without node reclaim compared',
    'firstReclaimNs: traced in boots of F05, the least of each: 1.4 ms from the first run of kswapd to its first isolated pages (1.6 to 2 ms in F04) and 1.2 ms until that batch of 15 is free, where later runs and batches take 0.05 and 0.1 ms (the emulator translates code when it runs first)',
    'pageoutNs, swapInNs: wall times of touches that swap, less the faults, divided by pages swapped',
    'rmapNs: traced batches of 32 young mapped pages, 40 to 44 us each',
    'writebackPagesPerSecond: 204 269 pages written in the 2.09 s of A08 step 9, less the latency; the flusher shares the CPU with the guest there',
    'flusherLatencyNs: first pages clean about 70 ms (60 to 100) after the wake-up in runs of A08, less their 10 ms on the device',
    'migrateNs, compactScanNs: 46 827 pages moved and 194 400 looked at in the 0.34 s of H04 step 6',
    'firstCompactCheckNs: traced in a boot of A01: 118 ms behind the beginning of its first step',
    'vmstatPhaseNs, readoutNs: how often lists of 6.12 that nobody used had shrunk after each of 220 steps, by the steps wall times: 440 to 480 ms and 40 ms fit 16 of 20 cases without a difference',
    'freeNs: wall times of recorded kills of guests of base pages, 0.82 to 0.86 us a page',
    'all others: set in proportion; the emulator shows order and ratio only',
  ],
};

export const hardwareProfiles: Record<string, HardwareProfile> = {
  'generic-2s': {
    name: 'generic-2s',
    description: 'Two-socket x86-64 server of the last years, NVMe swap',
    faultNs: 500,
    remoteFaultNs: 120,
    hugeFaultNs: 90_000,
    hugetlbPageNs: 4_000,
    freshPageNs: 0,
    freshReadNs: 0,
    freshFreePages: 0,
    cacheReadNs: 900,
    cacheHitNs: 400,
    scanNs: 60,
    rmapNs: 150,
    stealNs: 250,
    reclaimRoundNs: 1_500,
    firstReclaimNs: 0,
    pageoutNs: 12_000,
    swapWriteNs: 20_000,
    swapWritePageNs: 2_000,
    swapRequestPages: 127,
    swapRotational: false,
    writebackPagesPerSecond: 500_000,
    flusherLatencyNs: 1_000_000,
    swapInNs: 80_000,
    freeNs: 120,
    kswapdWakeNs: 10_000,
    compactScanNs: 10,
    migrateNs: 1_500,
    firstCompactCheckNs: 512_000_000,
    vmstatPhaseNs: 0,
    statsFlushPhaseNs: 1_000_000_000,
    readoutNs: 0,
    oomKillNs: 50_000_000,
    sources: [
      'cacheHitNs: assumed, copying 4 KiB at 10 GB/s',
      'faultNs, freeNs: assumed, 2 GB/s first touch per thread, as page-fault benchmarks of such hosts commonly show',
      'hugeFaultNs: assumed, clearing 2 MiB at about 23 GB/s',
      'hugetlbPageNs: assumed, 512 page structures written',
      'remoteFaultNs: assumed, 60 to 70 ns more per cache-line miss, partly hidden',
      'scanNs, stealNs, reclaimRoundNs, rmapNs, kswapdWakeNs: assumed, 3 to 4 million clean pages per second per thread',
      'pageoutNs, swapInNs: assumed, NVMe at queue depth 1 to 8',
      'writebackPagesPerSecond: assumed, 2 GB/s sequential writes of an NVMe device',
      'flusherLatencyNs: assumed, start of a kernel worker and allocation of the first extent',
      'compactScanNs, migrateNs: assumed, a cache miss per page looked at; copying 4 KiB, unmapping and mapping it',
      'firstReclaimNs: none, a host in use has reclaimed before',
      'oomKillNs: assumed, exit of a guest of some GiB',
    ],
  },
  'lab-tcg': LAB_TCG,
  /** Where per-CPU lists tune themselves (6.12) much hangs on time: reads cost what the recordings of that kernel took. */
  'lab-tcg-6.12': {
    ...LAB_TCG,
    name: 'lab-tcg-6.12',
    cacheReadNs: 10_600,
    freshReadNs: 8_400,
    freeNs: 740,
    sources: [
      'cacheReadNs, freshReadNs: the 217 600 pages of a read took 3.04 s on average of 18 boots (2.5 to 3.9 s); reads pay for fresh memory what touches do',
      'freeNs: wall times of recorded kills of guests of base pages, 0.69 to 0.81 us a page',
      'statsFlushPhaseNs: sums come every 2.016 s after the kernel started, and a replay starts 0.54 s behind a whole second of that, by vmstatPhaseNs; which second is not known, and odd ones fit what reclaim deactivates in F02',
      ...LAB_TCG.sources,
    ],
  },
};
