/** Why a request failed or a process was killed: every zone asked again, with the check of the kernel's own time. */
import {
  checkWatermark,
  kernelProfileOf,
  kernelProfiles,
  type CheckResult,
  type KernelProfile,
} from '@zonewise/simulator';
import { adviceFor, type LogAdvice } from './log-advice';
import type { LoggedGfp, ZoneClass } from './gfp-flags';
import type { LoggedZone, LogReport } from './log-report';
import { judgeVictim, type VictimVerdict } from './victim';

/** Why a zone was not asked at all. */
export type Ineligible = 'above-class' | 'not-in-nodemask' | 'not-in-cpuset';

export interface ZoneVerdict {
  nodeId: number;
  zone: string;
  freePages: number;
  filePages: number;
  anonPages: number;
  ineligible: Ineligible | null;
  /** Reserve against the request's class, pages. */
  reservePages: number;
  highPages: number;
  /** The first attempt, and the one of the slow path with the request's rights; null where it was not asked. */
  low: CheckResult | null;
  min: CheckResult | null;
}

export interface NodeVerdict {
  nodeId: number;
  /** Could the request go there at all? */
  allowed: boolean;
  freePages: number;
  filePages: number;
  /** Free pages above the high marks of its zones. */
  sparePages: number;
}

/** Why reclaim or compaction did not help, in order of weight. */
export interface Reason {
  code:
    | 'may-not-wait'
    | 'no-swap'
    | 'swap-full'
    | 'cache-gone'
    | 'cache-left'
    | 'fragmented'
    | 'passes-now'
    | 'memcg-full';
  message: string;
}

export interface Diagnosis {
  kind: LogReport['kind'];
  line: number;
  task: string;
  request: LoggedGfp & { order: number; pages: number; classIndex: number };
  /** `note` says what the check rests on where the kernel has no profile of its own. */
  kernel: { release: string | null; checkedAs: string; note: string | null };
  constraint: string | null;
  /** Nodes that the policy and the cpuset leave; null: all. */
  allowedNodes: number[] | null;
  zones: ZoneVerdict[];
  nodes: NodeVerdict[];
  /**
   * Free pages of nodes that the report leaves out: it lists those of the policy or cpuset only, but counts all.
   * @kernel lib/show_mem.c SHOW_MEM_FILTER_NODES
   */
  unlistedFreePages: number;
  /** Allowed nodes that refused, while others had pages to spare. */
  exhaustedNodes: number[];
  reasons: Reason[];
  victim: VictimVerdict | null;
  advice: LogAdvice[];
}

const CLASSES_64 = ['DMA', 'DMA32', 'Normal', 'Movable', 'Device'];
const CLASSES_32 = ['DMA', 'Normal', 'HighMem', 'Movable'];

/** Answers what a report says about the request, the nodes and the victim. */
export function diagnose(report: LogReport): Diagnosis {
  const { gfp, order } = report;
  const highMem = report.zones.some(({ name }) => name === 'HighMem');
  const classes = highMem ? CLASSES_32 : CLASSES_64;
  const classIndex = classOf(gfp.zoneClass, classes);
  const profile = checkProfileOf(report.release);
  const allowedNodes = allowedOf(report);
  const zones = report.zones.map((zone) =>
    judgeZone(zone, { report, classes, classIndex, profile }),
  );
  const nodes = judgeNodes(report.zones, allowedNodes);
  const refused = new Set(
    zones.filter(({ min }) => min !== null && !min.allowed).map(({ nodeId }) => nodeId),
  );
  const served = new Set(
    zones.filter(({ min }) => min?.allowed === true).map(({ nodeId }) => nodeId),
  );
  const diagnosis = {
    kind: report.kind,
    line: report.line,
    task: report.task,
    request: { ...gfp, order, pages: 2 ** order, classIndex },
    kernel: kernelOf(report.release, profile),
    constraint: report.constraint ?? null,
    allowedNodes,
    zones,
    nodes,
    unlistedFreePages: unlistedFree(report),
    exhaustedNodes: [...refused].filter((nodeId) => !served.has(nodeId)),
    reasons: [],
    victim: judgeVictim(report),
  };
  const reasons = reasonsOf(report, zones);
  return { ...diagnosis, reasons, advice: adviceFor(report, { ...diagnosis, reasons }) };
}

/** A class that no zone of this machine has is the next lower one. */
function classOf(zoneClass: ZoneClass, classes: readonly string[]): number {
  if (zoneClass === 'HighMem' && !classes.includes('HighMem')) return classes.indexOf('Normal');
  if (zoneClass === 'DMA32' && !classes.includes('DMA32')) return classes.indexOf('Normal');
  return classes.indexOf(zoneClass);
}

/** The check of 4.4 stayed until after 4.18; between the two no profile of its own is known. */
function checkProfileOf(release: string | undefined): KernelProfile {
  const match = release === undefined ? undefined : kernelProfileOf(release);
  if (!match) return kernelProfiles['6.1.y'];
  const [major = 0, minor = 0] = (release ?? '').split(/[.-]/).map(Number);
  const afterLoop = major > 4 || (major === 4 && minor >= 4);
  return match.profile.watermarkCheck === 'per-order' && afterLoop
    ? kernelProfiles['4.18']
    : match.profile;
}

function kernelOf(release: string | undefined, { name }: KernelProfile): Diagnosis['kernel'] {
  if (release === undefined) {
    const note = `the log does not name its kernel: the check of ${name} was applied`;
    return { release: null, checkedAs: name, note };
  }
  const match = kernelProfileOf(release);
  if (match?.exact === true && match.profile.name === name) {
    return { release, checkedAs: name, note: null };
  }
  const note = `${release} has no profile of its own: it was checked as ${name}, the nearest whose check is known`;
  return { release, checkedAs: name, note };
}

/** A request that may not wait is an interrupt's as often as not: cpusets do not bind it. */
function allowedOf({ nodemask, memsAllowed, gfp }: LogReport): number[] | null {
  const mems = gfp.canWait ? memsAllowed : undefined;
  if (!nodemask) return mems ?? null;
  return mems === undefined ? nodemask : nodemask.filter((nodeId) => mems.includes(nodeId));
}

interface Asked {
  report: LogReport;
  classes: readonly string[];
  classIndex: number;
  profile: KernelProfile;
}

function judgeZone(zone: LoggedZone, asked: Asked): ZoneVerdict {
  const { report, classIndex, profile } = asked;
  const { order, gfp } = report;
  const ineligible = ineligibleFor(zone, asked);
  const reservePages = zone.reservePages[classIndex] ?? 0;
  const checked = { ...zone, reservePages, freeBlocks: usableBlocks(zone, gfp) };
  const at = (mark: 'low' | 'min'): CheckResult | null =>
    ineligible === null ? checkWatermark(checked, { order, mark, kind: gfp.kind }, profile) : null;
  const { nodeId, name, freePages, filePages, anonPages, highPages } = zone;
  return {
    ...{ nodeId, zone: name, freePages, filePages, anonPages, highPages },
    ineligible,
    reservePages,
    low: at('low'),
    min: at('min'),
  };
}

function ineligibleFor(
  zone: LoggedZone,
  { report, classes, classIndex }: Asked,
): Ineligible | null {
  if (classes.indexOf(zone.name) > classIndex) return 'above-class';
  if (report.nodemask && !report.nodemask.includes(zone.nodeId)) return 'not-in-nodemask';
  if (report.gfp.canWait && report.memsAllowed?.includes(zone.nodeId) === false) {
    return 'not-in-cpuset';
  }
  return null;
}

/** Blocks on lists that the request may not use count as none: another's reserve, isolated ones, CMA for what cannot move. */
function usableBlocks(zone: LoggedZone, gfp: LoggedGfp): number[] {
  const usable = gfp.movable ? 'UMEC' : gfp.kind === 'atomic' ? 'UMEH' : 'UME';
  return zone.freeBlocks.map((blocks, order) => {
    const types = zone.blockTypes[order] ?? '';
    return types === '' || [...types].some((type) => usable.includes(type)) ? blocks : 0;
  });
}

function judgeNodes(zones: LoggedZone[], allowed: number[] | null): NodeVerdict[] {
  const nodes = new Map<number, NodeVerdict>();
  for (const { nodeId, freePages, filePages, highPages } of zones) {
    let node = nodes.get(nodeId);
    if (!node) {
      const may = allowed === null || allowed.includes(nodeId);
      node = { nodeId, allowed: may, freePages: 0, filePages: 0, sparePages: 0 };
      nodes.set(nodeId, node);
    }
    node.freePages += freePages;
    node.filePages += filePages;
    node.sparePages += Math.max(freePages - highPages, 0);
  }
  return [...nodes.values()];
}

function unlistedFree({ counts, zones }: LogReport): number {
  const listed = zones.reduce((sum, { freePages }) => sum + freePages, 0);
  return Math.max((counts['free'] ?? 0) - listed, 0);
}

function reasonsOf(report: LogReport, zones: ZoneVerdict[]): Reason[] {
  const reasons: Reason[] = [];
  const asked = zones.filter(({ ineligible }) => ineligible === null);
  const sum = (of: (zone: ZoneVerdict) => number): number =>
    asked.reduce((total, zone) => total + of(zone), 0);
  const { memcg, gfp, swapTotalKib, swapFreeKib } = report;
  if (memcg) {
    const { anon, file } = memcg.stats;
    const what =
      anon === undefined || file === undefined
        ? ''
        : ` (${anon} bytes anonymous, ${file} of files)`;
    const group = memcg.path === undefined ? 'the memory cgroup' : `memory cgroup ${memcg.path}`;
    const message = `${group} uses ${memcg.usageKib} KiB of ${memcg.limitKib} KiB${what}: it was full, not the host`;
    reasons.push({ code: 'memcg-full', message });
  }
  if (!gfp.canWait && gfp.flags.length > 0) {
    reasons.push({
      code: 'may-not-wait',
      message:
        'the request may not wait: neither reclaim nor compaction ran for it, kswapd was only woken',
    });
  }
  const anonPages = sum((zone) => zone.anonPages);
  const filePages = sum((zone) => zone.filePages);
  if (anonPages > filePages && swapTotalKib === 0) {
    const message = `${anonPages} pages of the zones asked are anonymous, and there is no swap they could go to`;
    reasons.push({ code: 'no-swap', message });
  } else if (anonPages > filePages && swapTotalKib !== undefined && swapFreeKib === 0) {
    const message = `${anonPages} pages of the zones asked are anonymous, and all ${swapTotalKib} KiB of swap are in use`;
    reasons.push({ code: 'swap-full', message });
  }
  if (gfp.canWait && !memcg && asked.length > 0) {
    const code = filePages <= 32 * asked.length ? 'cache-gone' : 'cache-left';
    const message =
      code === 'cache-gone'
        ? `only ${filePages} pages of cache are left in the zones asked: reclaim has taken what it could`
        : `${filePages} pages of cache were still there: dirty, in use, or touched again at once`;
    reasons.push({ code, message });
  }
  const fragmented = asked.filter(({ min }) => min?.refusedBy === 'larger-blocks');
  if (fragmented.length > 0) {
    const names = fragmented.map(({ nodeId, zone }) => `node ${nodeId} ${zone}`).join(', ');
    const message = `${names}: free pages enough, but not in blocks that the check for order ${report.order} accepts`;
    reasons.push({ code: 'fragmented', message });
  }
  const passing = asked.filter(({ min }) => min?.allowed === true);
  if (passing.length > 0) {
    const names = passing.map(({ nodeId, zone }) => `node ${nodeId} ${zone}`).join(', ');
    const message = `${names}: would serve the request by the numbers printed; they were taken after it had failed`;
    reasons.push({ code: 'passes-now', message });
  }
  return reasons;
}
