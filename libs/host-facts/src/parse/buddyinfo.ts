import { ProblemList, type Parsed } from '../errors';
import { readCount, readNodeId, splitLines, unexpectedLine, words } from './text';

/** Free blocks of one zone by order, all migrate types together. */
export interface BuddyinfoZone {
  nodeId: number;
  zone: string;
  blocks: number[];
}

/** Orders 0..10; a kernel with larger blocks is not one of x86-64's defaults. */
export const ORDERS = 11;
const MOST_BLOCKS = 2 ** 40;

/** Parses /proc/buddyinfo (frag_show_print in mm/vmstat.c): one line per populated zone, 11 orders. */
export function parseBuddyinfo(text: string, source = 'buddyinfo'): Parsed<BuddyinfoZone[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const zones: BuddyinfoZone[] = [];
  const seen = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() === '') continue;
    const zone = readLine(line, index + 1, problems);
    if (zone === null) continue;
    const key = `${zone.nodeId} ${zone.zone}`;
    if (seen.has(key)) {
      problems.add({
        code: 'duplicate',
        message: `node ${zone.nodeId}, zone ${zone.zone} is described twice`,
        line: index + 1,
        expected: 'each zone once',
        found: line.trim(),
      });
    }
    seen.add(key);
    zones.push(zone);
  }
  return problems.outcome(zones);
}

function readLine(line: string, n: number, problems: ProblemList): BuddyinfoZone | null {
  const match = /^Node\s+(\d+),\s+zone\s+(\S+)(.*)$/.exec(line);
  if (match === null) {
    unexpectedLine(line, n, 'Node 0, zone Normal and 11 counts', problems);
    return null;
  }
  const nodeId = readNodeId(match[1] ?? '', n, problems);
  const blocks = readOrders(words(match[3] ?? ''), n, problems);
  if (nodeId === null || blocks === null) return null;
  return { nodeId, zone: match[2] ?? '', blocks };
}

/** Reads the counts of orders 0..10; fewer mean a cut line. */
export function readOrders(list: string[], n: number, problems: ProblemList): number[] | null {
  if (list.length !== ORDERS) {
    problems.add({
      code: list.length < ORDERS ? 'truncated' : 'unexpected-line',
      message: `the line has ${list.length} counts`,
      line: n,
      expected: `${ORDERS} counts, orders 0 to 10`,
      found: `${list.length} counts`,
    });
    return null;
  }
  const blocks: number[] = [];
  for (const word of list) {
    const count = readCount(word, 'the number of blocks', n, problems, MOST_BLOCKS);
    if (count === null) return null;
    blocks.push(count);
  }
  return blocks;
}

/** Pages in free blocks by order. */
export function pagesInBlocks(blocks: readonly number[]): number {
  return blocks.reduce((sum, count, order) => sum + count * 2 ** order, 0);
}
