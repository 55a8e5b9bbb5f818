/** One walk of a zonelist: what it asks for, at which mark, and what it found on the way. */
import type { KernelState } from './kernel-state';
import type { AllocContext } from './page-alloc';
import type { ZoneRequest } from './rmqueue';
import type { WatermarkRequest } from './watermark';
import type { Zone } from './zone';

export type Mark = 'min' | 'low' | 'high';

/** What one walk of the zonelist may do; it is itself what marks are checked for, and what a zone is asked. */
export interface Walk extends ZoneRequest, WatermarkRequest {
  /** The preferred zone. */
  preferred: Zone | undefined;
  mark: Mark;
  want: number;
  /** Set when node reclaim worked without success: the next request would try it again. */
  reclaimTried: boolean;
  /** Zones that passed their mark but had no block to give: each further request asks them in vain. */
  vain: readonly Zone[];
}

/** No zone was asked in vain yet. */
export const NO_ZONES: readonly Zone[] = [];

/** @param want requests to serve, `vain` zones that were asked in vain before */
export function walkFor(
  k: KernelState,
  ac: AllocContext,
  preferred: Zone | undefined,
  mark: Mark,
  flags: number,
  want: number,
  vain: readonly Zone[],
): Walk {
  return {
    order: ac.order,
    classIndex: ac.classIndex,
    flags,
    cpu: ac.cpu,
    type: ac.type,
    boostFactor: k.sysctl.watermark_boost_factor,
    neededPages: 0,
    preferred,
    mark,
    want,
    reclaimTried: false,
    vain,
  };
}

/** The zone's mark, without boost. */
export function markOf(zone: Zone, mark: Mark): number {
  if (mark === 'low') return zone.low;
  return mark === 'min' ? zone.min : zone.high;
}
