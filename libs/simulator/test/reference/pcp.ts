import type { MigrateType } from '../machine';
import { freeOnePage } from './buddy';
import { note } from './events';
import { rmqueueFromLists } from './fallback';
import type { AllocFlags } from './fallback';
import {
  COSTLY_ORDER,
  HIGHATOMIC,
  ISOLATE,
  MOVABLE,
  PAGEBLOCK_ORDER,
  PCP_BATCH_SCALE_MAX,
  PCP_LISTS,
  count,
  pageblockType,
  zoneOf,
} from './state';
import type { Pcp, System, Zone } from './state';

const LOW_ORDER_LISTS = 12;

/** @kernel mm/page_alloc.c pcp_allowed_order() */
export function isPcpOrder(order: number): boolean {
  return order <= COSTLY_ORDER || order === PAGEBLOCK_ORDER;
}

/** @kernel mm/page_alloc.c order_to_pindex() */
function orderToPindex(type: MigrateType, order: number): number {
  if (order > COSTLY_ORDER) {
    return LOW_ORDER_LISTS + (type === MOVABLE ? 1 : 0);
  }
  return 3 * order + type;
}

/** @kernel mm/page_alloc.c pindex_to_order() */
function pindexToOrder(pindex: number): number {
  return pindex >= LOW_ORDER_LISTS ? PAGEBLOCK_ORDER : Math.floor(pindex / 3);
}

/**
 * Gives pages back to the buddy lists: first from the list asked for until it is empty, then from the next
 * one, cyclically; always the oldest page, which is at the tail.
 * @kernel mm/page_alloc.c free_pcppages_bulk()
 * @param pages how many at least, in pages of 4 KiB
 */
export function freePcppagesBulk(
  system: System,
  zone: Zone,
  pcp: Pcp,
  pages: number,
  pindex: number,
): void {
  let left = Math.min(pcp.count, pages);
  let at = pindex;
  while (left > 0) {
    const list = pcp.lists[at % PCP_LISTS] as number;
    const order = pindexToOrder(at % PCP_LISTS);
    while (left > 0 && !system.lists.isEmpty(list)) {
      const oldest = system.lists.last(list);
      const page =
        system.mutation === 'pcp drained from the head' ? system.lists.first(list) : oldest;
      system.lists.remove(page);
      left -= 1 << order;
      pcp.count -= 1 << order;
      freeOnePage(system, zone, page, order, system.pages.pcpType[page] as MigrateType);
    }
    at++;
  }
}

/**
 * How many pages to give back, doubling while there are only frees.
 * @kernel mm/page_alloc.c nr_pcp_free()
 */
function nrPcpFree(system: System, zone: Zone, pcp: Pcp, high: number, freeHigh: boolean): number {
  if (freeHigh) {
    return pcp.count;
  }
  if (high < zone.pcpBatch) {
    return 1;
  }
  const least = zone.pcpBatch;
  const most = high - zone.pcpBatch;
  const wanted = zone.pcpBatch << pcp.freeFactor;
  const cap = system.mutation === 'free_factor without a cap' ? 20 : PCP_BATCH_SCALE_MAX;
  if (wanted < most && pcp.freeFactor < cap) {
    pcp.freeFactor++;
  }
  return Math.min(Math.max(wanted, least), most);
}

/** @kernel mm/page_alloc.c nr_pcp_high() */
function nrPcpHigh(zone: Zone, freeHigh: boolean): number {
  if (freeHigh || zone.pcpHigh === 0) {
    return 0;
  }
  return zone.reclaimActive ? Math.min(zone.pcpBatch << 2, zone.pcpHigh) : zone.pcpHigh;
}

/**
 * Frees a block through the pcp of a CPU.
 * @kernel mm/page_alloc.c free_unref_page(), free_unref_page_commit()
 */
function freeUnrefPage(system: System, zone: Zone, page: number, order: number, cpu: number): void {
  const type = pageblockType(zone, page);
  if (type === ISOLATE) {
    freeOnePage(system, zone, page, order, type);
    return;
  }
  system.pages.pcpType[page] = type;
  const pcp = zone.pcps[cpu] as Pcp;
  const pindex = orderToPindex(type === HIGHATOMIC ? MOVABLE : type, order);
  system.lists.addHead(pcp.lists[pindex] as number, page);
  pcp.count += 1 << order;
  const freeHigh = pcp.freeFactor > 0 && order > 0 && order <= COSTLY_ORDER;
  const high = nrPcpHigh(zone, freeHigh);
  if (pcp.count >= high) {
    note(system, 'per-CPU list gave back');
    freePcppagesBulk(system, zone, pcp, nrPcpFree(system, zone, pcp, high, freeHigh), pindex);
  }
}

/**
 * Frees a block that is on no list.
 * @kernel mm/page_alloc.c free_the_page()
 * @param cpu position of the CPU that frees
 */
export function freePage(system: System, page: number, order: number, cpu: number): void {
  const zone = zoneOf(system, page);
  count(system, 'pgfree', 1 << order);
  if (isPcpOrder(order)) {
    freeUnrefPage(system, zone, page, order, cpu);
  } else {
    freeOnePage(system, zone, page, order, pageblockType(zone, page));
  }
}

/** @kernel mm/page_alloc.c rmqueue_bulk() */
function refill(
  system: System,
  zone: Zone,
  pcp: Pcp,
  list: number,
  order: number,
  type: MigrateType,
  flags: AllocFlags,
): void {
  let blocks = zone.pcpBatch;
  if (blocks > 1) {
    blocks = Math.max(blocks >> order, 2);
    blocks -= system.mutation === 'pcp refill one block short' ? 1 : 0;
  }
  note(system, 'refill of a per-CPU list');
  for (let i = 0; i < blocks; i++) {
    const page = rmqueueFromLists(system, zone, order, type, flags);
    if (page === -1) {
      note(system, 'refill cut short');
      break;
    }
    system.lists.addTail(list, page);
    zone.free -= 1 << order;
    pcp.count += 1 << order;
  }
}

/**
 * Takes a block from the pcp of a CPU, which is refilled if its list is empty.
 * @kernel mm/page_alloc.c rmqueue_pcplist(), __rmqueue_pcplist()
 * @returns the page, -1 if the refill got nothing
 */
export function rmqueuePcplist(
  system: System,
  zone: Zone,
  order: number,
  type: MigrateType,
  flags: AllocFlags,
  cpu: number,
): number {
  const pcp = zone.pcps[cpu] as Pcp;
  pcp.freeFactor >>= 1;
  const list = pcp.lists[orderToPindex(type, order)] as number;
  if (system.lists.isEmpty(list)) {
    refill(system, zone, pcp, list, order, type, flags);
  }
  const page = system.lists.first(list);
  if (page !== -1) {
    system.lists.remove(page);
    pcp.count -= 1 << order;
  }
  return page;
}

/** @kernel mm/page_alloc.c drain_pages_zone() */
export function drainPagesZone(system: System, zone: Zone, cpu: number): void {
  const pcp = zone.pcps[cpu] as Pcp;
  note(system, 'per-CPU list drained', pcp.count > 0 ? 1 : 0);
  while (pcp.count > 0) {
    freePcppagesBulk(system, zone, pcp, zone.pcpBatch << PCP_BATCH_SCALE_MAX, 0);
  }
}

/**
 * @kernel mm/page_alloc.c drain_all_pages()
 * @param only one zone, if it is given
 * @differs zone after zone of each CPU, CPUs by position
 */
export function drainAllPages(system: System, only?: Zone): void {
  for (let cpu = 0; cpu < system.cpus.length; cpu++) {
    for (const zone of only === undefined ? system.zones : [only]) {
      drainPagesZone(system, zone, cpu);
    }
  }
}
