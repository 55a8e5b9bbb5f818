/** The simulator's memory hotplug behind the machine's interface: blocks leave a zone and come back to it. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from '../src/buddy';
import { offlinePages, onlinePages } from '../src/memory-hotplug';
import type { KernelState } from '../src/kernel-state';
import { usedHugetlbFrames } from '../src/offline-hugetlb';
import type { FrameRange } from '../src/page-isolation';
import { isOnlineBlock, type Zone } from '../src/zone';
import { HOTPLUG_PAGES, type HotplugOp } from './machine';

/** How long the writer waits for what cannot be moved. */
const PATIENCE_NS = 1_000_000_000;

/** What each zone spanned at boot: frames [from, to). */
const atBoot = new WeakMap<Zone, { from: number; to: number }>();

/** Notes what a machine's zones span, before anything leaves them. */
export function noteSpans(k: KernelState): void {
  for (const zone of k.zones) {
    atBoot.set(zone, { from: zone.buddy.firstFrame, to: zone.buddy.frames });
  }
}

/** What the operation means, if it may be done. */
function rangeOf(k: KernelState, op: HotplugOp): FrameRange | undefined {
  const zone = k.nodes[op.node]?.zones.find(({ index }) => index === op.zone);
  const span = zone && atBoot.get(zone);
  if (!zone || !span) return undefined;
  const from = op.block * HOTPLUG_PAGES;
  const to = from + op.count * HOTPLUG_PAGES;
  const range = { zone, from, to, cpu: 0 };
  if (from < span.from || to > span.to) return undefined;
  const leaves = op.op === 'offline';
  for (let frame = from; frame < to; frame += PAGEBLOCK_PAGES) {
    const inside = frame >= zone.buddy.firstFrame && frame < zone.buddy.frames;
    const online = inside && isOnlineBlock(zone, frame >>> PAGEBLOCK_ORDER);
    if (online !== leaves) return undefined;
  }
  if (!leaves) return range;
  const last = zone.managed <= to - from;
  return last || usedHugetlbFrames(k, range).length > 0 ? undefined : range;
}

/** @returns pages that changed their state */
export function hotplugOperation(k: KernelState, op: HotplugOp): number {
  const range = rangeOf(k, op);
  if (!range) return 0;
  let done = range.to - range.from;
  if (op.op === 'online') onlinePages(k, range, 0);
  else if (offlinePages(k, range, 0, PATIENCE_NS).reason !== undefined) done = 0;
  // The machine's counts are exact.
  for (const zone of k.zones) Object.assign(zone, { statThreshold: 0, percpuDriftMark: 0 });
  return done;
}
