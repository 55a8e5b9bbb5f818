import type { MigrateTypeName } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import { ORDERS } from './buddyinfo';
import { readCount, readNodeId, splitLines, unexpectedLine, words } from './text';

/** Free blocks of one migrate type of one zone. */
export interface PagetypeFree {
  nodeId: number;
  zone: string;
  type: MigrateTypeName;
  blocks: number[];
  /** Orders whose count was printed as `>100000`: the kernel stops counting there (5.5 and later). */
  cappedOrders: number[];
}

/** Pageblocks of one zone by the migrate type they are marked with. */
export interface PagetypeBlocks {
  nodeId: number;
  zone: string;
  blocks: Partial<Record<MigrateTypeName, number>>;
}

export interface Pagetypeinfo {
  pageBlockOrder: number | null;
  free: PagetypeFree[];
  blocks: PagetypeBlocks[];
  /** True when the text has the `Reserve` type of kernels before 4.4. */
  hasReserve: boolean;
}

const MOST_BLOCKS = 2 ** 40;
/** The kernel stops counting a list here: it walks the list under the zone's lock. */
export const CAP = 100_000;
/**
 * Types by printed name. `Reserve` (before 4.4) was handed out to any type as a last resort; no later
 * kernel has such blocks and would have them as Movable, the type every pageblock starts with.
 */
const TYPES = new Map<string, MigrateTypeName>([
  ['Unmovable', 'Unmovable'],
  ['Movable', 'Movable'],
  ['Reclaimable', 'Reclaimable'],
  ['HighAtomic', 'HighAtomic'],
  ['CMA', 'CMA'],
  ['Isolate', 'Isolate'],
  ['Reserve', 'Movable'],
]);

/** Parses /proc/pagetypeinfo (pagetypeinfo_show in mm/vmstat.c); one part per node with memory. */
export function parsePagetypeinfo(text: string, source = 'pagetypeinfo'): Parsed<Pagetypeinfo> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const reader = new PagetypeReader(problems);
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() !== '') reader.read(line.trim(), index + 1);
  }
  reader.finish(lines.length);
  return problems.outcome(reader.result);
}

class PagetypeReader {
  readonly result: Pagetypeinfo = {
    pageBlockOrder: null,
    free: [],
    blocks: [],
    hasReserve: false,
  };
  private columns: string[] = [];
  private readonly seen = new Set<string>();
  private readonly freeZones = new Set<string>();
  private readonly blockZones = new Set<string>();

  constructor(private readonly problems: ProblemList) {}

  read(body: string, n: number): void {
    const order = /^Page block order:\s*(\S+)$/.exec(body);
    if (order !== null) {
      this.result.pageBlockOrder = readCount(order[1] ?? '', 'page block order', n, this.problems);
      return;
    }
    if (/^Pages per block:/.test(body) || /^Free pages count per migrate type/.test(body)) return;
    if (/^Number of (mixed )?blocks type/i.test(body)) {
      this.columns = words(body).filter((name) => TYPES.has(name));
      return;
    }
    const line = /^Node\s+(\d+),\s+zone\s+([^\s,]+)(,\s+type\s+(\S+))?(.*)$/.exec(body);
    if (line === null) {
      unexpectedLine(body, n, 'Node 0, zone Normal, type Movable and 11 counts', this.problems);
      return;
    }
    const nodeId = readNodeId(line[1] ?? '', n, this.problems);
    if (nodeId === null) return;
    const counts = words(line[5] ?? '');
    if (line[4] === undefined) this.readBlocks(nodeId, line[2] ?? '', counts, n);
    else this.readFree(nodeId, line[2] ?? '', line[4], counts, n);
  }

  finish(lastLine: number): void {
    for (const zone of this.freeZones) {
      if (this.blockZones.has(zone) || this.problems.problems.length > 0) continue;
      this.problems.add({
        code: 'truncated',
        message: `the blocks of ${zone} are not listed`,
        line: lastLine,
        expected: `Number of blocks type for ${zone}`,
        found: 'the end of the text',
      });
    }
  }

  private readFree(nodeId: number, zone: string, name: string, counts: string[], n: number): void {
    const type = TYPES.get(name);
    if (type === undefined || counts.length !== ORDERS) {
      const found = type === undefined ? `type ${name}` : `${counts.length} counts`;
      this.problems.add({
        code: counts.length < ORDERS ? 'truncated' : 'unexpected-line',
        message: `the line has ${found}`,
        line: n,
        expected: `a migrate type and ${ORDERS} counts`,
        found,
      });
      return;
    }
    if (this.repeated(`${nodeId} ${zone} ${name}`, n)) return;
    this.freeZones.add(`node ${nodeId}, zone ${zone}`);
    const entry: PagetypeFree = { nodeId, zone, type, blocks: [], cappedOrders: [] };
    for (const [order, word] of counts.entries()) {
      const capped = word.startsWith('>');
      const digits = capped ? word.slice(1) : word;
      const count = readCount(digits, 'the number of blocks', n, this.problems, MOST_BLOCKS);
      if (count === null) return;
      if (capped) entry.cappedOrders.push(order);
      entry.blocks.push(capped ? Math.max(count, CAP) : count);
    }
    if (name === 'Reserve') this.result.hasReserve = true;
    this.result.free.push(entry);
  }

  private readBlocks(nodeId: number, zone: string, counts: string[], n: number): void {
    if (this.columns.length === 0 || counts.length !== this.columns.length) {
      this.problems.add({
        code: counts.length < this.columns.length ? 'truncated' : 'unexpected-line',
        message: `the line has ${counts.length} counts for ${this.columns.length} types`,
        line: n,
        expected: `${this.columns.length} counts below a line "Number of blocks type"`,
        found: `${counts.length} counts`,
      });
      return;
    }
    if (this.repeated(`${nodeId} ${zone} blocks ${this.columns.join()}`, n)) return;
    this.blockZones.add(`node ${nodeId}, zone ${zone}`);
    const blocks: Partial<Record<MigrateTypeName, number>> = {};
    for (const [index, word] of counts.entries()) {
      const count = readCount(word, 'the number of pageblocks', n, this.problems, MOST_BLOCKS);
      const type = TYPES.get(this.columns[index] ?? '');
      if (count === null || type === undefined) return;
      blocks[type] = (blocks[type] ?? 0) + count;
    }
    this.result.blocks.push({ nodeId, zone, blocks });
  }

  private repeated(key: string, n: number): boolean {
    if (this.seen.has(key)) {
      this.problems.add({
        code: 'duplicate',
        message: 'this zone and type is listed twice',
        line: n,
        expected: 'each zone and type once',
        found: key,
      });
      return true;
    }
    this.seen.add(key);
    return false;
  }
}
