/**
 * The watermark check as kernels of different age make it, with every number it compares: for reading
 * "page allocation failure" reports and zone tables of other kernels. Replays use watermark.ts.
 */
import type { KernelProfile } from './profile';

/** A zone's numbers at the moment of the request, pages. */
export interface CheckedZone {
  freePages: number;
  /** Free blocks by order 0..10, as a report prints them; what is missing counts as 0. */
  freeBlocks: number[];
  /** Part of `freePages` in the HighAtomic reserve. */
  highatomicPages: number;
  minPages: number;
  lowPages: number;
  highPages: number;
  /** Reserve against the request's class (`lowmem_reserve[class]`). */
  reservePages: number;
}

export type AllocationKind = 'normal' | 'high' | 'atomic';

/** What is asked: which mark, how large a block, with which rights. */
export interface CheckedRequest {
  order: number;
  mark: 'min' | 'low' | 'high';
  /**
   * `normal`: may wait; `high`: __GFP_HIGH alone; `atomic`: GFP_ATOMIC, which may not wait either.
   * Rights count at the min mark only: the first attempt, at low, is made without.
   */
  kind: AllocationKind;
}

/** One comparison of the check; it holds where free is strictly more than needed. */
export interface CheckStep {
  /** Order up to which smaller blocks were taken off; 0 for the first comparison. */
  order: number;
  freePages: number;
  markPages: number;
  reservePages: number;
  neededPages: number;
  passes: boolean;
}

export interface CheckResult {
  allowed: boolean;
  /** Why it was refused: too few pages, or none of them in a block that is large enough. */
  refusedBy: 'free-pages' | 'larger-blocks' | null;
  /** Pages missing at the comparison that refused; 0 where it was allowed or only a block was missing. */
  missingPages: number;
  steps: CheckStep[];
  /** The check in one line per comparison. */
  explanation: string[];
}

/**
 * Would the zone have served the request?
 * @kernel mm/page_alloc.c __zone_watermark_ok(): before 4.4, from 4.4, and as 6.1.y has it
 * @differs blocks of the HighAtomic reserve, which reports do not list apart, count as usable blocks
 */
export function checkWatermark(
  zone: CheckedZone,
  request: CheckedRequest,
  profile: KernelProfile,
): CheckResult {
  const atMin = request.mark === 'min' ? request.kind : 'normal';
  const markPages = reducedMark(zone[`${request.mark}Pages`], atMin);
  const keepsHighatomic = mayUseHighatomic(atMin, profile) ? 0 : zone.highatomicPages;
  const freePages = zone.freePages - (2 ** request.order - 1) - keepsHighatomic;
  const steps = [compare(0, freePages, markPages, zone.reservePages)];
  const first = steps[0]!;
  if (!first.passes) return refused(steps, 'free-pages');
  if (profile.watermarkCheck === 'per-order') {
    for (let order = 0; order < request.order; order += 1) {
      const before = steps.at(-1)!;
      const left = before.freePages - (zone.freeBlocks[order] ?? 0) * 2 ** order;
      steps.push(compare(order + 1, left, Math.floor(before.markPages / 2), 0));
      if (!steps.at(-1)!.passes) return refused(steps, 'larger-blocks');
    }
    return allowed(steps);
  }
  const hasBlock = zone.freeBlocks.slice(request.order).some((blocks) => blocks > 0);
  return request.order === 0 || hasBlock ? allowed(steps) : refused(steps, 'larger-blocks');
}

/**
 * The mark after what the request's rights take off: half of it for __GFP_HIGH, then a quarter of the rest for
 * requests that cannot wait. The bits have other names from kernel to kernel; for GFP_ATOMIC the sum is the same.
 */
function reducedMark(markPages: number, kind: AllocationKind): number {
  if (kind === 'normal') return markPages;
  const half = markPages - Math.floor(markPages / 2);
  return kind === 'atomic' ? half - Math.floor(half / 4) : half;
}

/** Before 6.1.y it takes the right of requests that cannot wait; from there on any right to a reserve does. */
function mayUseHighatomic(kind: AllocationKind, profile: KernelProfile): boolean {
  if (profile.watermarkCheck === 'per-order') return true;
  return kind === 'atomic' || (kind === 'high' && profile.watermarkCheck === 'reserve-rights');
}

function compare(
  order: number,
  freePages: number,
  markPages: number,
  reservePages: number,
): CheckStep {
  const neededPages = markPages + reservePages;
  return {
    order,
    freePages,
    markPages,
    reservePages,
    neededPages,
    passes: freePages > neededPages,
  };
}

function allowed(steps: CheckStep[]): CheckResult {
  return {
    allowed: true,
    refusedBy: null,
    missingPages: 0,
    steps,
    explanation: steps.map(stepLine),
  };
}

function refused(
  steps: CheckStep[],
  refusedBy: NonNullable<CheckResult['refusedBy']>,
): CheckResult {
  const last = steps.at(-1)!;
  const explanation = steps.map(stepLine);
  if (last.passes)
    explanation.push('no free block of the order or above on a usable list: refused');
  return {
    allowed: false,
    refusedBy,
    missingPages: last.passes ? 0 : last.neededPages - last.freePages + 1,
    steps,
    explanation,
  };
}

function stepLine(step: CheckStep): string {
  const { order, freePages, markPages, reservePages, neededPages } = step;
  const what = order === 0 ? 'free pages' : `pages in blocks of order ${order} and above`;
  const needed = reservePages > 0 ? `${markPages} + ${reservePages} = ${neededPages}` : neededPages;
  return `${what}: ${freePages} ${step.passes ? 'above' : 'not above'} ${needed}: ${step.passes ? 'passes' : 'refused'}`;
}
