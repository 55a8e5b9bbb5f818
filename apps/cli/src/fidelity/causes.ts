/** Why the model misses what it misses, as far as it is known; docs/FIDELITY.md lists each miss under its cause. */

export interface Cause {
  title: string;
  /** What the kernel does there, and what the model does instead. */
  text: string;
  /** Misses as the case's short id, key and step: `B02 d.vmstat.numa_miss 10`. */
  misses: RegExp;
}

/** The first cause that fits a miss holds. */
const CAUSES: readonly Cause[] = [
  {
    title: 'When kcompactd looks, and where the kernel’s pages lie',
    text: `kcompactd looks at every node about twice a second, and compacts it when its free pages are in small pieces: when the node has just
become full, mostly in vain. On which side of a step's end such a moment falls hangs on how long the steps before took, to some 100 ms in several
seconds; the boots of one case differ in it. How many pages the scanners look at before the first one that they can move, or use, is a question
of addresses, which no file of a host prints and which are decreed.`,
    misses: /^(\w+ d\.vmstat\.(compact_|pgmigrate_)|E06 |C01 zone\.)/,
  },
  {
    title: 'A last list refill on the edge of a mark',
    text: `Every few seconds a CPU hands back a part of the pages that it holds of another node. That can lift a nearly full node just over its mark, after
its last movable pages are gone: the next refill steals a small block, boosts the zone and starts kswapd there, and what that frees is used, perhaps down to
the last movable page again. About every third recorded boot of such a case does this, in one step or another; the model does it in some steps too, and
not always in those of the recording.`,
    misses: /^(A01|A13|C01|C03) (d\.|guest\.|node\.|zone\.)/,
  },
  {
    title: 'A boost in DMA32 turns the file list round',
    text: `A movable request that finds the Movable lists of DMA32 empty takes a block of another type there; the block is small, so
the zone is boosted, and kswapd is woken for the class of that zone, not of the request. The next request finds the zone boosted, and asks for
its own class; kswapd reads what was asked for when it gets a CPU. Where it has one before that request, its run passes over all pages of Normal, which counts
them as scanned, and puts them at the head of the list, so that the node gives up DMA32 pages first from then on: few at a time. Which of the two
comes first is a matter of microseconds: a run turned the list round in one of three recorded boots of F01, F02 and F04 (\`pgskip_normal\`), in none of F05, and in two of four
traced ones of F05; in the model the request comes first. Whether DMA32 is boosted at all depends on the pieces that it has left at that moment.`,
    misses:
      /^[ACF]\d\d d\.vmstat\.pgscan_file|^F05 (d\.vmstat\.(workingset_|pswp|pgdeactivate|pgrefill|pgscan|pgsteal)|guest\.|node\.|swap_used_kib)/,
  },
  {
    title: 'Pages that swapping needs for itself',
    text: `Writing to swap takes kernel pages for the requests to the device, which are allocated and freed as it goes, by the node's own
kswapd and, where that node is below its marks, on the other node. They show as allocations and misses in the NUMA counters. They are not
modelled.`,
    misses: /^(B02|I03|F03|F05) d\.(vmstat\.numa_|numastat\.)/,
  },
  {
    title: 'Pages read back from swap',
    text: `A page that a guest only reads back stays in the swap cache with its slot as long as swap is less than half full; it counts as a
file page, and as a refault. How many there are hangs on how much was in swap.`,
    misses: /^(B02|J03) (swap_used_kib|node\.\d\.nr_file_pages|d\.vmstat\.workingset_refault_anon)/,
  },
  {
    title: 'Which idle pages go to swap, and how many',
    text: `Requests to the swap device, their ends and the pages that stay behind are modelled; how long the device takes is one
figure for all requests, and the kernel's boots differ by a few hundred pages. In I03 the kernel's kswapd goes over the pages of node 0 after the
step, and takes a few of them; the model's node has room by then.`,
    misses: /^(F03|F05|I03) (guest\.|swap_used_kib|node\.)/,
  },
  {
    title: 'Reclaim on the other side of a step’s end',
    text: `kswapd sleeps lightly between two runs and may take up the rest of its work in the step after. In these cases the same pages are reclaimed, in the
model a step earlier or later than in the kernel; in I03 the kernel's kswapd goes on scanning in the step after, the model's does not. It is a question of pace.`,
    misses:
      /^(I01 (d\.vmstat\.\S+|zone\.0\.\S+|node\.0\.\S+) [67]|I02 (d\.|node|zone).* 2[23]|E04 .*|I03 d\.vmstat\.(pgscan_anon|pswpout) 10)$/,
  },
  {
    title: 'A killed guest frees its memory at once',
    text: `Until the memory of a killed guest is free, the task that asked goes on with direct reclaim, 17 times per scheduler tick. Each time it looks at
the few file pages that file systems hold. In the model the memory is free at once.`,
    misses: /^(B03|I04) d\.vmstat\.pg/,
  },
  {
    title: 'The last pages of zone DMA',
    text: `A mark reads the zone's free pages as the CPUs have last reported them: four pages late at most for each CPU, two while kswapd is awake. So the zone is
used to somewhere between its mark and five pages below, one page more or less splits up to five blocks, and boots agree where their requests do. In A03 the
kernel leaves 1,111 pages: 3,776 less 533 reports of five, the last when 1,116 were above the mark of 1,115. In the model two slabs of two pages each
make a report of six, and 1,114 are left. Where a slab falls among the pages read is not printed: a replay that begins with another slab ends at 1,111 too.
In F01, F03, F04 and F05 the kernel takes three pages more at the min mark, 655 instead of 658, or six of them lie on a CPU's list: whether requests get down
to that mark hangs on how long the first reclaim takes. In C04 and C08 five pages go from the zone to a CPU's list one step later than in the kernel.`,
    misses: /^\w+ extfrag\.\d\.DMA\./,
  },
  {
    title: 'Where the pages of per-CPU lists lie',
    text: `/proc/zoneinfo counts the pages of each CPU's list, and says neither their addresses nor their types; which blocks they merge to when a list is given back is
decreed. In I02 the free blocks of DMA32 are the kernel's until step 14, but for a few; in step 16 all lists are given back, the same 2,190 pages, mostly since boot
on CPU 0's: they make some thirty pieces of up to 512 pages in the kernel, and a few large ones in the model. In C04 it is
CPU 2's list, of which the kernel gives back 743 pages in step 4 and no block of 512 comes of them. In D03 the statistics work of step 6 and before gives back pages
of a remote CPU: single pages and pairs in the kernel, longer pieces in the model.`,
    misses: /^(I02 extfrag\.0\.DMA32|C04 extfrag\.0\.DMA32|D03 extfrag\.2\.Normal)/,
  },
  {
    title: 'Kernel pages of swapping among the last free ones',
    text: `While a node swaps, its last free pages are also where the requests to the device and the tables of swap come from. Where they were taken and given back, the kernel
has many single free pages and pairs of type Unmovable (/proc/pagetypeinfo: in B02 12 in DMA32 after step 10, in I03 25 in node 1 after step 9), and where they
stole a Movable block, a boost (1,024 pages in I03 step 11), above which kswapd frees whole blocks again. The model has fewer such pages, or none.`,
    misses: /^(B02 extfrag\.0\.DMA32|F03 extfrag\.0\.DMA32|I03 extfrag\.1\.Normal)/,
  },
  {
    title: 'Which CPU a process runs on',
    text: `The model runs what the first process starts on another CPU of the node, always the same. The scheduler may move it: in the first boot of F05, CPU 0's list of DMA32
falls from 1,041 pages to 9 while the file is read, and CPU 1's from 109 to 16, so the reader ran on both. In the model the 1,041 pages stay where they are until all lists
are given back, and the reader takes others.`,
    misses: /^F05 extfrag\.0\.DMA32\.order9 [89]$/,
  },
  {
    title: 'Which zone gives up pages',
    text: `In two of the three boots of F02 the guest of step 8 gets some 13,000 pages from DMA32 and 28,600 from Normal; in the third, whose kswapd turned the list round, 36,144 and 5,630
(\`pgalloc_dma32\`, \`pgalloc_normal\`; the boots of F01 and F04 divide alike); the model is as the two. kswapd gives back pages of the one zone or of the other. What DMA32 gets and
gives passes through its last free pages, whose pieces the index counts.`,
    misses: /^F0[124] extfrag\.0\.DMA32/,
  },
  {
    title: 'What stays on a list when pipes are closed',
    text: `A pipe that is closed gives back its pages, then its slots, whose slabs hold four. SLUB gathers three such slabs before it gives any back: in a traced boot three blocks of
eight pages are freed with every twelfth pipe, each time 1,203 frees after the last. Such a block empties the CPU's whole list; the pages of the pipes closed after the last of
them stay there, 718 frees in that boot, as far as full lists do not give them up: CPU 1 holds 214 pages of Normal in the recorded state. Each pipe has every 256th page, so that no block larger than
128 pages merges. In the model all slabs are given back at the end, and leave the list empty.`,
    misses: /^E07 extfrag\.0\.Normal/,
  },
];

/** What fits none of the causes. */
const NOT_FOUND: readonly Cause[] = [
  {
    title: 'Cause not found: how the last free pages are cut',
    text: `The fragmentation index of a nearly full zone hangs on the pieces that its last few hundred pages lie in. Compaction moves some of them and may
account for a part; which, has not been established.`,
    misses: /^\w+ extfrag\./,
  },
  {
    title: 'Cause not found',
    text: 'No mechanism has been established for these.',
    misses: /^/,
  },
];

/** For misses that no cause above explains, and that replays from other start states do not all share. */
const UNDETERMINED: Cause = {
  title: 'What no file prints of the start state',
  text: `The files that a case begins with do not say what the last refill left on each CPU's list of an order and type, how much of these lists is of the kernel's types,
how full the slab is that page cache nodes come from, and where the statistics work and kcompactd are in their intervals. The model takes the middle. Each case with
misses was replayed twelve more times with other values, as likely as these; the least and the greatest prediction stand behind the first. The values below
are within the kernel's range in at least one replay, or the replays lie on both sides of it, so that the recorded state does not determine them. Most are fragmentation indices of
nearly full zones: they count the pieces that the last few hundred pages lie in, and one page more or less can change five of these. In A16, for one, the
kernel's list of Unmovable pages ran out during the read: its refill took 63 pages of a block of 128, and that many Movable ones were left; a replay that begins
with that list empty ends so too.`,
  misses: /^/,
};

/** All causes in the order in which they are listed. */
export const ALL_CAUSES: readonly Cause[] = [...CAUSES, UNDETERMINED, ...NOT_FOUND];

/**
 * The cause of a miss of `key` in a step of the case with this id.
 * @param undetermined whether a replay from another start state predicts the value rightly
 */
export function causeOf(id: string, key: string, step: number, undetermined = false): Cause {
  const miss = `${id.split('-', 1)[0]} ${key} ${step}`;
  const known = CAUSES.find(({ misses }) => misses.test(miss));
  if (known) return known;
  return undetermined ? UNDETERMINED : NOT_FOUND.find(({ misses }) => misses.test(miss))!;
}
