import { ZONE_NAMES, type HostZone, type LruPages, type ZoneName } from '@zonewise/simulator';
import { ProblemList } from '../errors';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { MAX_CPUS } from '../parse/text';
import type { ZoneinfoZone } from '../parse/zoneinfo';

/** A per-CPU counter may be off by its threshold (at most 125) before it is folded in. */
const DRIFT_PER_CPU = 125;

/** Populated zones of one node as zoneinfo prints them; free lists and missing marks come later. */
export function zonesFromZoneinfo(
  facts: HostFacts,
  nodeId: number,
  ledger: Ledger,
  problems: ProblemList,
): HostZone[] {
  const printed = (facts.zoneinfo?.zones ?? []).filter((zone) => zone.nodeId === nodeId);
  const names = printed.map((zone) => zone.name);
  const zones: HostZone[] = [];
  for (const zone of printed) {
    if ((zone.pages.present ?? 0) === 0) continue;
    const name = ZONE_NAMES.find((known) => known === zone.name);
    if (name !== undefined) {
      zones.push(readZone(zone, name, { facts, names, ledger, problems }));
    } else if (zone.name === 'Device') {
      ledger.caveat(
        'device-memory',
        `Node ${nodeId} has ${zone.pages.present} pages of device memory; the page allocator never hands them out and they are left out.`,
      );
    } else {
      unsupported(zone, problems);
    }
  }
  return zones.sort((a, b) => ZONE_NAMES.indexOf(a.name) - ZONE_NAMES.indexOf(b.name));
}

function unsupported(zone: ZoneinfoZone, problems: ProblemList): void {
  problems.add({
    code: 'unsupported-zone',
    message: `zone ${zone.name} does not exist on x86-64`,
    line: zone.line,
    expected: `one of ${ZONE_NAMES.join(', ')}, Device`,
    found: zone.name,
  });
}

interface Reading {
  facts: HostFacts;
  names: string[];
  ledger: Ledger;
  problems: ProblemList;
}

const LOG_LAYOUT_NOTE =
  'x86-64 rule: nodes in ascending order from address 0, each zone where its type begins or the one before it ends';

function readZone(
  zone: ZoneinfoZone,
  name: ZoneName,
  { facts, names, ledger, problems }: Reading,
): HostZone {
  const path = `nodes.${zone.nodeId}.zones.${name}`;
  const { spanned = 0, free = 0, boost = 0, min = 0, low = 0, high = 0 } = zone.pages;
  const { present, managed } = sizes(zone);
  const source = facts.zoneSource;
  ledger.read(path, source);
  if (source === 'kernelLog') {
    ledger.derived(`${path}.startPfn`, source, LOG_LAYOUT_NOTE);
    ledger.derived(`${path}.spannedPages`, source, 'present pages without holes');
  }
  if (zone.pages.managed === undefined) {
    ledger.derived(`${path}.managedPages`, source, 'kernels before 3.8 do not print managed');
    ledger.caveat(
      'managed-assumed',
      `${source} prints no managed pages (kernel before 3.8): present pages are taken, or the free ones where they are more.`,
    );
  }
  checkOrder(zone, problems);
  const model: HostZone = {
    name,
    startPfn: zone.startPfn ?? 0,
    spannedPages: spanned,
    presentPages: present,
    managedPages: managed,
    freePages: free,
    boostPages: Math.min(boost, min),
    minPages: min,
    lowPages: low,
    highPages: high,
    protectionPages: protectionByIndex(zone, names),
    freeBlocks: [],
    pagesets: zone.pagesets,
  };
  const lru = zoneLru(zone.stats);
  if (lru !== null) model.lru = lru;
  settleFree(model, path, source, ledger);
  return model;
}

/**
 * Kernels before 3.8 print no managed pages, and their present pages leave out an estimate of the memory
 * map that the zone may not hold: free pages can be more.
 */
function sizes(zone: ZoneinfoZone): { present: number; managed: number } {
  const { present = 0, free = 0, managed } = zone.pages;
  if (managed !== undefined) return { present, managed };
  const held = zone.pagesets.reduce((sum, pageset) => sum + pageset.countPages, free);
  return { present: Math.max(present, held), managed: Math.max(present, held) };
}

function checkOrder(zone: ZoneinfoZone, problems: ProblemList): void {
  const { present, managed } = sizes(zone);
  const { spanned = 0, free = 0, min = 0, low = 0, high = 0 } = zone.pages;
  const drift = DRIFT_PER_CPU * Math.min(zone.pagesets.length + 1, MAX_CPUS);
  const wrong = (expected: string, found: string): void =>
    problems.add({
      code: 'impossible-value',
      message: `node ${zone.nodeId}, zone ${zone.name} cannot have these sizes`,
      line: zone.line,
      expected,
      found,
    });
  if (managed > present) wrong('managed at most present', `${managed} over ${present}`);
  if (present > spanned) wrong('present at most spanned', `${present} over ${spanned}`);
  if (free > managed + drift) wrong('free at most managed', `${free} over ${managed}`);
  if (min > low || low > high) wrong('min <= low <= high', `${min}, ${low}, ${high}`);
  if (!Number.isSafeInteger((zone.startPfn ?? 0) + spanned))
    wrong('an end below 2^53 pages', `${zone.startPfn} + ${spanned}`);
}

/**
 * The list by zone index. A kernel that prints every zone of a node prints one entry per zone; one
 * built without ZONE_DMA has no entry for it, which the names show.
 */
function protectionByIndex(zone: ZoneinfoZone, names: string[]): number[] {
  const printed = zone.protectionPages ?? [];
  if (names.includes('DMA') || names.length !== printed.length) return printed;
  return [...ZONE_NAMES, 'Device'].map((name) => printed[names.indexOf(name)] ?? 0);
}

/** Free pages and pages on per-CPU lists fit into the zone: the counts are read one after the other. */
function settleFree(zone: HostZone, path: string, source: string, ledger: Ledger): void {
  const rule = 'counts read at slightly different moments are cut to what the zone has';
  const free = Math.min(zone.freePages, zone.managedPages);
  ledger.differ(
    `${path}.freePages`,
    { source: `${source} managed`, value: free },
    { source: `${source} free`, value: zone.freePages },
    rule,
  );
  zone.freePages = free;
  let room = zone.managedPages - free;
  let cut = 0;
  for (const pageset of zone.pagesets) {
    const count = Math.min(pageset.countPages, room);
    cut += pageset.countPages - count;
    room -= count;
    pageset.countPages = count;
  }
  ledger.differ(
    `${path}.pagesets`,
    { source: `${source} managed and free`, value: 0 },
    { source: `${source} pagesets beyond them`, value: cut },
    rule,
  );
}

function zoneLru(stats: Record<string, number>): LruPages | null {
  for (const prefix of ['nr_zone_', 'nr_']) {
    if (stats[`${prefix}inactive_file`] === undefined) continue;
    return lruFrom((name) => stats[`${prefix}${name}`]);
  }
  return null;
}

/** LRU pages by the kernel's names without prefix: inactive_anon, active_file, unevictable, ... */
export function lruFrom(count: (name: string) => number | undefined): LruPages {
  return {
    inactiveAnonPages: count('inactive_anon') ?? 0,
    activeAnonPages: count('active_anon') ?? 0,
    inactiveFilePages: count('inactive_file') ?? 0,
    activeFilePages: count('active_file') ?? 0,
    unevictablePages: count('unevictable') ?? 0,
  };
}
