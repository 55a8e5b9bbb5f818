import { COMPACT_SKIPPED } from './compact-control';
import { note } from './events';
import { compactGap, compactionSuitable } from './fragmentation';
import {
  addToLru,
  clearPage,
  hasFlag,
  isFile,
  isActive,
  isInactiveLow,
  noteCost,
  removeFromLru,
  setFlag,
  testClearFlag,
} from './lru';
import { freePage } from './pcp';
import { eligiblePages, getScanCount, prepareScanCount } from './scan-count';
import type { ScanControl } from './scan-count';
import { endWrites, flushPlug, isUnderWriteback, submitPage } from './swap-write';
import {
  ACTIVE_ANON,
  ACTIVE_FILE,
  COSTLY_ORDER,
  INACTIVE_ANON,
  INACTIVE_FILE,
  PG_REFERENCED,
  PG_SWAPCACHE,
  PG_WORKINGSET,
  SWAPPED,
  SWAP_CLUSTER_MAX,
  YOUNG,
  count,
  zoneOf,
} from './state';
import type { Node, Owner, System } from './state';
import { NO_RIGHTS } from './watermark';

const KSWAPD_EVENTS = { scan: 'pgscan_kswapd', steal: 'pgsteal_kswapd' };
const DIRECT_EVENTS = { scan: 'pgscan_direct', steal: 'pgsteal_direct' };
const ANON_EVENTS = { scan: 'pgscan_anon', steal: 'pgsteal_anon' };
const FILE_EVENTS = { scan: 'pgscan_file', steal: 'pgsteal_file' };

/**
 * Takes pages from the tail of a list. Pages of too high zones are skipped without being counted against the
 * wish; mapped pages are counted but go to the head if they may not be unmapped.
 * @kernel mm/vmscan.c isolate_lru_folios()
 * @differs no pgskip counters
 * @returns the pages in the order they were taken, and all that were passed, skipped ones too
 */
function isolatePages(
  system: System,
  node: Node,
  sc: ScanControl,
  list: number,
  nrToScan: number,
): { taken: number[]; scanned: number } {
  const taken: number[] = [];
  const skipped: number[] = [];
  const head = node.lru[list] as number;
  if (eligiblePages(node, list, sc.reclaimIndex) === 0) {
    // The walk would take every page off and put all of them back in the same order.
    return { taken, scanned: node.lruPages[list] ?? 0 };
  }
  let scanned = 0;
  for (let scan = 0; scan < nrToScan && !system.lists.isEmpty(head);) {
    const page = system.lists.last(head);
    scanned++;
    if (zoneOf(system, page).index > sc.reclaimIndex) {
      system.lists.remove(page);
      skipped.push(page);
      continue;
    }
    scan++;
    if (!sc.mayUnmap && system.pages.mapped[page] === 1) {
      system.lists.remove(page);
      system.lists.addHead(head, page);
      continue;
    }
    removeFromLru(system, page);
    taken.push(page);
  }
  note(system, 'zone skipped by reclaim', skipped.length > 0 ? 1 : 0);
  for (const page of skipped) {
    system.lists.addHead(head, page);
  }
  return { taken, scanned };
}

type Fate = 'free' | 'keep' | 'activate' | 'swapped';

/** @kernel mm/vmscan.c folio_check_references() */
function checkReferences(system: System, page: number): 'reclaim' | 'keep' | 'activate' {
  const young = testClearFlag(system, page, YOUNG);
  const referenced = testClearFlag(system, page, PG_REFERENCED);
  if (!young) {
    return 'reclaim';
  }
  setFlag(system, page, PG_REFERENCED);
  return referenced && system.mutation !== 'second reference does not activate'
    ? 'activate'
    : 'keep';
}

/**
 * Gives an anonymous page a swap slot and writes it; the frame stays as swap cache.
 * @kernel mm/vmscan.c shrink_folio_list(), add_to_swap(), pageout()
 */
function swapOut(system: System, page: number): void {
  const owner = system.owners.get(system.pages.owner[page] ?? -1) as Owner;
  const index = system.pages.ownerIndex[page] ?? 0;
  system.swapFree--;
  note(system, 'page swapped out');
  note(system, 'swap full', system.swapFree === 0 ? 1 : 0);
  owner.pages[index] = SWAPPED;
  owner.swapCache.set(index, page);
  system.pages.mapped[page] = 0;
  testClearFlag(system, page, YOUNG | PG_REFERENCED);
  setFlag(system, page, PG_SWAPCACHE);
  count(system, 'pswpout');
  count(system, 'nr_vmscan_write');
}

/** The clock of the task that reclaims. */
function nowNs(system: System, node: Node, sc: ScanControl): number {
  return (sc.kswapd ? node.kswapd.nowNs : system.timeNs) + sc.costNs;
}

/** What becomes of one isolated page. @kernel mm/vmscan.c shrink_folio_list() */
function shrinkPage(
  system: System,
  node: Node,
  sc: ScanControl,
  page: number,
  file: boolean,
): Fate {
  if (isUnderWriteback(system, page)) {
    sc.costNs += system.config.costs.stealNs;
    return 'activate';
  }
  if (system.pages.mapped[page] === 1) {
    sc.costNs += system.config.costs.rmapNs;
  }
  const references = checkReferences(system, page);
  if (references !== 'reclaim') {
    return references;
  }
  if (file || hasFlag(system, page, PG_SWAPCACHE)) {
    return 'free';
  }
  if (system.swapFree === 0) {
    return 'activate';
  }
  if (!sc.mayWritepage) {
    return 'keep';
  }
  swapOut(system, page);
  sc.costNs += system.config.costs.pageoutNs;
  submitPage(system, sc, page, nowNs(system, node, sc));
  return 'swapped';
}

/** The owner of a page that reclaim frees no longer has it; what is on swap stays there. */
function forget(system: System, node: Node, page: number, file: boolean): void {
  const owner = system.owners.get(system.pages.owner[page] ?? -1) as Owner;
  const index = system.pages.ownerIndex[page] ?? 0;
  node.nonresidentAge++;
  if (file) {
    owner.pages[index] = -1;
  } else {
    owner.swapCache.delete(index);
  }
  clearPage(system, page);
}

/**
 * @kernel mm/vmscan.c shrink_inactive_list(), shrink_folio_list(), move_folios_to_lru()
 * @returns pages reclaimed
 */
function shrinkInactiveList(
  system: System,
  node: Node,
  sc: ScanControl,
  list: number,
  nrToScan: number,
): number {
  const file = isFile(list);
  const events = [sc.kswapd ? KSWAPD_EVENTS : DIRECT_EVENTS, file ? FILE_EVENTS : ANON_EVENTS];
  endWrites(system, nowNs(system, node, sc));
  const { taken, scanned } = isolatePages(system, node, sc, list, nrToScan);
  events.forEach(({ scan }) => count(system, scan, scanned));
  sc.costNs += scanned * system.config.costs.scanNs;
  if (taken.length === 0) {
    return 0;
  }
  sc.nrScanned += taken.length;
  const fates = taken.map((page) => shrinkPage(system, node, sc, page, file));

  const freed = taken.filter((_, i) => fates[i] === 'free');
  if (system.mutation !== 'batch freed in order of isolation') {
    freed.reverse();
  }
  for (const page of freed) {
    forget(system, node, page, file);
  }
  for (const page of freed) {
    freePage(system, page, 0, sc.cpu);
  }
  note(system, file ? 'file page reclaimed' : 'swap cache freed', freed.length);
  endWrites(system, nowNs(system, node, sc));
  let written = 0;
  taken.forEach((page, i) => {
    if (fates[i] === 'keep') {
      note(system, 'page kept');
      addToLru(system, page, list);
    } else if (fates[i] === 'activate') {
      note(system, 'page activated');
      addToLru(system, page, list + 1);
      count(system, 'pgactivate');
      node.nonresidentAge++;
    } else if (fates[i] === 'swapped') {
      addToLru(system, page, list);
      written++;
    }
  });
  events.forEach(({ steal }) => count(system, steal, freed.length));
  sc.costNs += freed.length * system.config.costs.stealNs;
  noteCost(system, node, file, written);
  return freed.length;
}

/**
 * Moves pages from the tail of an active list to the head of its inactive one, referenced or not.
 * @kernel mm/vmscan.c shrink_active_list()
 * @differs no executable file pages, which alone would stay active
 */
export function shrinkActiveList(
  system: System,
  node: Node,
  sc: ScanControl,
  list: number,
  nrToScan: number,
): void {
  const { taken, scanned } = isolatePages(system, node, sc, list, nrToScan);
  count(system, 'pgrefill', scanned);
  count(system, 'pgdeactivate', taken.length);
  note(system, 'page deactivated', taken.length);
  for (const page of taken) {
    testClearFlag(system, page, YOUNG);
    setFlag(system, page, PG_WORKINGSET);
    addToLru(system, page, list - 1);
  }
}

/** @kernel mm/vmscan.c shrink_list() */
function shrinkList(
  system: System,
  node: Node,
  sc: ScanControl,
  list: number,
  nrToScan: number,
): number {
  if (!isActive(list)) {
    return shrinkInactiveList(system, node, sc, list, nrToScan);
  }
  if (isFile(list) ? sc.mayDeactivateFile : sc.mayDeactivateAnon) {
    shrinkActiveList(system, node, sc, list, nrToScan);
  } else {
    sc.skippedDeactivate = true;
  }
  return 0;
}

function takeCost(sc: ScanControl): number {
  const cost = sc.costNs;
  sc.costNs = 0;
  return cost;
}

/**
 * When enough is reclaimed, the kind with less left to scan is left alone, and the other one is scanned to
 * the same share of its target.
 * @kernel mm/vmscan.c shrink_lruvec()
 */
function adjustTargets(
  left: number[],
  targets: readonly number[],
  anon: number,
  file: number,
): void {
  const at = (values: readonly number[], list: number): number => values[list] ?? 0;
  const [small, large, smallLeft] =
    file > anon ? [INACTIVE_ANON, INACTIVE_FILE, anon] : [INACTIVE_FILE, INACTIVE_ANON, file];
  const target = at(targets, small) + at(targets, small + 1) + 1;
  const percentage = Math.floor((smallLeft * 100) / target);
  left[small] = 0;
  left[small + 1] = 0;
  for (const list of [large, large + 1]) {
    const scanned = at(targets, list) - at(left, list);
    const wanted = Math.floor((at(targets, list) * (100 - percentage)) / 100);
    left[list] = wanted - Math.min(wanted, scanned);
  }
}

/** @kernel mm/vmscan.c shrink_lruvec() */
function* shrinkLruvec(system: System, node: Node, sc: ScanControl): Generator<number, void> {
  const targets = getScanCount(system, node, sc);
  const left = [...targets];
  const of = (list: number): number => left[list] ?? 0;
  const wholePass = !sc.kswapd && sc.priority === 12;
  let reclaimed = 0;
  while (of(INACTIVE_ANON) > 0 || of(ACTIVE_FILE) > 0 || of(INACTIVE_FILE) > 0) {
    for (const list of [INACTIVE_ANON, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE]) {
      if (of(list) > 0) {
        const batch = Math.min(of(list), SWAP_CLUSTER_MAX);
        left[list] = of(list) - batch;
        reclaimed += shrinkList(system, node, sc, list, batch);
      }
    }
    yield takeCost(sc);
    if (reclaimed < sc.nrToReclaim || wholePass) {
      continue;
    }
    const file = of(INACTIVE_FILE) + of(ACTIVE_FILE);
    const anon = of(INACTIVE_ANON) + of(ACTIVE_ANON);
    if (file === 0 || anon === 0) {
      break;
    }
    adjustTargets(left, targets, anon, file);
  }
  flushPlug(system, sc, nowNs(system, node, sc));
  sc.nrReclaimed += reclaimed;
  if (system.config.swapPages > 0 && isInactiveLow(node, INACTIVE_ANON)) {
    shrinkActiveList(system, node, sc, ACTIVE_ANON, SWAP_CLUSTER_MAX);
  }
}

/** @kernel mm/vmscan.c should_continue_reclaim(), in_reclaim_compaction() */
function shouldContinueReclaim(
  system: System,
  node: Node,
  sc: ScanControl,
  reclaimed: number,
): boolean {
  const { order, reclaimIndex } = sc;
  const forCompaction = order > COSTLY_ORDER || (order > 0 && sc.priority < 12 - 2);
  if (system.config.compaction === undefined || !forCompaction || reclaimed === 0) {
    return false;
  }
  const zones = node.zones.filter((zone) => zone.index <= reclaimIndex);
  const suitable = zones.some(
    (zone) => compactionSuitable(system, zone, order, NO_RIGHTS, reclaimIndex) !== COMPACT_SKIPPED,
  );
  const anon = system.swapFree > 0 ? (node.lruPages[INACTIVE_ANON] ?? 0) : 0;
  return !suitable && (node.lruPages[INACTIVE_FILE] ?? 0) + anon > compactGap(order);
}

/**
 * A pass over a node, and more where they prepare compaction. Yields what it cost since the last yield: after each
 * round, and at the end.
 * @kernel mm/vmscan.c shrink_node()
 */
export function* shrinkNode(system: System, node: Node, sc: ScanControl): Generator<number, void> {
  const start = sc.nrReclaimed;
  let before: number;
  do {
    before = sc.nrReclaimed;
    endWrites(system, nowNs(system, node, sc));
    sc.costNs += system.config.costs.reclaimRoundNs;
    prepareScanCount(node, sc);
    yield* shrinkLruvec(system, node, sc);
  } while (shouldContinueReclaim(system, node, sc, sc.nrReclaimed - before));
  if (sc.nrReclaimed > start) {
    node.kswapd.failures = 0;
  }
  yield takeCost(sc);
}
