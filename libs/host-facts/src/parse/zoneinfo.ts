import type { HostPageset } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import {
  MAX_CPUS,
  MAX_PAGESETS,
  emptyCounts,
  readCount,
  readNodeId,
  splitLines,
  unexpectedLine,
  words,
} from './text';

/** A zone as printed. Names stay the kernel's text: Device and HighMem occur too. */
export interface ZoneinfoZone {
  nodeId: number;
  name: string;
  /** Line of the zone's heading. */
  line: number;
  /** `free`, `boost`, `min`, `low`, `high`, `promo`, `spanned`, `present`, `managed`, ... as printed. */
  pages: Record<string, number>;
  protectionPages: number[] | null;
  /** `nr_*` and `numa_*` lines of the zone. */
  stats: Record<string, number>;
  pagesets: HostPageset[];
  startPfn: number | null;
}

export interface Zoneinfo {
  zones: ZoneinfoZone[];
  /** "per-node stats" by node; empty before kernel 4.8, which counts per zone. */
  nodeStats: Map<number, Record<string, number>>;
}

const HEADING = /^Node\s+(\d+),\s+zone\s+(\S+)\s*$/;
/** Both are matched against the trimmed line: no two parts of a pattern can take the same spaces. */
const STAT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const COLON = /^([a-z_][a-z_ ]*):\s*(.*)$/;
/** Lines of the list of sizes and marks, which starts with `pages free`. */
const PAGE_LINES = new Set(
  'boost min low high promo scanned node_scanned spanned present managed cma'.split(' '),
);
/** Printed by one kernel or another after the pagesets; only start_pfn is used. */
const TAIL_LINES = new Set(
  (
    'node_unreclaimable,all_unreclaimable,prev_priority,temp_priority,inactive_ratio,' +
    'node_inactive_ratio,vm stats threshold'
  ).split(','),
);

/**
 * Parses /proc/zoneinfo of kernels 2.6.32 to 6.18 (zoneinfo_show_print in mm/vmstat.c).
 * Lines that a kernel adds are kept by name; lines that the format cannot have are problems.
 * A populated zone must be complete down to `start_pfn`, and every node must list the zones that the
 * first one lists where empty zones are printed, so that a cut text is found.
 */
export function parseZoneinfo(text: string, source = 'zoneinfo'): Parsed<Zoneinfo> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const reader = new ZoneinfoReader(problems);
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() !== '') reader.read(line, index + 1);
  }
  reader.finish(lines.length);
  return problems.outcome(reader.result);
}

const CAPITAL_N = 78;
const SPACE = 32;
const ZERO = 48;
const MOST_PLAIN_DIGITS = 9;

/** The digits from `at` to the end after any spaces, as a number; -1 where there is anything else. */
function plainCount(line: string, at: number): number {
  let from = at;
  while (line.charCodeAt(from) === SPACE) from += 1;
  const digits = line.length - from;
  if (digits === 0 || digits > MOST_PLAIN_DIGITS) return -1;
  let value = 0;
  for (let i = from; i < line.length; i += 1) {
    const digit = line.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

class ZoneinfoReader {
  readonly result: Zoneinfo = { zones: [], nodeStats: new Map() };
  private zone: ZoneinfoZone | null = null;
  private section: 'node-stats' | 'zone' | 'pagesets' = 'zone';
  private pageset: HostPageset | null = null;
  private readonly pagesetFields = new Set<string>();
  private readonly pagesetCpus = new Set<number>();
  private readonly seen = new Set<string>();
  private pagesets = 0;

  constructor(private readonly problems: ProblemList) {}

  read(line: string, n: number): void {
    if (this.section === 'pagesets' && this.plainPagesetLine(line, n)) return;
    if (this.heading(line, n)) return;
    if (this.zone === null) {
      unexpectedLine(line, n, 'Node 0, zone DMA', this.problems);
      return;
    }
    const body = line.trim();
    if (body === 'per-node stats') {
      this.startNodeStats(n);
    } else if (/^pages free\b/.test(body)) {
      this.section = 'zone';
      this.setPages('free', body.replace(/^pages free\s*/, ''), n);
    } else if (body === 'pagesets') {
      this.section = 'pagesets';
    } else if (!this.colonLine(body, n) && !this.statLine(body, n)) {
      unexpectedLine(line, n, 'a name and a count', this.problems);
    }
  }

  finish(lastLine: number): void {
    this.closeZone(lastLine);
    if (this.result.zones.length === 0 && this.problems.problems.length === 0) {
      this.problems.add({ code: 'truncated', message: 'no zone is described' });
    }
    this.checkZoneSets(lastLine);
  }

  /**
   * The lines that wide hosts have hundreds of thousands of, without a pattern: a short count after a known name.
   * @returns false for any other line, and for one of these that has anything wrong with it
   */
  private plainPagesetLine(line: string, n: number): boolean {
    const { pageset } = this;
    const colon = line.indexOf(':');
    const count = colon < 0 ? -1 : plainCount(line, colon + 1);
    if (count < 0) return false;
    const name = line.slice(0, colon).trim();
    if (name === 'cpu') {
      this.startPageset(String(count), n);
      return true;
    }
    if (pageset === null) return false;
    if (name === 'count') pageset.countPages = count;
    else if (name === 'high') pageset.highPages = count;
    else if (name === 'batch') pageset.batchPages = count;
    else if (name === 'vm stats threshold') {
      this.closePageset(n);
      return true;
    } else return false;
    this.pagesetFields.add(name);
    return true;
  }

  private heading(line: string, n: number): boolean {
    // A pattern is not asked about lines that cannot be one.
    if (line.charCodeAt(0) !== CAPITAL_N) return false;
    const match = HEADING.exec(line);
    if (match === null) return false;
    this.closeZone(n);
    const nodeId = readNodeId(match[1] ?? '', n, this.problems);
    if (nodeId === null) return true;
    const name = match[2] ?? '';
    const key = `${nodeId} ${name}`;
    if (this.seen.has(key)) {
      this.problems.add({
        code: 'duplicate',
        message: `node ${nodeId}, zone ${name} is described twice`,
        line: n,
        expected: 'each zone once',
        found: line.trim(),
      });
    }
    this.seen.add(key);
    this.pagesetCpus.clear();
    this.section = 'zone';
    this.zone = {
      nodeId,
      name,
      line: n,
      pages: emptyCounts(),
      protectionPages: null,
      stats: emptyCounts(),
      pagesets: [],
      startPfn: null,
    };
    this.result.zones.push(this.zone);
    return true;
  }

  private startNodeStats(n: number): void {
    const nodeId = this.zone?.nodeId ?? 0;
    if (this.result.nodeStats.has(nodeId)) {
      this.problems.add({
        code: 'duplicate',
        message: `node ${nodeId} has per-node stats twice`,
        line: n,
        expected: 'per-node stats once',
        found: 'per-node stats',
      });
      return;
    }
    this.result.nodeStats.set(nodeId, emptyCounts());
    this.section = 'node-stats';
  }

  private colonLine(body: string, n: number): boolean {
    const match = COLON.exec(body);
    if (match === null) return false;
    const name = match[1] ?? '';
    const value = match[2] ?? '';
    if (name === 'protection') this.setProtection(value, n);
    else if (name === 'start_pfn') this.setStartPfn(value, n);
    else if (name === 'cpu') this.startPageset(value, n);
    else if (this.section === 'pagesets' && !TAIL_LINES.has(name)) this.setPageset(name, value, n);
    else if (TAIL_LINES.has(name)) this.closePageset(n);
    // Kernels to come may print more counts this way.
    else if (/^-?\d/.test(value)) readCount(value, name, n, this.problems);
    else return false;
    return true;
  }

  private statLine(body: string, n: number): boolean {
    const [name = '', text = '', ...more] = words(body);
    if (this.zone === null || this.section === 'pagesets' || !STAT_NAME.test(name)) return false;
    if (this.section === 'zone' && PAGE_LINES.has(name)) {
      // Kernels before 2.6.32 add words after the count of `scanned`; the count is the first.
      this.setPages(name, text, n);
      return true;
    }
    if (more.length > 0 || text === '') return false;
    const count = readCount(text, name, n, this.problems);
    const stats =
      this.section === 'node-stats' ? this.result.nodeStats.get(this.zone.nodeId) : this.zone.stats;
    if (count !== null && stats !== undefined) stats[name] = count;
    return true;
  }

  private setPages(name: string, text: string, n: number): void {
    const count = readCount(text, `pages ${name}`, n, this.problems);
    if (count !== null && this.zone !== null) this.zone.pages[name] = count;
  }

  private setProtection(text: string, n: number): void {
    const match = /^\(([\d, ]+)\)$/.exec(text);
    if (match === null || this.zone === null) {
      unexpectedLine(`protection: ${text}`, n, 'protection: (0, 1936, 3919, 3919)', this.problems);
      return;
    }
    const list: number[] = [];
    for (const part of (match[1] ?? '').split(',')) {
      const count = readCount(part.trim(), 'protection', n, this.problems);
      if (count !== null) list.push(count);
    }
    this.zone.protectionPages = list;
  }

  private setStartPfn(text: string, n: number): void {
    this.closePageset(n);
    const pfn = readCount(text, 'start_pfn', n, this.problems);
    if (this.zone !== null) this.zone.startPfn = pfn;
  }

  private startPageset(text: string, n: number): void {
    this.closePageset(n);
    this.section = 'pagesets';
    const cpu = readCount(text.split(/\s+/)[0] ?? '', 'cpu', n, this.problems, MAX_CPUS - 1);
    if (cpu === null) return;
    this.pagesets += 1;
    if (this.pagesets > MAX_PAGESETS) {
      if (this.pagesets === MAX_PAGESETS + 1)
        this.problems.add({ code: 'limit-exceeded', message: 'too many pagesets', line: n });
      return;
    }
    this.pageset = { cpu, countPages: 0, highPages: 0, batchPages: 0 };
    this.pagesetFields.clear();
  }

  private setPageset(name: string, text: string, n: number): void {
    const count = readCount(text, `pageset ${name}`, n, this.problems);
    if (count === null || this.pageset === null) return;
    this.pagesetFields.add(name);
    if (name === 'count') this.pageset.countPages = count;
    else if (name === 'high') this.pageset.highPages = count;
    else if (name === 'batch') this.pageset.batchPages = count;
  }

  private closePageset(n: number): void {
    if (this.pageset === null || this.zone === null) return;
    for (const field of ['count', 'high', 'batch']) {
      if (!this.pagesetFields.has(field))
        this.missing(`pageset cpu ${this.pageset.cpu} ${field}`, n);
    }
    if (this.pagesetCpus.has(this.pageset.cpu)) {
      this.problems.add({
        code: 'duplicate',
        message: `cpu ${this.pageset.cpu} has two pagesets in this zone`,
        line: n,
      });
    }
    this.pagesetCpus.add(this.pageset.cpu);
    this.zone.pagesets.push(this.pageset);
    this.pageset = null;
  }

  private closeZone(n: number): void {
    this.closePageset(n);
    const zone = this.zone;
    if (zone === null) return;
    this.zone = null;
    for (const field of ['free', 'min', 'low', 'high', 'spanned', 'present']) {
      if (zone.pages[field] === undefined) this.missing(field, n, zone);
    }
    if (zone.protectionPages === null) this.missing('protection', n, zone);
    // An empty zone ends with its protection; a populated one goes on to start_pfn.
    if ((zone.pages.present ?? 0) > 0 && zone.startPfn === null) this.missing('start_pfn', n, zone);
  }

  private missing(field: string, n: number, zone = this.zone): void {
    this.problems.add({
      code: 'truncated',
      message: `node ${zone?.nodeId}, zone ${zone?.name} ends without ${field}`,
      line: n,
      expected: field,
      found: 'the end of the zone',
    });
  }

  /**
   * Kernels that print empty zones (4.12 and later) print the same zones for every node. From 4.20, known by
   * nr_kernel_misc_reclaimable, that is relied on where no empty zone is seen: one zone per protection entry.
   */
  private checkZoneSets(lastLine: number): void {
    const { zones, nodeStats } = this.result;
    if (this.problems.problems.length > 0) return;
    const recent = [...nodeStats.values()].some(
      (stats) => stats.nr_kernel_misc_reclaimable !== undefined,
    );
    if (!recent && !zones.some((zone) => (zone.pages.present ?? 0) === 0)) return;
    const byNode = new Map<number, number>();
    for (const zone of zones) byNode.set(zone.nodeId, (byNode.get(zone.nodeId) ?? 0) + 1);
    const entries = recent ? (zones[0]?.protectionPages?.length ?? 0) : 0;
    let most = entries;
    for (const count of byNode.values()) most = Math.max(most, count);
    for (const [nodeId, count] of byNode) {
      if (count === most) continue;
      this.problems.add({
        code: 'truncated',
        message: `node ${nodeId} lists ${count} zones where this kernel lists ${most} for every node`,
        line: lastLine,
        expected: `${most} zones`,
        found: `${count} zones`,
      });
    }
  }
}
