/** How badly free memory is scattered, as proactive compaction sees it. */
import { MAX_ORDER, PAGEBLOCK_ORDER } from './buddy';
import type { NodeState, Zone } from './zone';

/**
 * Share of a zone's free pages that lie in blocks smaller than a huge page.
 * @returns percent, rounded down; 0 without free pages
 * @kernel mm/compaction.c fragmentation_score_zone(), mm/vmstat.c extfrag_for_order()
 */
export function fragmentationScoreZone({ buddy }: Zone): number {
  let pages = 0;
  let large = 0;
  buddy.blocksByOrder().forEach((blocks, order) => {
    pages += blocks * (1 << order);
    if (order >= PAGEBLOCK_ORDER && order < MAX_ORDER) large += blocks * (1 << order);
  });
  return pages === 0 ? 0 : Math.floor(((pages - large) * 100) / pages);
}

/**
 * The zones' scores, each by its share of the node.
 * @returns percent
 * @kernel mm/compaction.c fragmentation_score_node()
 */
export function fragmentationScoreNode(node: NodeState): number {
  const present = node.zones.reduce((sum, zone) => sum + zone.present, 0);
  return node.zones.reduce(
    (sum, zone) => sum + Math.floor((zone.present * fragmentationScoreZone(zone)) / (present + 1)),
    0,
  );
}

/** Score that proactive compaction works down to, percent. @kernel mm/compaction.c fragmentation_score_wmark() */
export function scoreLowMark(proactiveness: number): number {
  return Math.max(100 - proactiveness, 5);
}

/** Score above which it begins, percent. @kernel mm/compaction.c fragmentation_score_wmark() */
export function scoreHighMark(proactiveness: number): number {
  return Math.min(scoreLowMark(proactiveness) + 10, 100);
}
