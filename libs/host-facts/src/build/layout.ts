import { ZONE_NAMES, type HostZone, type ZoneName } from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { pagesInBlocks } from '../parse/buddyinfo';
import { freeSources, sizeSources } from './node-size';

/** First pfn that is not in the zone any more: 16 MiB and 4 GiB of 4 KiB pages. */
const ZONE_ENDS: readonly (readonly [ZoneName, number])[] = [
  ['DMA', 4096],
  ['DMA32', 1_048_576],
  ['Normal', Number.MAX_SAFE_INTEGER],
];
/** Nodes start at a section of sparse memory, 128 MiB. */
const SECTION_PAGES = 32_768;

const LAYOUT_NOTE =
  'x86-64 rule: nodes follow each other in ascending order from address 0 without holes, each from a ' +
  '128 MiB boundary (above the zones that buddyinfo does not list for it); DMA is the first 16 MiB, ' +
  'DMA32 the rest below 4 GiB, Normal all above';

/**
 * Lays out the zones of nodes that zoneinfo does not describe, from their sizes alone. Real hosts have a
 * hole below 4 GiB and memory reserved at boot; both are inside the size that is read, so that only the
 * split between the zones is an estimate. Marks, reserves and free lists are filled in later.
 * @param firstPfn first page behind the nodes that zoneinfo does describe
 */
export function layOutNodes(
  facts: HostFacts,
  nodeIds: number[],
  nodes: number,
  firstPfn: number,
  ledger: Ledger,
): Map<number, HostZone[]> {
  const result = new Map<number, HostZone[]>();
  let next = firstPfn;
  for (const nodeId of nodeIds) {
    const size = sizeSources(facts, nodeId, nodes)[0];
    if (size === undefined || size.pages === 0) {
      result.set(nodeId, []);
      continue;
    }
    const listed = (facts.buddyinfo ?? []).filter((zone) => zone.nodeId === nodeId);
    const from = Math.max(next, lowestPfn(listed));
    const start = Math.ceil(from / SECTION_PAGES) * SECTION_PAGES;
    const zones = cutIntoZones(start, size.pages);
    next = start + size.pages;
    result.set(nodeId, zones);
    placeFree(facts, nodeId, nodes, zones, ledger);
    for (const zone of zones)
      ledger.derived(`nodes.${nodeId}.zones.${zone.name}`, size.source, LAYOUT_NOTE);
  }
  return result;
}

/** A node whose buddyinfo has no line for DMA or DMA32 starts above them: the hole below 4 GiB is before it. */
function lowestPfn(listed: { zone: string }[]): number {
  if (listed.length === 0) return 0;
  let lowest = 0;
  for (const [name, end] of ZONE_ENDS) {
    if (name === 'Normal' || listed.some((entry) => entry.zone === name)) break;
    lowest = end;
  }
  return lowest;
}

function cutIntoZones(start: number, pages: number): HostZone[] {
  const zones: HostZone[] = [];
  let from = start;
  const end = start + pages;
  for (const [name, zoneEnd] of ZONE_ENDS) {
    const until = Math.min(end, zoneEnd);
    if (until <= from) continue;
    const size = until - from;
    zones.push({
      name,
      startPfn: from,
      spannedPages: size,
      presentPages: size,
      managedPages: size,
      freePages: 0,
      boostPages: 0,
      minPages: 0,
      lowPages: 0,
      highPages: 0,
      protectionPages: [],
      freeBlocks: [],
      pagesets: [],
    });
    from = until;
  }
  return zones;
}

/**
 * Free pages per zone: buddyinfo's where it names the zone, otherwise the node's free memory from the
 * lowest zone up, because user memory is taken from the highest zone first.
 */
function placeFree(
  facts: HostFacts,
  nodeId: number,
  nodes: number,
  zones: HostZone[],
  ledger: Ledger,
): void {
  const listed = (facts.buddyinfo ?? []).filter((zone) => zone.nodeId === nodeId);
  const fits = zones.every((zone) => {
    const line = listed.find((entry) => entry.zone === zone.name);
    return line !== undefined && pagesInBlocks(line.blocks) <= zone.managedPages;
  });
  if (fits && listed.length === zones.length) {
    for (const zone of zones) {
      const line = listed.find((entry) => entry.zone === zone.name);
      zone.freePages = pagesInBlocks(line?.blocks ?? []);
      ledger.read(`nodes.${nodeId}.zones.${zone.name}.freePages`, 'buddyinfo');
    }
    return;
  }
  if (listed.length > 0) mismatch(nodeId, listed, zones, ledger);
  const free = freeSources(facts, nodeId, nodes)[0];
  const total = zones.reduce((sum, zone) => sum + zone.managedPages, 0);
  if (free === undefined) {
    ledger.caveat(
      'free-assumed',
      `No source tells how much of node ${nodeId} is free: all of it is taken as free.`,
    );
  }
  let left = Math.min(free?.pages ?? total, total);
  for (const zone of zones) {
    zone.freePages = Math.min(zone.managedPages, left);
    left -= zone.freePages;
    const path = `nodes.${nodeId}.zones.${zone.name}.freePages`;
    const note =
      "the node's free memory, lowest zone first: user memory takes the highest zone first";
    if (free === undefined) ledger.default(path, 'no source gives free memory: all of it');
    else ledger.derived(path, free.source, note);
  }
}

function mismatch(
  nodeId: number,
  listed: { zone: string }[],
  zones: HostZone[],
  ledger: Ledger,
): void {
  ledger.differ(
    `nodes.${nodeId}.zones`,
    { source: 'sizes', value: zones.map((zone) => zone.name).join() },
    {
      source: 'buddyinfo',
      value: `${listed.map((entry) => entry.zone).join()} (or more free than the zone holds)`,
    },
    'without zoneinfo the zones are laid out by size; buddyinfo is used where it fits them',
  );
}

/** Position in the kernel's zone order. */
export function zoneIndex(name: ZoneName): number {
  return ZONE_NAMES.indexOf(name);
}
