/** Room for memory that steps bring: frames of a zone count from one base for a whole replay, as pfns do. */
import { MIGRATE_MOVABLE, PAGEBLOCK_PAGES } from './buddy';
import { MAX_NR_ZONES } from './constants';
import type { HostZone, ReplayStep, ZoneName } from './types';
import type { Extent, ZoneLayout } from './zone-layout';

/** Pfns [startPfn, endPfn). */
export interface PfnSpan {
  startPfn: number;
  endPfn: number;
}

/** By node id: what steps bring to a node. */
export type PlannedSpans = ReadonlyMap<number, PfnSpan>;

/** Zones that memory which was not there at boot can join. */
export const HOTPLUG_ZONES: readonly ZoneName[] = ['Normal', 'Movable'];

/** All that the steps of a replay bring online, node by node. */
export function planSpans(steps: readonly ReplayStep[]): PlannedSpans {
  const plans = new Map<number, PfnSpan>();
  for (const step of steps) {
    if (step.op !== 'hotplug' || step.action === 'offline') continue;
    const { nodeId, startPfn, pages } = step;
    const known = plans.get(nodeId);
    plans.set(nodeId, {
      startPfn: Math.min(startPfn, known?.startPfn ?? Infinity),
      endPfn: Math.max(startPfn + pages, known?.endPfn ?? 0),
    });
  }
  return plans;
}

/** What a zone has to have room for besides its own span. */
export function plannedSpan(
  plans: PlannedSpans,
  nodeId: number,
  zone: ZoneName,
): PfnSpan | undefined {
  return HOTPLUG_ZONES.includes(zone) ? plans.get(nodeId) : undefined;
}

/** A zone without memory. */
export function emptyHostZone(name: ZoneName, { startPfn }: PfnSpan): HostZone {
  return {
    name,
    startPfn,
    spannedPages: 0,
    presentPages: 0,
    managedPages: 0,
    freePages: 0,
    boostPages: 0,
    minPages: 0,
    lowPages: 0,
    highPages: 0,
    protectionPages: new Array<number>(MAX_NR_ZONES).fill(0),
    freeBlocks: [],
    pagesets: [],
  };
}

/** Pageblocks from a base to the zone's start hold nothing; nothing is said where there are none. */
export function absentBelow(
  startPfn: number,
  basePfn: number,
  capacity: number,
): Uint8Array | undefined {
  const before = Math.floor(startPfn / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES - basePfn;
  if (before <= 0) return undefined;
  const absent = new Uint8Array(Math.ceil(capacity / PAGEBLOCK_PAGES));
  return absent.fill(1, 0, before / PAGEBLOCK_PAGES);
}

/** A zone's layout with frames that count from a lower base. */
export function layoutFrom(basePfn: number, layout: ZoneLayout): ZoneLayout {
  const shift = layout.basePfn - basePfn;
  if (shift === 0) return layout;
  const moved = (extents: Extent[]): Extent[] =>
    extents.map(({ frame, pages }) => ({ frame: frame + shift, pages }));
  const before = new Uint8Array(shift / PAGEBLOCK_PAGES).fill(MIGRATE_MOVABLE);
  return {
    ...layout,
    basePfn,
    pageblockTypes: Uint8Array.from([...before, ...layout.pageblockTypes]),
    free: layout.free.map((block) => ({ ...block, frame: block.frame + shift })),
    lru: moved(layout.lru),
    locked: moved(layout.locked),
    huge: moved(layout.huge),
    pcp: moved(layout.pcp),
    reservedFrom: layout.reservedFrom + shift,
  };
}
