import { freeList } from './buddy';
import type { AllocFlags } from './fallback';
import { COMPACT_CONTINUE, COMPACT_SKIPPED, COMPACT_SUCCESS } from './compact-control';
import { COSTLY_ORDER, MAX_ORDER, PAGEBLOCK_ORDER, sum } from './state';
import type { Node, System, Zone } from './state';
import { NO_RIGHTS, isWatermarkOk, wmarkPages } from './watermark';

/** vm.extfrag_threshold */
const EXTFRAG_THRESHOLD = 500;

interface ContigPageInfo {
  freePages: number;
  freeBlocks: number;
  /** Blocks of the order that free memory is good for. */
  suitableBlocks: number;
}

/** @kernel mm/vmstat.c fill_contig_page_info() */
function contigPageInfo(system: System, zone: Zone, wanted: number): ContigPageInfo {
  const info = { freePages: 0, freeBlocks: 0, suitableBlocks: 0 };
  for (let order = 0; order < MAX_ORDER; order++) {
    const blocks = sum([0, 1, 2, 3, 4] as const, (type) => {
      const list = freeList(zone, order, type);
      let length = 0;
      for (let p = system.lists.first(list); p !== -1; p = system.lists.after(list, p)) {
        length++;
      }
      return length;
    });
    info.freeBlocks += blocks;
    info.freePages += blocks << order;
    if (order >= wanted) {
      info.suitableBlocks += blocks << (order - wanted);
    }
  }
  return info;
}

/**
 * Towards 0: memory is short; towards 1000: it is scattered; -1000: there is a block.
 * @kernel mm/vmstat.c fragmentation_index(), __fragmentation_index()
 */
export function fragmentationIndex(system: System, zone: Zone, order: number): number {
  const info = contigPageInfo(system, zone, order);
  if (info.freeBlocks === 0) {
    return 0;
  }
  if (info.suitableBlocks > 0) {
    return -1000;
  }
  const inBlocks = Math.floor((info.freePages * 1000) / 2 ** order);
  return 1000 - Math.floor((1000 + inBlocks) / info.freeBlocks);
}

/** 2 << order: what compaction holds at most, and once more. @kernel include/linux/compaction.h compact_gap() */
export function compactGap(order: number): number {
  return 2 << order;
}

/** @kernel mm/compaction.c __compaction_suitable() @param freePages counted as free for the copies */
export function compactionSuitableFor(
  system: System,
  zone: Zone,
  order: number,
  flags: AllocFlags,
  classIndex: number,
  freePages: number,
): number {
  if (order === -1) {
    return COMPACT_CONTINUE;
  }
  const mark = wmarkPages(zone, flags.mark);
  if (isWatermarkOk(system, zone, order, mark, classIndex, flags, zone.free)) {
    return COMPACT_SUCCESS;
  }
  const least = wmarkPages(zone, order > COSTLY_ORDER ? 'low' : 'min') + compactGap(order);
  return isWatermarkOk(system, zone, 0, least, classIndex, NO_RIGHTS, freePages)
    ? COMPACT_CONTINUE
    : COMPACT_SKIPPED;
}

/** @kernel mm/compaction.c compaction_suitable() */
export function compactionSuitable(
  system: System,
  zone: Zone,
  order: number,
  flags: AllocFlags,
  classIndex: number,
): number {
  const result = compactionSuitableFor(system, zone, order, flags, classIndex, zone.free);
  if (result === COMPACT_CONTINUE && order > COSTLY_ORDER) {
    const index = fragmentationIndex(system, zone, order);
    const threshold = system.mutation === 'extfrag threshold of 400' ? 400 : EXTFRAG_THRESHOLD;
    if (index >= 0 && index <= threshold) {
      return COMPACT_SKIPPED;
    }
  }
  return result;
}

/** Percent of free memory that is no whole huge page. @kernel mm/compaction.c fragmentation_score_zone() */
export function fragmentationScoreZone(system: System, zone: Zone): number {
  const { freePages, suitableBlocks } = contigPageInfo(system, zone, PAGEBLOCK_ORDER);
  if (freePages === 0) {
    return 0;
  }
  return Math.floor(((freePages - (suitableBlocks << PAGEBLOCK_ORDER)) * 100) / freePages);
}

/** @kernel mm/compaction.c fragmentation_score_node(), fragmentation_score_zone_weighted() */
export function fragmentationScoreNode(system: System, node: Node): number {
  const present = sum(node.zones, (zone) => zone.present);
  return sum(node.zones, (zone) =>
    Math.floor((zone.present * fragmentationScoreZone(system, zone)) / (present + 1)),
  );
}

/** @kernel mm/compaction.c fragmentation_score_wmark() */
export function fragmentationScoreWmark(proactiveness: number, low: boolean): number {
  const least = Math.max(100 - proactiveness, 5);
  return low ? least : Math.min(least + 10, 100);
}
