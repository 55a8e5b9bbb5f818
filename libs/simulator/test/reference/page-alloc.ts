import { rmqueueSmallest } from './buddy';
import {
  PRIO_ASYNC,
  compactTries,
  directCompact,
  shouldCompactRetry,
  zoneReclaimablePages,
} from './direct-compact';
import { note } from './events';
import {
  reserveHighatomicPageblock,
  rmqueueFromLists,
  unreserveHighatomicPageblock,
} from './fallback';
import type { AllocFlags } from './fallback';
import { letKswapdsAct, wakeupKswapd } from './kswapd';
import { nodeReclaim } from './node-reclaim';
import { drainAllPages, isPcpOrder, rmqueuePcplist } from './pcp';
import type { AllocContext, AllocTry, SlowContext } from './policy';
import {
  COSTLY_ORDER,
  HIGHATOMIC,
  MAX_RECLAIM_RETRIES,
  MOVABLE,
  ZONE_NAMES,
  ZONE_NORMAL,
  count,
} from './state';
import type { Cpu, Node, System, Zone } from './state';
import { nodesOf, tryToFreePages } from './direct-reclaim';
import { NO_RIGHTS, isWatermarkOk, wmarkPages } from './watermark';

const NODE_RECLAIM_DISTANCE = 30;
const ZONE_DMA32 = 1;

export const NUMA_COUNTERS = ['hit', 'miss', 'foreign', 'interleave', 'local', 'other'] as const;
const NUMA_EVENTS = NUMA_COUNTERS.map((counter) => `numa_${counter}`);
const PGALLOC = ZONE_NAMES.map((name) => `pgalloc_${name}`);

export function countNuma(
  system: System,
  node: Node,
  counter: (typeof NUMA_COUNTERS)[number],
): void {
  const at = NUMA_COUNTERS.indexOf(counter);
  node.numastat[at] = (node.numastat[at] ?? 0) + 1;
  count(system, NUMA_EVENTS[at] as string);
}

/** @kernel mm/page_alloc.c zone_statistics() */
function zoneStatistics(system: System, preferred: Node, served: Node, cpu: number): void {
  if (served === preferred) {
    countNuma(system, served, 'hit');
  } else {
    countNuma(system, served, 'miss');
    note(system, 'served by another node');
    const foreign = system.mutation === 'foreign counted on the serving node' ? served : preferred;
    countNuma(system, foreign, 'foreign');
  }
  countNuma(system, served, (system.cpus[cpu] as Cpu).node === served ? 'local' : 'other');
}

/**
 * Takes a block straight from the zone's lists.
 * @kernel mm/page_alloc.c rmqueue_buddy()
 */
function rmqueueBuddy(system: System, zone: Zone, ac: AllocContext, flags: AllocFlags): number {
  let page = -1;
  if (flags.highatomic) {
    page = rmqueueSmallest(system, zone, ac.order, HIGHATOMIC);
    note(system, 'HighAtomic served', page === -1 ? 0 : 1);
  }
  if (page === -1) {
    page = rmqueueFromLists(system, zone, ac.order, ac.type, flags);
  }
  if (page === -1 && flags.nonBlock) {
    page = rmqueueSmallest(system, zone, ac.order, HIGHATOMIC);
    note(system, 'HighAtomic served', page === -1 ? 0 : 1);
  }
  if (page !== -1) {
    zone.free -= 1 << ac.order;
  }
  return page;
}

/** @kernel mm/page_alloc.c rmqueue() */
function rmqueue(system: System, zone: Zone, ac: AllocContext, flags: AllocFlags): number {
  let page = -1;
  if (isPcpOrder(ac.order)) {
    page = rmqueuePcplist(system, zone, ac.order, ac.type, flags, ac.cpu);
  }
  if (page === -1) {
    page = rmqueueBuddy(system, zone, ac, flags);
  }
  if (page !== -1) {
    count(system, PGALLOC[zone.index] as string, 1 << ac.order);
    zoneStatistics(system, (ac.preferred as Zone).node, zone.node, ac.cpu);
  }
  if (zone.boostedFlag) {
    zone.boostedFlag = false;
    wakeupKswapd(system, zone.node, 0, zone.index, false);
  }
  return page;
}

/** @kernel mm/page_alloc.c zone_watermark_fast() */
function isAboveMark(system: System, zone: Zone, ac: AllocContext, flags: AllocFlags): boolean {
  const { order, classIndex } = ac;
  const mark = wmarkPages(zone, flags.mark);
  if (isWatermarkOk(system, zone, order, mark, classIndex, flags, zone.free)) {
    return true;
  }
  note(system, 'mark failed');
  const ignoresBoost = order === 0 && ac.atomic && zone.boost > 0 && flags.mark === 'min';
  return ignoresBoost && isWatermarkOk(system, zone, order, zone.min, classIndex, flags, zone.free);
}

/**
 * A zone below the mark may still serve after its node was reclaimed.
 * @kernel mm/page_alloc.c get_page_from_freelist(), the part for a failed watermark
 */
function isUsableAfterReclaim(
  system: System,
  zone: Zone,
  ac: AllocContext,
  flags: AllocFlags,
): boolean {
  const local = (ac.preferred as Zone).node;
  const distance = system.config.distances[local.id]?.[zone.node.id] ?? 0;
  if ((system.sysctl.zone_reclaim_mode & 7) === 0 || distance > NODE_RECLAIM_DISTANCE) {
    return false;
  }
  const mark = wmarkPages(zone, flags.mark);
  const roomy =
    nodeReclaim(system, zone.node, ac.order, ac.classIndex, ac.directReclaim, ac.cpu) &&
    isWatermarkOk(system, zone, ac.order, mark, ac.classIndex, flags, zone.free);
  note(system, 'node reclaim made room', roomy ? 1 : 0);
  return roomy;
}

/**
 * @kernel mm/page_alloc.c get_page_from_freelist()
 * @returns the page, -1 if no zone may serve
 */
function getPageFromFreelist(system: System, ac: AllocContext, given: AllocFlags): number {
  const local = ac.preferred?.node;
  let flags = given;
  for (;;) {
    let leavesNode = false;
    for (const zone of ac.zonelist) {
      if (flags.noFragment && zone.node !== local) {
        leavesNode = true;
        break;
      }
      if (!isAboveMark(system, zone, ac, flags) && !isUsableAfterReclaim(system, zone, ac, flags)) {
        continue;
      }
      const page = rmqueue(system, zone, ac, flags);
      if (page !== -1) {
        note(system, 'ALLOC_HARDER served', flags.minReserve ? 1 : 0);
        if (flags.highatomic) {
          reserveHighatomicPageblock(system, zone, page);
        }
        return page;
      }
    }
    if (!flags.noFragment && !leavesNode) {
      return -1;
    }
    note(system, 'NOFRAGMENT lifted');
    flags = { ...flags, noFragment: false };
  }
}

const FIRST_ATTEMPT: AllocFlags = { ...NO_RIGHTS, mark: 'low', kswapd: true };
const FIRST_ATTEMPT_NOFRAGMENT: AllocFlags = { ...FIRST_ATTEMPT, noFragment: true };

/** @kernel mm/page_alloc.c alloc_flags_nofragment() */
function mustNotFragment(system: System, preferred: Zone | undefined): boolean {
  return (
    preferred?.index === ZONE_NORMAL &&
    (system.nodes.length === 1 || preferred.node.zones.some((zone) => zone.index === ZONE_DMA32))
  );
}

/** @kernel mm/page_alloc.c wake_all_kswapds() */
function wakeAllKswapds(system: System, ac: AllocContext): void {
  for (const node of nodesOf(ac.zonelist)) {
    wakeupKswapd(system, node, ac.order, ac.classIndex, ac.directReclaim);
  }
}

/** @kernel mm/page_alloc.c should_reclaim_retry() */
function shouldReclaimRetry(
  system: System,
  ac: SlowContext,
  flags: AllocFlags,
  loops: number,
): boolean {
  const hope =
    loops <= MAX_RECLAIM_RETRIES &&
    ac.named.some((zone) => {
      const available = zone.free + zoneReclaimablePages(system, zone);
      const mark = wmarkPages(zone, 'min');
      return isWatermarkOk(system, zone, ac.order, mark, ac.classIndex, flags, available);
    });
  return hope || unreserveHighatomicPageblock(system, ac.named, ac.type, true);
}

/** @kernel mm/page_alloc.c __alloc_pages_direct_reclaim() */
function directReclaim(
  system: System,
  ac: SlowContext,
  flags: AllocFlags,
): { page: number; progress: number } {
  note(system, 'direct reclaim');
  const progress = tryToFreePages(system, ac.within, ac.order, ac.classIndex, ac.cpu);
  if (progress === 0) {
    return { page: -1, progress };
  }
  let page = getPageFromFreelist(system, ac, flags);
  if (page === -1) {
    unreserveHighatomicPageblock(system, ac.named, ac.type, false);
    drainAllPages(system);
    page = getPageFromFreelist(system, ac, flags);
  }
  return { page, progress };
}

/**
 * @kernel mm/page_alloc.c __alloc_pages_slowpath()
 * @differs no OOM killer, whose last try at the high mark is made all the same; kswapds that
 * are due act at the label `retry`
 */
function slowpath(system: System, given: SlowContext): number {
  let ac = given;
  if (ac.named.length === 0) {
    return -1;
  }
  const flags: AllocFlags = {
    mark: 'min',
    kswapd: true,
    noFragment: false,
    minReserve: ac.atomic,
    nonBlock: !ac.directReclaim,
    highatomic: ac.atomic && ac.order > 0,
  };
  note(system, 'slow path');
  wakeAllKswapds(system, ac);
  let page = getPageFromFreelist(system, ac, flags);
  const tries = compactTries();
  const compact = (priority: number): number => {
    const asked = { ...tries, priority };
    const compacted = directCompact(system, ac, flags, asked, () =>
      getPageFromFreelist(system, ac, flags),
    );
    tries.result = asked.result;
    return compacted;
  };
  if (page === -1 && ac.directReclaim && (ac.order > COSTLY_ORDER || ac.type !== MOVABLE)) {
    page = compact(PRIO_ASYNC);
  }
  const costly = ac.order > COSTLY_ORDER;
  const mayRetry = ac.retryMayFail === true && system.config.compaction !== undefined;
  let loops = 0;
  while (page === -1) {
    letKswapdsAct(system);
    wakeAllKswapds(system, ac);
    if (ac.atomic && system.mutation !== 'atomic memory stays within its policy') {
      ac = { ...ac, zonelist: ac.everywhere, preferred: ac.everywhere[0] };
    }
    page = getPageFromFreelist(system, ac, flags);
    if (page !== -1 || !ac.directReclaim) {
      return page;
    }
    const reclaimed = directReclaim(system, ac, flags);
    page = reclaimed.page === -1 ? compact(tries.priority) : reclaimed.page;
    if (page !== -1 || (costly && !mayRetry)) {
      return page;
    }
    loops = reclaimed.progress > 0 && !costly ? 0 : loops + 1;
    const again =
      shouldReclaimRetry(system, ac, flags, loops) ||
      (reclaimed.progress > 0 && shouldCompactRetry(system, ac, flags, tries));
    if (!again) {
      note(system, 'last try');
      const last = { ...ac, zonelist: ac.within, directReclaim: false };
      return getPageFromFreelist(system, last, { ...NO_RIGHTS, mark: 'high' });
    }
    note(system, 'reclaim tried again');
  }
  return page;
}

/**
 * @kernel mm/page_alloc.c __alloc_pages()
 * @returns the first page of the block, -1 if the request failed
 */
export function allocPages(system: System, attempt: AllocTry): number {
  const noFragment = mustNotFragment(system, attempt.fast.preferred);
  const flags = noFragment ? FIRST_ATTEMPT_NOFRAGMENT : FIRST_ATTEMPT;
  const page = getPageFromFreelist(system, attempt.fast, flags);
  return page === -1 ? slowpath(system, attempt.slow) : page;
}
