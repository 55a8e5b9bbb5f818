/** The tables of numastat: counters of every node, and their meminfo. */
import type { Numastat } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import type { Meminfo } from './meminfo';
import {
  emptyCounts,
  MAX_NODES,
  readCount,
  readNodeId,
  splitLines,
  unexpectedLine,
  words,
} from './text';

const FIELDS: Readonly<Record<string, keyof Numastat>> = {
  numa_hit: 'numaHit',
  numa_miss: 'numaMiss',
  numa_foreign: 'numaForeign',
  interleave_hit: 'interleaveHit',
  local_node: 'localNode',
  other_node: 'otherNode',
};
const KIB_PER_MIB = 1024;

/**
 * Parses `numastat` without options: six counters, a column per node.
 * Wide hosts print the table in several parts, each with its own heading of nodes.
 */
export function parseNumastat(text: string, source = 'numastat'): Parsed<Map<number, Numastat>> {
  const table = readTable(text, source, /^node\d+(\s+node\d+)*$/, 'node0 node1');
  if (!table.ok) return table;
  const problems = new ProblemList(source);
  const nodes = new Map<number, Numastat>();
  for (const [nodeId, cells] of table.value) {
    const counters: Partial<Numastat> = {};
    for (const [name, field] of Object.entries(FIELDS)) {
      const cell = cells.get(name);
      if (cell === undefined) {
        missing(problems, `${name} of node ${nodeId}`);
        continue;
      }
      counters[field] = readCount(cell.text, name, cell.line, problems) ?? 0;
    }
    nodes.set(nodeId, counters as Numastat);
  }
  return problems.outcome(nodes);
}

/**
 * Parses `numastat -m`: meminfo of every node in MB of 2^20 bytes with two decimals.
 * @returns KiB by printed name and node, HugePages_* too; each is within 6 KiB of what the kernel counted
 */
export function parseNumastatMeminfo(
  text: string,
  source = 'numastatMeminfo',
): Parsed<Map<number, Meminfo>> {
  const heading = /^Node\s+\d+(\s+Node\s+\d+)*(\s+Total)?$/;
  const table = readTable(text, source, heading, 'Node 0 Node 1 Total');
  if (!table.ok) return table;
  const problems = new ProblemList(source);
  const nodes = new Map<number, Meminfo>();
  for (const [nodeId, cells] of table.value) {
    const values = emptyCounts();
    for (const [name, { text: mib, line }] of cells) {
      if (problems.full) break;
      if (/^\d{1,12}(\.\d{1,6})?$/.test(mib)) values[name] = Math.round(Number(mib) * KIB_PER_MIB);
      else {
        problems.add({
          code: mib.startsWith('-') ? 'out-of-range' : 'not-a-number',
          message: `${name} of node ${nodeId} is not a size`,
          line,
          expected: 'MB with two decimals',
          found: mib,
        });
      }
    }
    for (const name of ['MemTotal', 'MemFree'])
      if (!cells.has(name)) missing(problems, `${name} of node ${nodeId}`);
    nodes.set(nodeId, values);
  }
  return problems.outcome(nodes);
}

function missing(problems: ProblemList, what: string): void {
  problems.add({
    code: 'missing-field',
    message: `${what} is not there`,
    expected: what,
    found: 'the end of the text',
  });
}

type Cells = Map<string, { text: string; line: number }>;

/** Rows of a name and a value per column; a column Total is passed over. */
function readTable(
  text: string,
  source: string,
  heading: RegExp,
  example: string,
): Parsed<Map<number, Cells>> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const nodes = new Map<number, Cells>();
  let columns: (number | null)[] | null = null;
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const n = index + 1;
    const body = line.trim();
    // The program complains of rows of newer kernels before the table.
    if (/^([-\s]*|Per-node .*:|Token .* not in hash table\.)$/.test(body)) continue;
    if (heading.test(body)) {
      columns = readHeading(body, n, nodes, problems);
      continue;
    }
    const [name = '', ...values] = words(body);
    if (columns === null || !/^[A-Za-z][A-Za-z0-9_()]*$/.test(name)) {
      unexpectedLine(line, n, example, problems);
    } else if (values.length !== columns.length) {
      problems.add({
        code: values.length < columns.length ? 'truncated' : 'unexpected-line',
        message: `the row ${name} has ${values.length} values`,
        line: n,
        expected: `${columns.length} values`,
        found: body,
      });
    } else {
      for (const [at, nodeId] of columns.entries()) {
        const cells = nodeId === null ? undefined : nodes.get(nodeId);
        if (cells?.has(name)) duplicate(`${name} of node ${nodeId}`, n, problems);
        cells?.set(name, { text: values[at] ?? '', line: n });
      }
    }
  }
  if (columns === null && !problems.full) missing(problems, `a heading such as ${example}`);
  return problems.outcome(nodes);
}

function readHeading(
  body: string,
  n: number,
  nodes: Map<number, Cells>,
  problems: ProblemList,
): (number | null)[] {
  const columns: (number | null)[] = [];
  for (const name of body.match(/node\s*\d+|Total/gi) ?? []) {
    const digits = /\d+$/.exec(name)?.[0];
    const nodeId = digits === undefined ? null : readNodeId(digits, n, problems);
    columns.push(nodeId);
    if (nodeId === null) continue;
    if (nodes.has(nodeId)) duplicate(`node ${nodeId}`, n, problems);
    if (nodes.size < MAX_NODES) nodes.set(nodeId, new Map());
  }
  return columns;
}

function duplicate(what: string, line: number, problems: ProblemList): void {
  problems.add({ code: 'duplicate', message: `${what} is listed twice`, line, found: what });
}
