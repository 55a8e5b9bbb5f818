/** What a kernel says of a host's layout: node states, zonelists, zone ranges, indexes of fragmentation. */
import { ProblemList, type Parsed } from '../errors';
import { logLines } from '../log/log-lines';
import { ORDERS } from './buddyinfo';
import { parseIdList } from './lists';
import { MAX_NODES, readCount, readNodeId, splitLines, unexpectedLine, words } from './text';

/** Nodes by state, such as `has_memory`. */
export type PrintedNodeStates = Record<string, number[]>;

const STATES = new Set([
  ...['possible', 'online', 'has_normal_memory', 'has_high_memory', 'has_memory', 'has_cpu'],
  'has_generic_initiator',
]);

/**
 * Parses the files of /sys/devices/system/node with lists of nodes as one text, a line per file as `grep .` prints
 * them: `has_memory:0,2`. @kernel drivers/base/node.c node_state_attr
 */
export function parseNodeStates(text: string, source = 'nodeStates'): Parsed<PrintedNodeStates> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const states: PrintedNodeStates = {};
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() === '') continue;
    const [, name = '', list = ''] = /^(?:\S*\/)?([a-z_]{1,40}):\s*(.*)$/.exec(line.trim()) ?? [];
    if (!STATES.has(name)) {
      unexpectedLine(line, index + 1, 'has_memory:0-3', problems);
      continue;
    }
    const ids = parseIdList(list, source, MAX_NODES - 1);
    if (ids.ok) states[name] = ids.value;
    else {
      problems.add({
        code: 'bad-cpu-list',
        message: `${name}: this is not a list of nodes`,
        line: index + 1,
        expected: 'for example 0-3,8',
        found: list,
      });
    }
  }
  return problems.outcome(states);
}

export interface PrintedFallbackOrder {
  nodeId: number;
  order: number[];
}

/**
 * Parses the zonelists that a kernel log announces: `Fallback order for Node 0: 0 1`. Other lines of the log are
 * passed over; a later announcement replaces an earlier one. @kernel mm/page_alloc.c build_zonelists()
 */
export function parseFallbackOrder(
  text: string,
  source = 'zonelists',
): Parsed<PrintedFallbackOrder[]> {
  const problems = new ProblemList(source);
  const lines = logLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const orders = new Map<number, number[]>();
  for (const { text: body, line } of lines) {
    if (problems.full) break;
    const [, node = '', list] = /^Fallback order for Node (\S+):(.*)$/.exec(body) ?? [];
    if (list === undefined) continue;
    const nodeId = readNodeId(node, line, problems);
    const order = words(list).map((word) => readNodeId(word, line, problems));
    if (nodeId !== null)
      orders.set(
        nodeId,
        order.filter((id) => id !== null),
      );
  }
  if (orders.size === 0) nothing(problems, 'Fallback order for Node 0: 0 1');
  return problems.outcome([...orders].map(([nodeId, order]) => ({ nodeId, order })));
}

/** Frames from `startPfn` up to and without `endPfn`; null: empty or memoryless. */
export type PfnRange = { startPfn: number; endPfn: number } | null;

export interface PrintedZoneRanges {
  zones: { name: string; range: PfnRange }[];
  nodes: { nodeId: number; range: PfnRange }[];
}

const PAGE_BYTES = 4096n;
const ZONE_RANGE = /^ *(DMA|DMA32|Normal|HighMem|Movable|Device) +(empty|\[mem .*\])$/;
const NODE_RANGE = /^Initmem setup node (\S+) (as memoryless|\[mem .*\])$/;

/**
 * Parses the zone ranges and node spans of a boot log; other lines are passed over.
 * @kernel mm/page_alloc.c free_area_init(), free_area_init_node(), since 3.15
 */
export function parseZoneRanges(text: string, source = 'zoneRanges'): Parsed<PrintedZoneRanges> {
  const problems = new ProblemList(source);
  const lines = logLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const ranges: PrintedZoneRanges = { zones: [], nodes: [] };
  for (const { text: body, line } of lines) {
    if (problems.full) break;
    const zone = ZONE_RANGE.exec(body);
    const node = NODE_RANGE.exec(body);
    if (zone !== null) {
      const range = readRange(zone[2] ?? '', line, problems);
      if (ranges.zones.some(({ name }) => name === zone[1])) repeated(body, line, problems);
      else ranges.zones.push({ name: zone[1] ?? '', range });
    } else if (node !== null) {
      const nodeId = readNodeId(node[1] ?? '', line, problems);
      const range = readRange(node[2] ?? '', line, problems);
      if (nodeId === null) continue;
      if (ranges.nodes.some((known) => known.nodeId === nodeId)) repeated(body, line, problems);
      else ranges.nodes.push({ nodeId, range });
    }
  }
  if (ranges.nodes.length === 0)
    nothing(problems, 'Initmem setup node 0 [mem 0x0000000000001000-0x000000003fffffff]');
  return problems.outcome(ranges);
}

function readRange(text: string, line: number, problems: ProblemList): PfnRange {
  if (text === 'empty' || text === 'as memoryless') return null;
  const [, from, to] = /^\[mem 0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\]$/.exec(text) ?? [];
  const start = from === undefined ? 0n : BigInt(`0x${from}`);
  const end = to === undefined ? 0n : BigInt(`0x${to}`) + 1n;
  const isWhole = start % PAGE_BYTES === 0n && end % PAGE_BYTES === 0n;
  if (to === undefined || start > end || !isWhole) {
    problems.add({
      code: 'unexpected-line',
      message: 'this is no range of memory in whole pages',
      line,
      expected: '[mem 0x0000000000001000-0x0000000000ffffff]',
      found: text,
    });
    return null;
  }
  return { startPfn: Number(start / PAGE_BYTES), endPfn: Number(end / PAGE_BYTES) };
}

/** Pages of a zone at boot. */
export interface PrintedMemmap {
  nodeId: number;
  zone: string;
  presentPages?: number;
  memmapPages?: number;
}

/**
 * Parses the sizes of zones in a boot log: `On node 0 totalpages: 130939`, `  DMA zone: 64 pages used for memmap`,
 * `  DMA zone: 3998 pages, LIFO batch:0`. Other lines are passed over. @kernel mm/page_alloc.c free_area_init_core()
 */
export function parseMemmap(text: string, source = 'memmap'): Parsed<PrintedMemmap[]> {
  const problems = new ProblemList(source);
  const lines = logLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const zones: PrintedMemmap[] = [];
  let nodeId: number | null = null;
  for (const { text: body, line } of lines) {
    if (problems.full) break;
    const node = /^On node (\S+) totalpages: \S+$/.exec(body)?.[1];
    if (node !== undefined) nodeId = readNodeId(node, line, problems);
    const [, name = '', pages = '', what = ''] =
      /^ {2}(\S+) zone: (\S+) pages( used for memmap|, LIFO batch:\d+)$/.exec(body) ?? [];
    if (name === '' || nodeId === null) continue;
    const count = readCount(pages, `pages of zone ${name}`, line, problems);
    if (count === null) continue;
    let zone = zones.find((known) => known.nodeId === nodeId && known.zone === name);
    if (zone === undefined) zones.push((zone = { nodeId, zone: name }));
    const field = what === ' used for memmap' ? 'memmapPages' : 'presentPages';
    if (zone[field] !== undefined) repeated(body.trim(), line, problems);
    zone[field] = count;
  }
  if (zones.length === 0) nothing(problems, '  DMA zone: 64 pages used for memmap');
  return problems.outcome(zones);
}

/** Memory blocks of each node as sysfs lists them. */
export interface PrintedSections {
  blockBytes: number | null;
  nodes: { nodeId: number; blocks: number[] }[];
}

/**
 * Parses block_size_bytes of /sys/devices/system/memory, in hexadecimal, and names of memory blocks below
 * /sys/devices/system/node, one a line: `node0/memory32`.
 */
export function parseSections(text: string, source = 'sections'): Parsed<PrintedSections> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  let blockBytes: number | null = null;
  const nodes = new Map<number, Set<number>>();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const body = line.trim();
    if (body === '') continue;
    const size = /^(?:\S*\/)?block_size_bytes:([0-9a-f]{1,12})$/.exec(body)?.[1];
    if (size !== undefined) {
      blockBytes = parseInt(size, 16);
      continue;
    }
    const [, node = '', block] = /^(?:\S*\/)?node(\d{1,5})\/memory(\d{1,9})\/?$/.exec(body) ?? [];
    const nodeId = block === undefined ? null : readNodeId(node, index + 1, problems);
    if (block === undefined) unexpectedLine(line, index + 1, 'node0/memory32', problems);
    if (nodeId === null) continue;
    const blocks = nodes.get(nodeId) ?? new Set();
    if (blocks.has(Number(block))) repeated(body, index + 1, problems);
    nodes.set(nodeId, blocks.add(Number(block)));
  }
  return problems.outcome({
    blockBytes,
    nodes: [...nodes]
      .sort(([a], [b]) => a - b)
      .map(([nodeId, blocks]) => ({ nodeId, blocks: [...blocks].sort((a, b) => a - b) })),
  });
}

/** An index of one zone by order, thousandths; -1000: a block of that order is free. */
export interface PrintedIndex {
  nodeId: number;
  zone: string;
  thousandths: number[];
}

/**
 * Parses /sys/kernel/debug/extfrag/extfrag_index and unusable_index. The kernel signs both parts of a value below 0:
 * `-1.000` is -1, `0.-500` is -0.5. @kernel mm/vmstat.c extfrag_show_print(), unusable_show_print()
 */
export function parseFragmentationIndex(text: string, source: string): Parsed<PrintedIndex[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const zones: PrintedIndex[] = [];
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() === '') continue;
    const match = /^Node\s+(\d+),\s+zone\s+(\S+)(.*)$/.exec(line);
    const cells = words(match?.[3] ?? '').map(readThousandths);
    if (match === null || cells.length !== ORDERS || cells.includes(null)) {
      unexpectedLine(line, index + 1, `Node 0, zone Normal and ${ORDERS} indexes`, problems);
      continue;
    }
    const nodeId = readNodeId(match[1] ?? '', index + 1, problems);
    if (nodeId === null) continue;
    const zone = match[2] ?? '';
    if (zones.some((known) => known.nodeId === nodeId && known.zone === zone))
      repeated(`node ${nodeId}, zone ${zone}`, index + 1, problems);
    else zones.push({ nodeId, zone, thousandths: cells.filter((cell) => cell !== null) });
  }
  return problems.outcome(zones);
}

function readThousandths(cell: string): number | null {
  const [, whole, sign, rest] = /^(-?[01])\.(-?)(\d{2,3})$/.exec(cell) ?? [];
  if (whole === undefined || rest === undefined) return null;
  const value = Number(whole) * 1000 + (sign === '-' ? -Number(rest) : Number(rest));
  return Math.abs(value) > 1000 ? null : value;
}

function nothing(problems: ProblemList, expected: string): void {
  if (problems.problems.length > 0) return;
  problems.add({
    code: 'missing-field',
    message: 'no line says so',
    expected,
    found: 'other lines',
  });
}

function repeated(what: string, line: number, problems: ProblemList): void {
  problems.add({ code: 'duplicate', message: `${what} is listed twice`, line, found: what });
}
