/** What virsh prints of a host: `nodeinfo`, `freepages --all`, `freecell`, `nodememstats`. */
import { ProblemList, type Parsed } from '../errors';
import { MAX_CPUS, MAX_NODES, readCount, readNodeId, splitLines, unexpectedLine } from './text';

/** `virsh nodeinfo`. */
export interface Nodeinfo {
  /** Memory that the kernel manages: MemTotal. */
  memoryKib: number;
  cpus: number;
  /**
   * As printed: libvirt says 1 where sockets, cores and threads of the nodes do not multiply to the CPUs, so
   * that it is no count of nodes.
   */
  numaCells: number | null;
}

/** Free pages of one node by page size, `virsh freepages --all`. */
export interface Freepages {
  nodeId: number;
  /** Pages of `sizeKib`; of base pages all free ones, not what is free beside the pools. */
  pages: { sizeKib: number; freePages: number }[];
}

/** `virsh freecell`: of one node, of all of them, or the sum alone. */
export interface Freecell {
  freeKibByNode: Map<number, number>;
  totalKib: number | null;
}

/** `virsh nodememstats`, KiB. */
export interface NodeMemstats {
  totalKib: number;
  freeKib: number;
  buffersKib: number | null;
  cachedKib: number | null;
}

const MOST_KIB = 2 ** 44;

interface Line {
  body: string;
  n: number;
}

/** Lines with something on them; null when the text is not a table of virsh. */
function tableLines(text: string, problems: ProblemList): Line[] | null {
  const lines = splitLines(text, problems);
  if (lines === null) return null;
  const found = lines
    .map((line, index) => ({ body: line.trim(), n: index + 1 }))
    .filter(({ body }) => body !== '');
  const failed = found.find(({ body }) => body.startsWith('error:'));
  if (failed === undefined) return found;
  problems.add({
    code: 'command-failed',
    message: 'virsh could not answer; leave the field out',
    line: failed.n,
    expected: 'what virsh prints when it succeeds',
    found: failed.body,
  });
  return null;
}

/** A size that virsh prints with its unit; kB in libvirt before 0.9.12. */
function readKib(text: string, what: string, n: number, problems: ProblemList): number | null {
  const match = /^(\S+) (?:KiB|kB)$/.exec(text.trim());
  if (match !== null) return readCount(match[1] ?? '', what, n, problems, MOST_KIB);
  unexpectedLine(text, n, `${what} in KiB`, problems);
  return null;
}

function missing(problems: ProblemList, what: string): void {
  if (problems.problems.length > 0) return;
  problems.add({
    code: 'missing-field',
    message: `${what} is not there`,
    expected: what,
    found: 'the end of the text',
  });
}

/** Parses `virsh nodeinfo`; labels other than the known ones are passed over. */
export function parseNodeinfo(text: string, source = 'nodeinfo'): Parsed<Nodeinfo> {
  const problems = new ProblemList(source);
  const lines = tableLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const read: { memoryKib?: number; cpus?: number; numaCells?: number } = {};
  for (const { body, n } of lines) {
    const [, label = '', value = ''] = /^([^:]+):\s+(.*)$/.exec(body) ?? [];
    if (label === '') unexpectedLine(body, n, 'CPU(s):              16', problems);
    else if (label === 'Memory size')
      read.memoryKib = readKib(value, label, n, problems) ?? undefined;
    else if (label === 'CPU(s)')
      read.cpus = readCount(value, label, n, problems, MAX_CPUS) ?? undefined;
    else if (label === 'NUMA cell(s)')
      read.numaCells = readCount(value, label, n, problems, MAX_NODES) ?? undefined;
    if (problems.full) break;
  }
  if (read.memoryKib === undefined) missing(problems, 'Memory size');
  if (read.cpus === undefined) missing(problems, 'CPU(s)');
  const { memoryKib = 0, cpus = 0, numaCells = null } = read;
  return problems.outcome({ memoryKib, cpus, numaCells });
}

/**
 * Parses `virsh freepages --all`, with `--pagesize` or without.
 * @param cell node that `virsh freepages N --pagesize S` was asked for, of which it does not print the number:
 *   lines of several sizes may follow each other
 */
export function parseFreepages(
  text: string,
  source = 'freepages',
  cell?: number,
): Parsed<Freepages[]> {
  const problems = new ProblemList(source);
  const lines = tableLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const nodes: Freepages[] = cell === undefined ? [] : [{ nodeId: cell, pages: [] }];
  for (const { body, n } of lines) {
    if (problems.full) break;
    const heading = /^Node (\S+):$/.exec(body);
    const count = /^(\S+)KiB: (\S+)$/.exec(body);
    const node = nodes.at(-1);
    if (heading !== null && cell === undefined) {
      const nodeId = readNodeId(heading[1] ?? '', n, problems);
      if (nodeId === null) continue;
      if (nodes.some((known) => known.nodeId === nodeId)) repeated(`node ${nodeId}`, n, problems);
      nodes.push({ nodeId, pages: [] });
    } else if (count === null || node === undefined) {
      unexpectedLine(body, n, 'Node 0: and lines such as 2048KiB: 19, of --all', problems);
    } else {
      const sizeKib = readCount(count[1] ?? '', 'the page size', n, problems, MOST_KIB);
      const freePages = readCount(count[2] ?? '', 'the number of pages', n, problems, MOST_KIB);
      if (sizeKib === null || freePages === null) continue;
      if (node.pages.some((known) => known.sizeKib === sizeKib))
        repeated(`${sizeKib}KiB of node ${node.nodeId}`, n, problems);
      node.pages.push({ sizeKib, freePages });
    }
  }
  return problems.outcome(nodes);
}

/** Parses `virsh freecell`, `virsh freecell N` and `virsh freecell --all`. */
export function parseFreecell(text: string, source = 'freecell'): Parsed<Freecell> {
  const problems = new ProblemList(source);
  const lines = tableLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const result: Freecell = { freeKibByNode: new Map(), totalKib: null };
  for (const { body, n } of lines) {
    if (problems.full) break;
    if (/^-+$/.test(body)) continue;
    const [, name = '', value = ''] = /^(\S+):\s+(.*)$/.exec(body) ?? [];
    if (name === '') {
      unexpectedLine(body, n, '0:       2048 KiB', problems);
      continue;
    }
    const kib = readKib(value, name, n, problems);
    if (kib === null) continue;
    if (name === 'Total') {
      if (result.totalKib !== null) repeated(name, n, problems);
      result.totalKib = kib;
      continue;
    }
    const nodeId = readNodeId(name, n, problems);
    if (nodeId === null) continue;
    if (result.freeKibByNode.has(nodeId)) repeated(`node ${nodeId}`, n, problems);
    result.freeKibByNode.set(nodeId, kib);
  }
  return problems.outcome(result);
}

/** Parses `virsh nodememstats`; names other than the known ones are passed over. */
export function parseNodeMemstats(text: string, source = 'nodememstats'): Parsed<NodeMemstats> {
  const problems = new ProblemList(source);
  const lines = tableLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const values = new Map<string, number>();
  for (const { body, n } of lines) {
    if (problems.full) break;
    const [, name = '', value = ''] = /^([a-z_]+)\s*:\s+(.*)$/.exec(body) ?? [];
    if (name === '') {
      unexpectedLine(body, n, 'total  :              8152952 KiB', problems);
      continue;
    }
    const kib = readKib(value, name, n, problems);
    if (values.has(name)) repeated(name, n, problems);
    if (kib !== null) values.set(name, kib);
  }
  for (const name of ['total', 'free']) if (!values.has(name)) missing(problems, name);
  return problems.outcome({
    totalKib: values.get('total') ?? 0,
    freeKib: values.get('free') ?? 0,
    buffersKib: values.get('buffers') ?? null,
    cachedKib: values.get('cached') ?? null,
  });
}

function repeated(what: string, line: number, problems: ProblemList): void {
  problems.add({ code: 'duplicate', message: `${what} is listed twice`, line, found: what });
}
