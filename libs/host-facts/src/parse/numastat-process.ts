import { PAGES_PER_HUGE, PAGES_PER_MIB } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import type { NodeResidency } from '../types';
import { readNodeId, splitLines, unexpectedLine, words } from './text';

const ROWS = new Set(['Huge', 'Heap', 'Stack', 'Private']);

/**
 * Parses `numastat -p PID`: memory of one process by node in MB of 2^20 bytes with two decimals.
 *
 * Guest RAM is in the rows Private and Huge (hugetlb pages); Heap and Stack are QEMU's own and left out.
 * Private also holds QEMU's libraries and buffers: numastat cannot tell them apart. Wide hosts print the
 * table in several parts, each with its own heading of nodes; a column Total is passed over.
 * @returns pages by node, ascending; `hugePages` are hugetlb pages only
 */
export function parseNumastatProcess(text: string, source = 'numastat'): Parsed<NodeResidency[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const reader = new ProcessTableReader(problems);
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    reader.read(line, index + 1);
  }
  reader.finish(lines.length);
  const byNode = [...reader.nodes.values()].sort((a, b) => a.nodeId - b.nodeId);
  return problems.outcome(byNode.filter((entry) => entry.pages > 0));
}

class ProcessTableReader {
  readonly nodes = new Map<number, NodeResidency>();
  /** Node of each column; `null` for Total. */
  private columns: (number | null)[] | null = null;
  private readonly seen = new Set<string>();
  private processes = 0;

  constructor(private readonly problems: ProblemList) {}

  read(line: string, n: number): void {
    const body = line.trim();
    if (/^Per-node process memory usage/.test(body)) {
      this.processes += 1;
      if (this.processes > 1) this.severalProcesses(body, n);
      return;
    }
    if (body === '' || /^[-\s]+$/.test(body)) return;
    if (/^Node\s+\d/.test(body)) {
      this.heading(body, n);
      return;
    }
    const [name = '', ...values] = words(body);
    if (name === 'PID') this.severalProcesses(body, n);
    else if (name === 'Total' && this.columns !== null) return;
    else if (ROWS.has(name) && this.columns !== null) this.row(name, values, n);
    else if (this.columns !== null)
      unexpectedLine(line, n, 'Huge, Heap, Stack, Private or Total', this.problems);
  }

  finish(lastLine: number): void {
    if (this.problems.problems.length > 0) return;
    for (const row of ['Private', 'Huge']) {
      if ([...this.seen].some((key) => key.startsWith(`${row} `))) continue;
      this.problems.add({
        code: 'truncated',
        message: `the row ${row} is not there`,
        line: lastLine,
        expected: row,
        found: 'the end of the text',
      });
    }
  }

  private severalProcesses(found: string, n: number): void {
    this.problems.add({
      code: 'unexpected-line',
      message: 'the table is about several processes',
      line: n,
      expected: '`numastat -p PID` of one process',
      found,
    });
  }

  private heading(body: string, n: number): void {
    this.columns = [];
    const names = body.match(/Node\s+\d+|Total/g) ?? [];
    for (const name of names) {
      const digits = /\d+$/.exec(name)?.[0];
      this.columns.push(digits === undefined ? null : readNodeId(digits, n, this.problems));
    }
  }

  private row(name: string, values: string[], n: number): void {
    const columns = this.columns ?? [];
    if (values.length !== columns.length) {
      this.problems.add({
        code: values.length < columns.length ? 'truncated' : 'unexpected-line',
        message: `the row ${name} has ${values.length} values`,
        line: n,
        expected: `${columns.length} values`,
        found: values.join(' '),
      });
      return;
    }
    for (const [index, nodeId] of columns.entries()) {
      if (nodeId !== null) this.cell(name, nodeId, values[index] ?? '', n);
    }
  }

  private cell(name: string, nodeId: number, value: string, n: number): void {
    const key = `${name} ${nodeId}`;
    if (this.seen.has(key)) {
      this.problems.add({
        code: 'duplicate',
        message: `${name} of node ${nodeId} is listed twice`,
        line: n,
        expected: 'one process, each row once',
        found: value,
      });
    }
    this.seen.add(key);
    if (!/^\d{1,10}(\.\d{1,6})?$/.test(value)) {
      this.problems.add({
        code: value.startsWith('-') ? 'out-of-range' : 'not-a-number',
        message: `${name} of node ${nodeId} is not a size`,
        line: n,
        expected: 'MB with two decimals',
        found: value,
      });
      return;
    }
    if (name !== 'Huge' && name !== 'Private') return;
    const entry = this.nodes.get(nodeId) ?? { nodeId, pages: 0, hugePages: 0 };
    const pages = Math.round(Number(value) * PAGES_PER_MIB);
    entry.pages += pages;
    if (name === 'Huge') entry.hugePages += Math.floor(pages / PAGES_PER_HUGE);
    this.nodes.set(nodeId, entry);
  }
}
