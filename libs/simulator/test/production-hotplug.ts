/** The simulator's memory hotplug behind the machine's interface: blocks leave a zone and come to one. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from '../src/buddy';
import type { KernelState } from '../src/kernel-state';
import { offlinePages, onlinePages, zoneForPfnRange, zoneIntersects } from '../src/memory-hotplug';
import type { HotplugSpec } from '../src/types';
import { isOnlineBlock, type Zone } from '../src/zone';
import { HOTPLUG_PAGES, type HotplugOp, type MachineConfig } from './machine';

/** How long the writer waits for what cannot be moved. */
const PATIENCE_NS = 1_000_000_000;

/** All that may come online on a node, as a replay's steps would say it. */
export function hotplugSteps({ nodes }: MachineConfig): (HotplugSpec & { op: 'hotplug' })[] {
  return nodes.flatMap(({ hotplug }, nodeId) => {
    if (!hotplug || hotplug.blocks === 0) return [];
    const { startPfn, blocks } = hotplug;
    return [{ op: 'hotplug', action: 'online', nodeId, startPfn, pages: blocks * HOTPLUG_PAGES }];
  });
}

/** What a block of a node is: memory of one zone at boot, of none, or neither as a whole. */
function atBoot(
  { zones }: MachineConfig['nodes'][number],
  startPfn: number,
): 'memory' | 'nothing' | 'part' {
  const endPfn = startPfn + HOTPLUG_PAGES;
  // No memory shares a pageblock with none.
  const touches = zones.filter((zone) => {
    const first = zone.startPfn - (zone.startPfn % PAGEBLOCK_PAGES);
    const end = zone.startPfn + zone.pages;
    return first < endPfn && Math.ceil(end / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES > startPfn;
  });
  if (touches.length === 0) return 'nothing';
  const [zone] = touches;
  const whole = zone!.startPfn <= startPfn && zone!.startPfn + zone!.pages >= endPfn;
  return touches.length === 1 && whole ? 'memory' : 'part';
}

/** Pageblocks of [startPfn, endPfn) that are online in a zone. */
function onlineIn(zone: Zone, startPfn: number, endPfn: number): number {
  const { basePfn } = zone.buddy;
  let online = 0;
  for (let pfn = startPfn; pfn < endPfn; pfn += PAGEBLOCK_PAGES) {
    if (!zoneIntersects(zone, pfn, pfn + PAGEBLOCK_PAGES)) continue;
    if (isOnlineBlock(zone, (pfn - basePfn) >>> PAGEBLOCK_ORDER)) online += 1;
  }
  return online;
}

/** @returns pages that changed their state */
export function hotplugOperation(k: KernelState, config: MachineConfig, op: HotplugOp): number {
  const node = k.nodes[op.node];
  const given = config.nodes[op.node];
  const room = given?.hotplug;
  if (!node || !given || !room || op.count < 1 || op.block + op.count > room.blocks) return 0;
  const startPfn = room.startPfn + op.block * HOTPLUG_PAGES;
  const endPfn = startPfn + op.count * HOTPLUG_PAGES;
  const starts = Array.from({ length: op.count }, (_, i) => startPfn + i * HOTPLUG_PAGES);
  const boot = starts.map((start) => atBoot(given, start));
  if (boot.includes('part')) return 0;
  const states = starts.map((start) => k.memoryBlocks.get(start));
  const isNew = boot.every((was, i) => was === 'nothing' && !states[i]);
  let selfHosted = Math.max(...states.map((state) => state?.selfHostedPages ?? 0));
  if (isNew && op.op !== 'offline' && op.memmap) selfHosted = PAGEBLOCK_PAGES;
  if (op.count > 1 && selfHosted > 0) return 0;
  const holders = node.zones.filter((zone) => onlineIn(zone, startPfn, endPfn) > 0);
  const frames = ({ buddy }: Zone) => ({
    from: startPfn + selfHosted - buddy.basePfn,
    to: endPfn - buddy.basePfn,
    cpu: 0,
  });
  const pages = endPfn - startPfn;
  let done = 0;
  if (op.op !== 'offline') {
    const candidates = [...node.zones, ...k.emptyZones.filter((zone) => zone.node === node)];
    const zone = zoneForPfnRange(candidates, op.op, startPfn, endPfn);
    if (holders.length > 0 || !zone) return 0;
    onlinePages(k, { zone, ...frames(zone) }, selfHosted);
    for (const start of starts) {
      const selfHostedPages = start === startPfn ? selfHosted : 0;
      k.memoryBlocks.set(start, { memmap: [], selfHostedPages });
    }
    done = pages;
  } else {
    const [zone] = holders;
    const present = k.zones.reduce((sum, other) => sum + other.present, 0);
    if (holders.length !== 1 || present === pages) return 0;
    if (onlineIn(zone!, startPfn, endPfn) * PAGEBLOCK_PAGES !== pages) return 0;
    const range = { zone: zone!, ...frames(zone!) };
    if (offlinePages(k, range, selfHosted, PATIENCE_NS).reason === undefined) done = pages;
  }
  // The machine's counts are exact.
  for (const zone of k.zones) Object.assign(zone, { statThreshold: 0, percpuDriftMark: 0 });
  return done;
}
