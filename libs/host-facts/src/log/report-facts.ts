/** A report of a kernel log as the facts of a host: what /proc/zoneinfo and /proc/buddyinfo would have said then. */
import { ZONE_NAMES } from '@zonewise/simulator';
import { ORDERS, type BuddyinfoZone } from '../parse/buddyinfo';
import type { HugepagePool } from '../parse/hugepages';
import { emptyCounts } from '../parse/text';
import type { Zoneinfo, ZoneinfoZone } from '../parse/zoneinfo';
import type { LoggedZone, LogReport } from './log-report';

type Counts = Record<string, number>;

/** A node that the report leaves out, known by what the whole host has beyond those listed. */
export interface UnlistedNode {
  nodeId: number;
  managedPages: number;
  freePages: number;
  /** `nr_*` by name. */
  stats: Counts;
}

export interface ReportFacts {
  /** Line that the report begins with. */
  line: number;
  zoneinfo: Zoneinfo;
  /** Zones whose lists were printed in full. */
  buddyinfo: BuddyinfoZone[];
  hugepages: Map<number, HugepagePool[]>;
  swap: { totalKib: number; freeKib: number } | null;
  release: string | undefined;
  unlisted: UnlistedNode | null;
  /** Nodes that the report names or counts, and says nothing of. */
  unknownNodeIds: number[];
}

/** The last report that lists zones; a report about a full cgroup lists none. */
export function lastWithZones(reports: readonly LogReport[]): LogReport | undefined {
  return reports.filter(({ zones }) => zones.length > 0).at(-1) ?? reports.at(-1);
}

/** What the report says, in the form of the sources it stands for. Start and span of zones are left open. */
export function factsOfReport(report: LogReport): ReportFacts {
  const { zones, nodeUses, line, release } = report;
  const listed = [...new Set(zones.map(({ nodeId }) => nodeId))];
  const slab = slabShares(report);
  const printed = zones.map((zone): ZoneinfoZone => zoneOf(zone, line, nodeUses.size > 0));
  const nodeStats = new Map<number, Counts>();
  for (const nodeId of listed) {
    const uses = nodeUses.get(nodeId) ?? sumOf(zones.filter((zone) => zone.nodeId === nodeId));
    nodeStats.set(nodeId, statsOf({ ...slab.get(nodeId), ...uses }));
  }
  const unlistedIds = (report.memsAllowed ?? []).filter((nodeId) => !listed.includes(nodeId));
  const unlisted = unlistedIds.length === 1 ? unlistedNode(unlistedIds[0] ?? 0, report) : null;
  return {
    line,
    zoneinfo: { zones: printed, nodeStats },
    buddyinfo: zones
      .filter(({ freeBlocks }) => freeBlocks.length === ORDERS)
      .map(({ nodeId, name, freeBlocks }) => ({ nodeId, zone: name, blocks: [...freeBlocks] })),
    hugepages: poolsOf(report),
    swap:
      report.swapTotalKib === undefined
        ? null
        : { totalKib: report.swapTotalKib, freeKib: report.swapFreeKib ?? report.swapTotalKib },
    release,
    unlisted,
    unknownNodeIds: unlisted === null ? unlistedIds : [],
  };
}

/** Counters of the LRU lists; since 4.8 those of the zone are named `nr_zone_*`. */
const LRU = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file', 'unevictable'];

function zoneOf(zone: LoggedZone, line: number, perNode: boolean): ZoneinfoZone {
  const stats = emptyCounts();
  for (const name of LRU) {
    const count = zone.uses[name];
    if (count !== undefined) stats[`nr_${perNode ? 'zone_' : ''}${name}`] = count;
  }
  const { nodeId, name, freePages: free, boostPages: boost, presentPages: present } = zone;
  const { minPages: min, lowPages: low, highPages: high, uses } = zone;
  // Before 3.8 present pages leave out what the memory map takes, and free ones may be more.
  const spanned = Math.max(present, free);
  const pages: Counts = { free, boost, min, low, high, present, spanned };
  if (uses.managed !== undefined) pages.managed = uses.managed;
  return {
    ...{ nodeId, name, line, stats },
    pages,
    protectionPages: zone.reservePages.length > 0 ? zone.reservePages : null,
    pagesets: [],
    startPfn: null,
  };
}

function sumOf(zones: readonly LoggedZone[]): Counts {
  const sum = emptyCounts();
  for (const { uses } of zones)
    for (const [name, count] of Object.entries(uses)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

/** Names of the report, and what they are called in /proc/zoneinfo. Page tables and stacks are not modelled. */
const COUNTED = [...LRU, 'mapped', 'dirty', 'writeback', 'shmem'];
const SLAB = ['slab_reclaimable', 'slab_unreclaimable'];

/**
 * A report tells the LRU lists and what is shared memory: anonymous pages are those of the lists of anonymous
 * memory without the latter, pages of the cache those of the lists of files with it.
 */
function statsOf(uses: Counts): Counts {
  const stats = emptyCounts();
  for (const name of [...COUNTED, ...SLAB]) stats[`nr_${name}`] = uses[name] ?? 0;
  const of = (name: string): number => uses[name] ?? 0;
  const shmem = of('shmem');
  stats.nr_anon_pages = Math.max(of('inactive_anon') + of('active_anon') - shmem, 0);
  stats.nr_file_pages = of('inactive_file') + of('active_file') + shmem;
  return stats;
}

/** Since 4.8 slab is counted for the whole host only: each listed node has its share of the memory in use. */
function slabShares({ counts, zones }: LogReport): Map<number, Counts> {
  const used = new Map<number, number>();
  for (const { nodeId, managedPages, freePages } of zones)
    used.set(nodeId, (used.get(nodeId) ?? 0) + Math.max(managedPages - freePages, 0));
  const all = [...used.values()].reduce((sum, pages) => sum + pages, 0);
  const shares = new Map<number, Counts>();
  for (const [nodeId, pages] of used) {
    const share = emptyCounts();
    for (const name of SLAB) share[name] = Math.floor(((counts[name] ?? 0) * pages) / (all || 1));
    shares.set(nodeId, share);
  }
  return shares;
}

/**
 * The one node that the report leaves out: it lists those of the policy or cpuset, and counts all.
 * @kernel lib/show_mem.c SHOW_MEM_FILTER_NODES
 * @returns null where the report was cut before the counts of the host
 */
function unlistedNode(nodeId: number, report: LogReport): UnlistedNode | null {
  const { counts, zones, ramPages, reservedPages = 0, nodeUses } = report;
  if (ramPages === undefined || counts.free === undefined) return null;
  const listed = (count: (zone: LoggedZone) => number): number =>
    zones.reduce((sum, zone) => sum + count(zone), 0);
  const managedPages = ramPages - reservedPages - listed((zone) => zone.managedPages);
  if (managedPages <= 0) return null;
  const own = nodeUses.size > 0 ? [...nodeUses.values()] : zones.map(({ uses }) => uses);
  const rest = emptyCounts();
  for (const name of COUNTED) {
    const known = own.reduce((sum, uses) => sum + (uses[name] ?? 0), 0);
    rest[name] = Math.max((counts[name] ?? 0) - known, 0);
  }
  const freePages = counts.free - listed((zone) => zone.freePages);
  return {
    nodeId,
    managedPages,
    freePages: Math.min(Math.max(freePages, 0), managedPages),
    stats: statsOf(rest),
  };
}

function poolsOf({ pools }: LogReport): Map<number, HugepagePool[]> {
  const byNode = new Map<number, HugepagePool[]>();
  for (const { nodeId, ...pool } of pools) {
    const list = byNode.get(nodeId) ?? [];
    if (!list.some(({ sizeKib }) => sizeKib === pool.sizeKib)) list.push(pool);
    byNode.set(nodeId, list);
  }
  return byNode;
}

/** First and last frame of each zone type on x86-64. */
const ZONE_STARTS: Readonly<Record<string, number>> = { DMA: 1, DMA32: 4096, Normal: 1_048_576 };
/** Nodes start at a section of sparse memory, 128 MiB. */
const SECTION_PAGES = 32_768;

/**
 * Gives zones without one a start: ascending nodes one behind the other, each zone from where its type begins or
 * the zone before it ends. A log has present pages only, so that holes are not known.
 */
export function placeZones(zones: ZoneinfoZone[]): void {
  const byAddress = [...zones].sort(
    (a, b) => a.nodeId - b.nodeId || zoneOrder(a.name) - zoneOrder(b.name),
  );
  let next = 0;
  let nodeId = -1;
  for (const zone of byAddress) {
    if (zone.nodeId !== nodeId) next = Math.ceil(next / SECTION_PAGES) * SECTION_PAGES;
    nodeId = zone.nodeId;
    zone.startPfn ??= Math.max(next, ZONE_STARTS[zone.name] ?? 0);
    next = zone.startPfn + (zone.pages.spanned ?? 0);
  }
}

const zoneOrder = (name: string): number => ZONE_NAMES.findIndex((known) => known === name);
