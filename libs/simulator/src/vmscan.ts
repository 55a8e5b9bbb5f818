/** Reclaim core: scan balance, shrinking of the four lists, and what happens to each page looked at. */
import { DEF_PRIORITY, SWAP_CLUSTER_MAX } from './constants';
import { countVm, passTime, type KernelState } from './kernel-state';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  accountRun,
  type Run,
} from './lru';
import { canSwap, swapOut } from './swap';
import { freePages, giveFree, type NodeState } from './zone';

/** One reclaimer's task (`struct scan_control`). */
export interface ScanControl {
  nrToReclaim: number;
  priority: number;
  mayWritepage: boolean;
  mayUnmap: boolean;
  maySwap: boolean;
  kswapd: boolean;
  forceDeactivate: boolean;
  /** CPU position whose lists take the freed pages. */
  cpu: number;
  nrScanned: number;
  nrReclaimed: number;
  /** Time of the work since the cost was last settled. */
  costNs: number;
  /** Set when a list was left alone only because pages might be deactivated too early. */
  skippedDeactivate: boolean;
}

export function scanControl(values: Partial<ScanControl> & { cpu: number }): ScanControl {
  return {
    nrToReclaim: SWAP_CLUSTER_MAX,
    priority: DEF_PRIORITY,
    mayWritepage: true,
    mayUnmap: true,
    maySwap: true,
    kswapd: false,
    forceDeactivate: false,
    nrScanned: 0,
    nrReclaimed: 0,
    costNs: 0,
    skippedDeactivate: false,
    ...values,
  };
}

/** @kernel mm/vmscan.c inactive_is_low() */
function inactiveIsLow(node: NodeState, inactiveList: number): boolean {
  const inactive = node.lists[inactiveList]!.pages;
  const active = node.lists[inactiveList + 1]!.pages;
  const gib = Math.floor((inactive + active) / 262144);
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

interface ScanPlan {
  /** Pages to look at per list. */
  nr: [number, number, number, number];
  deactivateAnon: boolean;
  deactivateFile: boolean;
}

/** @kernel mm/vmscan.c prepare_scan_count(), get_scan_count() @differs no memory cgroups */
function getScanCount(k: KernelState, node: NodeState, sc: ScanControl): ScanPlan {
  const sizes = [0, 0, 0, 0];
  for (let list = 0; list < sizes.length; list += 1) sizes[list] = node.lists[list]!.pages;
  const divisor = 2 ** sc.priority;
  const shifted = (list: number): number => Math.floor(sizes[list]! / divisor);
  const force = sc.forceDeactivate;
  const deactivateAnon =
    force || node.refaults[0] !== node.refaultsSeen[0] || inactiveIsLow(node, LRU_INACTIVE_ANON);
  const deactivateFile =
    force || node.refaults[1] !== node.refaultsSeen[1] || inactiveIsLow(node, LRU_INACTIVE_FILE);
  const cacheTrim = shifted(LRU_INACTIVE_FILE) > 0 && !deactivateFile;
  const plan = { deactivateAnon, deactivateFile };
  const share = (list: number, part: number, of: number): number =>
    part === of ? shifted(list) : Math.floor((shifted(list) * part) / Math.max(of, 1));
  const all = (anon: number, file: number, scale: boolean): ScanPlan => {
    const sum = scale ? anon + file : 1;
    return {
      ...plan,
      nr: [share(0, anon, sum), share(1, anon, sum), share(2, file, sum), share(3, file, sum)],
    };
  };
  const { swappiness } = k.sysctl;
  if (!sc.maySwap || !canSwap(k)) return all(0, 1, false);
  if (sc.priority === 0 && swappiness > 0) return all(1, 1, false);
  if (fileIsTiny(node, sizes) && !deactivateAnon && shifted(LRU_INACTIVE_ANON) > 0) {
    return all(1, 0, false);
  }
  if (cacheTrim) return all(0, 1, false);
  const total = node.anonCost + node.fileCost;
  const anonCost = total + node.anonCost;
  const fileCost = total + node.fileCost;
  const sum = anonCost + fileCost;
  const anonShare = Math.floor((swappiness * (sum + 1)) / (anonCost + 1));
  const fileShare = Math.floor(((200 - swappiness) * (sum + 1)) / (fileCost + 1));
  return all(anonShare, fileShare, true);
}

function fileIsTiny(node: NodeState, sizes: number[]): boolean {
  let highPages = 0;
  let free = 0;
  for (const zone of node.zones) {
    highPages += zone.high + zone.boost;
    free += zone.free;
  }
  return sizes[LRU_INACTIVE_FILE]! + sizes[LRU_ACTIVE_FILE]! + free <= highPages;
}

/** One pass of reclaim over a node by the allocating task, which waits for it. */
export function shrinkNode(k: KernelState, node: NodeState, sc: ScanControl): void {
  const pass = shrinkNodeSteps(k, node, sc);
  while (!pass.next().done) continue;
  passTime(k, sc.costNs, true);
  sc.costNs = 0;
}

/**
 * One pass of reclaim over a node, one batch per list (SWAP_CLUSTER_MAX pages) at each step.
 * @kernel mm/vmscan.c shrink_node(), shrink_lruvec()
 */
export function* shrinkNodeSteps(
  k: KernelState,
  node: NodeState,
  sc: ScanControl,
): Generator<void, void> {
  const plan = getScanCount(k, node, sc);
  const targets = plan.nr;
  const nr: number[] = [...plan.nr];
  const goOn = sc.priority === DEF_PRIORITY && !sc.kswapd;
  let reclaimed = 0;
  sc.costNs += k.hardware.reclaimRoundNs;
  while (nr[LRU_INACTIVE_ANON]! + nr[LRU_ACTIVE_FILE]! + nr[LRU_INACTIVE_FILE]! > 0) {
    let looked = false;
    const scannedBefore = sc.nrScanned;
    const reclaimedBefore = reclaimed;
    for (let list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list += 1) {
      if (nr[list]! <= 0) continue;
      const batch = Math.min(nr[list]!, SWAP_CLUSTER_MAX);
      nr[list]! -= batch;
      if (node.lists[list]!.pages > 0) looked = true;
      reclaimed += shrinkList(k, node, list, batch, sc, plan);
    }
    sc.costNs +=
      (sc.nrScanned - scannedBefore) * k.hardware.scanNs +
      (reclaimed - reclaimedBefore) * k.hardware.stealNs;
    if (!looked) break;
    yield;
    if (reclaimed < sc.nrToReclaim || goOn) continue;
    if (!rebalance(nr, targets)) break;
  }
  sc.nrReclaimed += reclaimed;
  if (canSwap(k) && inactiveIsLow(node, LRU_INACTIVE_ANON)) {
    shrinkActiveList(k, node, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
  }
}

/** After the goal is met: drop the smaller type, cut the other in proportion. False: stop. */
function rebalance(nr: number[], targets: readonly number[]): boolean {
  const file = nr[LRU_INACTIVE_FILE]! + nr[LRU_ACTIVE_FILE]!;
  const anon = nr[LRU_INACTIVE_ANON]! + nr[LRU_ACTIVE_ANON]!;
  if (file === 0 || anon === 0) return false;
  const small = file > anon ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
  const big = small === LRU_INACTIVE_ANON ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
  const percentage = Math.floor(
    (Math.min(file, anon) * 100) / (targets[small]! + targets[small + 1]! + 1),
  );
  nr[small] = 0;
  nr[small + 1] = 0;
  for (const list of [big, big + 1]) {
    const scanned = targets[list]! - nr[list]!;
    const kept = Math.floor((targets[list]! * (100 - percentage)) / 100);
    nr[list] = Math.max(kept - scanned, 0);
  }
  return true;
}

function shrinkList(
  k: KernelState,
  node: NodeState,
  list: number,
  pages: number,
  sc: ScanControl,
  plan: ScanPlan,
): number {
  if (list === LRU_ACTIVE_ANON || list === LRU_ACTIVE_FILE) {
    const allowed = list === LRU_ACTIVE_ANON ? plan.deactivateAnon : plan.deactivateFile;
    if (allowed) shrinkActiveList(k, node, list, pages);
    else sc.skippedDeactivate = true;
    return 0;
  }
  return shrinkInactiveList(k, node, list, pages, sc);
}

/** @kernel mm/vmscan.c shrink_active_list() @differs no executable mappings */
export function shrinkActiveList(
  k: KernelState,
  node: NodeState,
  list: number,
  pages: number,
): void {
  let left = pages;
  while (left > 0) {
    const run = node.lists[list]!.take(left);
    if (!run) return;
    left -= run.pages;
    countVm(k, 'pgrefill', run.pages);
    countVm(k, 'pgdeactivate', run.pages);
    // The look at the page tables clears the young bits.
    node.lists[list - 1]!.push({ ...run, young: false, workingset: true });
  }
}

/** @kernel mm/vmscan.c shrink_inactive_list() */
function shrinkInactiveList(
  k: KernelState,
  node: NodeState,
  list: number,
  pages: number,
  sc: ScanControl,
): number {
  let left = Math.min(pages, node.lists[list]!.pages);
  let reclaimed = 0;
  let scanned = 0;
  const back: PutBack[] = [];
  while (left > 0) {
    const run = node.lists[list]!.take(left);
    if (!run) break;
    left -= run.pages;
    scanned += run.pages;
    if (run.mapped && sc.mayUnmap) sc.costNs += run.pages * k.hardware.rmapNs;
    const fate = pageFate(k, run, sc);
    if (fate === 'reclaim') reclaimed += reclaimRun(k, node, run, sc, back);
    else back.push([run, fate]);
  }
  for (const [run, where] of back) putBack(k, node, list, run, where);
  sc.nrScanned += scanned;
  const who = sc.kswapd ? 'kswapd' : 'direct';
  const type = list < LRU_INACTIVE_FILE ? 'anon' : 'file';
  countVm(k, `pgscan_${who}`, scanned);
  countVm(k, `pgscan_${type}`, scanned);
  countVm(k, `pgsteal_${who}`, reclaimed);
  countVm(k, `pgsteal_${type}`, reclaimed);
  return reclaimed;
}

/** `rotate`: written to swap; the end of the write moves it to the tail. */
type PutBack = [run: Run, where: 'keep' | 'activate' | 'rotate'];

/** @kernel mm/vmscan.c move_folios_to_lru(), mm/swap.c folio_rotate_reclaimable() */
function putBack(k: KernelState, node: NodeState, list: number, run: Run, where: PutBack[1]): void {
  if (where === 'rotate') {
    node.lists[list]!.pushOldest(run);
    return;
  }
  node.lists[where === 'activate' ? list + 1 : list]!.push(run);
  if (where === 'keep') return;
  node.nonresidentAge += run.pages;
  countVm(k, 'pgactivate', run.pages);
}

/** @kernel mm/vmscan.c shrink_folio_list(), folio_check_references() */
function pageFate(k: KernelState, run: Run, sc: ScanControl): 'reclaim' | 'keep' | 'activate' {
  const anon = run.owner.kind === 'anon' || run.owner.shmem;
  if (run.mapped && !sc.mayUnmap) return 'keep';
  if (run.mapped && run.young) {
    const active = run.referenced;
    run.young = false;
    run.referenced = true;
    return active ? 'activate' : 'keep';
  }
  run.referenced = false;
  if (!anon && run.dirty) {
    writeBack(k, run, sc);
    return 'reclaim';
  }
  if (anon && run.owner !== k.swapCache && k.swap.freePages < run.pages) return 'activate';
  return 'reclaim';
}

/**
 * Reclaim that meets dirty file pages wakes the flushers, which write everything there is.
 * @kernel mm/vmscan.c shrink_inactive_list(), wakeup_flusher_threads()
 * @differs written at once, and the page looked at is reclaimed in the same look
 */
function writeBack(k: KernelState, run: Run, sc: ScanControl): void {
  let pages = run.pages;
  run.dirty = false;
  run.zone.node.dirtyPages -= run.pages;
  for (const node of k.nodes) {
    for (const list of node.lists) {
      for (const other of node.dirtyPages > 0 ? list.runs() : []) {
        if (!other.dirty || other.owner.kind !== 'file') continue;
        other.dirty = false;
        node.dirtyPages -= other.pages;
        pages += other.pages;
      }
    }
  }
  sc.costNs += pages * k.hardware.pageoutNs;
  countVm(k, 'nr_written', pages);
}

function reclaimRun(
  k: KernelState,
  node: NodeState,
  run: Run,
  sc: ScanControl,
  back: PutBack[],
): number {
  const anon = run.owner.kind === 'anon' || run.owner.shmem;
  if (anon && run.owner !== k.swapCache) {
    if (!sc.mayWritepage) {
      back.push([run, 'keep']);
      return 0;
    }
    sc.costNs += run.pages * k.hardware.pageoutNs;
    node.anonCost += run.pages;
    back.push([swapOut(k, run), 'rotate']);
    return 0;
  }
  if (anon) {
    accountRun(run, -1);
  } else {
    evict(node, run);
    accountRun(run, -1);
  }
  decayCosts(node);
  countVm(k, 'pgfree', run.pages);
  if (run.huge) {
    giveFree(run.zone, run.pages, false);
    run.zone.hugeFree += run.pages;
  } else {
    freePages(run.zone, sc.cpu, run.pages);
  }
  return run.pages;
}

/** Leaves a shadow behind, so that a later read knows how long ago the page left. */
function evict(node: NodeState, run: Run): void {
  node.nonresidentAge += run.pages;
  const { owner } = run;
  owner.present?.spread(run.offset, run.span, -run.pages);
  if (!owner.evicted) return;
  const last = Math.floor((run.offset + run.span - 1) / 512);
  for (let block = Math.floor(run.offset / 512); block <= last; block += 1) {
    owner.evicted.set(block, {
      nodePosition: node.position,
      age: node.nonresidentAge,
      workingset: run.workingset,
    });
  }
}

/** @kernel mm/swap.c lru_note_cost() */
function decayCosts(node: NodeState): void {
  const lruPages = node.lists.slice(0, 4).reduce((sum, list) => sum + list.pages, 0);
  if (node.anonCost + node.fileCost > lruPages / 4) {
    node.anonCost = Math.floor(node.anonCost / 2);
    node.fileCost = Math.floor(node.fileCost / 2);
  }
}

/** Charges the file list for the re-read of pages that were active before. */
export function noteFileCost(node: NodeState, pages: number): void {
  node.fileCost += pages;
  decayCosts(node);
}

/** Pages that reclaim could free in a zone at best; free pages stand in where there are none (6.1.y). */
export function zoneReclaimablePages(k: KernelState, zone: NodeState['zones'][number]): number {
  let pages = zone.lruPages[LRU_INACTIVE_FILE]! + zone.lruPages[LRU_ACTIVE_FILE]!;
  if (canSwap(k)) pages += zone.lruPages[LRU_INACTIVE_ANON]! + zone.lruPages[LRU_ACTIVE_ANON]!;
  return pages > 0 ? pages : zone.free;
}

/**
 * Direct reclaim of the allocating task over the nodes of its zonelist.
 * @param highOrderReady for a huge page: a zone has room for compaction, reclaim may stop
 * @returns pages freed
 * @kernel mm/vmscan.c try_to_free_pages(), do_try_to_free_pages()
 */
export function tryToFreePages(
  k: KernelState,
  nodes: NodeState[],
  cpu: number,
  highOrderReady?: () => boolean,
): number {
  countVm(k, 'allocstall_movable');
  let freed = 0;
  for (const forceDeactivate of [false, true]) {
    const sc = scanControl({ cpu, forceDeactivate });
    for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority -= 1) {
      for (const node of nodes) {
        const before = sc.nrReclaimed;
        shrinkNodeForOrder(k, node, sc, highOrderReady);
        if (sc.nrReclaimed > before) node.kswapdFailures = 0;
      }
      if (sc.nrReclaimed >= sc.nrToReclaim) break;
      if (highOrderReady?.()) break;
    }
    freed += sc.nrReclaimed;
    for (const node of nodes) node.refaultsSeen = [...node.refaults];
    if (freed > 0 || !sc.skippedDeactivate) break;
  }
  k.totals.directReclaimedPages += freed;
  return freed;
}

/** @kernel mm/vmscan.c should_continue_reclaim() */
function shrinkNodeForOrder(
  k: KernelState,
  node: NodeState,
  sc: ScanControl,
  highOrderReady?: () => boolean,
): void {
  for (;;) {
    const before = sc.nrReclaimed;
    shrinkNode(k, node, sc);
    if (!highOrderReady || sc.nrReclaimed === before || highOrderReady()) return;
  }
}
