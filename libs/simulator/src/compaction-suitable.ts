/** Is compaction worth trying in a zone? */
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';
import { extfragIndex } from './fragmentation-index';
import type { KernelState } from './kernel-state';
import { zoneWatermarkOk } from './watermark';
import type { Zone } from './zone';

/** `success`: a block is there; `continue`: compaction may run; `skipped`: too little is free, or it is not scattered. */
export type Suitability = 'success' | 'continue' | 'skipped';

/** Free pages that compaction wants beyond the mark. @kernel include/linux/compaction.h compact_gap() */
export function compactGap(order: number): number {
  return 2 << order;
}

/**
 * @param mark stored mark that the request itself is held to
 * @param flags rights of the request (`ALLOC_*`)
 * @param target free pages to count on instead of the zone's own; how scattered these lie is then not asked
 * @kernel mm/compaction.c compaction_suitable(), __compaction_suitable()
 */
export function compactionSuitable(
  k: KernelState,
  zone: Zone,
  order: number,
  mark: number,
  classIndex: number,
  flags = 0,
  target?: number,
): Suitability {
  if (zoneWatermarkOk(zone, mark, { order, classIndex, flags })) return 'success';
  const costly = order > PAGE_ALLOC_COSTLY_ORDER;
  const room = (costly ? zone.low : zone.min) + compactGap(order);
  if (!zoneWatermarkOk(zone, room, { order: 0, classIndex, flags: 0 }, target)) return 'skipped';
  if (!costly || target !== undefined) return 'continue';
  const index = extfragIndex(zone.buddy.blocksByOrder(), order) * 1000;
  return index >= 0 && index <= k.sysctl.extfrag_threshold ? 'skipped' : 'continue';
}
