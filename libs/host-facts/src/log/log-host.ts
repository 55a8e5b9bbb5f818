/** A stored host as it was when its kernel wrote a report: sizes and settings of the host, use of memory from the log. */
import { ZONE_NAMES, type HostModel, type HostNode, type HostZone } from '@zonewise/simulator';
import { addPages, removePages, unfragmentedBlocks } from '../build/free-blocks';
import { lruSum, scaleLru } from '../build/node-stats';
import { ProblemList, type Parsed } from '../errors';
import { ORDERS, pagesInBlocks } from '../parse/buddyinfo';
import type { LoggedZone, LogReport } from './log-report';

/** What a reader must know of a host as {@link hostOfReport} makes it. */
export function onTopOf({ line }: LogReport): string {
  return `The host is as line ${line} of its kernel log reports it; sizes, settings and zones that the report leaves out are as they were described, per-CPU lists are empty, active and inactive pages are in their earlier proportion.`;
}

/** Managed pages change a little with hotplug and balloons; beyond this share it is another host. */
const SAME_HOST_SHARE = 0.02;

/**
 * The host at the moment of the report. Free pages, marks, free blocks and LRU pages of the zones listed are the
 * log's; per-CPU lists are empty; zones that the report leaves out stay as they were stored.
 * @returns problems where the report lists no zones, or those of another host
 */
export function hostOfReport(
  report: LogReport,
  host: HostModel,
  source = 'kernelLog',
): Parsed<HostModel> {
  const problems = new ProblemList(source);
  const listed = report.zones.filter(({ name }) => ZONE_NAMES.some((known) => known === name));
  if (listed.length === 0) {
    problems.add({
      code: 'missing-field',
      message: 'the report lists no zones',
      line: report.line,
      expected: 'lines such as Node 0 Normal free:56552kB',
    });
  }
  for (const logged of listed) checkSame(logged, host, report.line, problems);
  const nodes = host.nodes.map((node) => nodeOfReport(node, listed));
  const totalPages =
    report.swapTotalKib === undefined ? undefined : Math.floor(report.swapTotalKib / 4);
  const swap =
    totalPages === undefined
      ? host.swap
      : { totalPages, freePages: Math.min(Math.floor((report.swapFreeKib ?? 0) / 4), totalPages) };
  return problems.outcome({ ...host, nodes, swap });
}

function checkSame(logged: LoggedZone, host: HostModel, line: number, problems: ProblemList): void {
  const zone = host.nodes
    .find(({ nodeId }) => nodeId === logged.nodeId)
    ?.zones.find(({ name }) => name === logged.name);
  const known = zone?.managedPages ?? 0;
  if (Math.abs(known - logged.managedPages) <= known * SAME_HOST_SHARE) return;
  problems.add({
    code: 'impossible-value',
    message: `node ${logged.nodeId}, zone ${logged.name} is not one of this host`,
    line,
    expected: `${known} managed pages`,
    found: `${logged.managedPages} managed pages`,
  });
}

function nodeOfReport(node: HostNode, listed: readonly LoggedZone[]): HostNode {
  const own = listed.filter(({ nodeId }) => nodeId === node.nodeId);
  if (own.length === 0) return node;
  const zones = node.zones.map((zone) => {
    const logged = own.find(({ name }) => name === zone.name);
    return logged === undefined ? zone : zoneOfReport(zone, node, logged);
  });
  const lru = { ...node.lru };
  for (const name of Object.keys(lru) as (keyof typeof lru)[])
    lru[name] = zones.reduce((sum, zone) => sum + (zone.lru?.[name] ?? 0), 0);
  const filePages = lru.activeFilePages + lru.inactiveFilePages;
  const used = zones.reduce((sum, zone) => sum + zone.managedPages - zone.freePages, 0);
  const room = Math.max(used - lruSum(lru), 0);
  const slabUnreclaimablePages = Math.min(node.slabUnreclaimablePages, room);
  return {
    ...node,
    zones,
    lru,
    filePages,
    mappedPages: Math.min(node.mappedPages, filePages),
    shmemPages: Math.min(node.shmemPages, used),
    anonPages: lru.activeAnonPages + lru.inactiveAnonPages,
    dirtyPages: Math.min(node.dirtyPages, filePages),
    writebackPages: Math.min(node.writebackPages, filePages),
    slabUnreclaimablePages,
    slabReclaimablePages: Math.min(node.slabReclaimablePages, room - slabUnreclaimablePages),
  };
}

function zoneOfReport(zone: HostZone, node: HostNode, logged: LoggedZone): HostZone {
  const freePages = Math.min(logged.freePages, zone.managedPages);
  const split = zone.lru ?? node.lru;
  const [activeFile, inactiveFile] = parts(
    logged.filePages,
    split.activeFilePages,
    split.inactiveFilePages,
  );
  const [activeAnon, inactiveAnon] = parts(
    logged.anonPages,
    split.activeAnonPages,
    split.inactiveAnonPages,
  );
  const lru = {
    inactiveAnonPages: inactiveAnon,
    activeAnonPages: activeAnon,
    inactiveFilePages: inactiveFile,
    activeFilePages: activeFile,
    unevictablePages: zone.lru?.unevictablePages ?? 0,
  };
  const used = zone.managedPages - freePages;
  const named = lruSum(lru);
  return {
    ...zone,
    // The log has the blocks of all migrate types together.
    freeBlocksByType: undefined,
    freePages,
    boostPages: Math.min(logged.boostPages, logged.minPages),
    minPages: logged.minPages,
    lowPages: logged.lowPages,
    highPages: logged.highPages,
    freeBlocks: blocksOf(logged, freePages),
    pagesets: zone.pagesets.map((pageset) => ({ ...pageset, countPages: 0 })),
    lru: named > used ? scaleLru(lru, used / named) : lru,
  };
}

/** A sum in the proportion of two counts that were seen before; all inactive where there were none. */
function parts(sum: number, active: number, inactive: number): [active: number, inactive: number] {
  const first = active + inactive === 0 ? 0 : Math.floor((sum * active) / (active + inactive));
  return [first, sum - first];
}

/** The lists are counted after the free pages: what is missing or too much is settled as for buddyinfo. */
function blocksOf({ freeBlocks }: LoggedZone, freePages: number): number[] {
  if (freeBlocks.length !== ORDERS) return unfragmentedBlocks(freePages);
  const blocks = [...freeBlocks];
  const listed = pagesInBlocks(blocks);
  if (listed > freePages) removePages(blocks, listed - freePages);
  else addPages(blocks, freePages - listed);
  return blocks;
}
