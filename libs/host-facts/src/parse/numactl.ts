import { ProblemList, type Parsed } from '../errors';
import { readDistance } from './lists';
import {
  MAX_CPUS,
  MAX_NODES,
  readCount,
  readNodeId,
  splitLines,
  unexpectedLine,
  words,
} from './text';

export interface NumactlNode {
  nodeId: number;
  cpus: number[];
  /** MB of 2^20 bytes, rounded down from the node's MemTotal and MemFree. */
  sizeMib: number;
  freeMib: number;
}

export interface NumactlHardware {
  nodes: NumactlNode[];
  /** distances[i][j] between nodes[i] and nodes[j]; `null` where the table is not printed. */
  distances: number[][] | null;
}

interface Draft {
  cpus?: number[];
  sizeMib?: number;
  freeMib?: number;
  row?: number[];
}

/** Parses `numactl -H` (`numactl --hardware`). */
export function parseNumactlHardware(
  text: string,
  source = 'numactlHardware',
): Parsed<NumactlHardware> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const reader = new NumactlReader(problems);
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() !== '') reader.read(line.trim(), index + 1);
  }
  return reader.finish(lines.length);
}

class NumactlReader {
  private announced: number | null = null;
  private columns: number[] | null = null;
  private table = false;
  private readonly drafts = new Map<number, Draft>();

  constructor(private readonly problems: ProblemList) {}

  read(body: string, n: number): void {
    if (/^No NUMA/i.test(body)) {
      this.problems.add({
        code: 'no-numa',
        message: 'numactl found no NUMA support on that host',
        line: n,
        expected: 'available: 2 nodes (0-1)',
        found: body,
      });
      return;
    }
    if (/^(libnuma|numactl):/.test(body)) return;
    const available = /^available:\s+(\d+)\s+nodes?\b/.exec(body);
    if (available !== null) {
      this.announced = readCount(available[1] ?? '', 'nodes', n, this.problems, MAX_NODES);
    } else if (/^node distances:/.test(body)) {
      this.table = true;
    } else if (this.table) {
      this.tableLine(body, n);
    } else {
      this.nodeLine(body, n);
    }
  }

  finish(lastLine: number): Parsed<NumactlHardware> {
    const ids = [...this.drafts.keys()].sort((a, b) => a - b);
    if (this.problems.problems.length === 0) this.check(ids, lastLine);
    const nodes = ids.map((nodeId) => {
      const draft = this.drafts.get(nodeId);
      return {
        nodeId,
        cpus: draft?.cpus ?? [],
        sizeMib: draft?.sizeMib ?? 0,
        freeMib: draft?.freeMib ?? 0,
      };
    });
    return this.problems.outcome({ nodes, distances: this.distances(ids) });
  }

  private nodeLine(body: string, n: number): void {
    const match = /^node\s+(\d+)\s+(cpus|size|free):\s*(.*)$/.exec(body);
    const nodeId = match === null ? null : readNodeId(match[1] ?? '', n, this.problems);
    if (match === null || nodeId === null) {
      if (match === null) unexpectedLine(body, n, 'node 0 size: 64794 MB', this.problems);
      return;
    }
    const draft = this.draft(nodeId);
    const value = match[3] ?? '';
    const field = match[2] === 'cpus' ? 'cpus' : match[2] === 'size' ? 'sizeMib' : 'freeMib';
    if (draft[field] !== undefined) {
      this.problems.add({
        code: 'duplicate',
        message: `node ${nodeId} has two lines "${match[2]}"`,
        line: n,
        expected: 'one line',
        found: body,
      });
    }
    if (field === 'cpus') draft.cpus = this.cpus(value, n);
    else draft[field] = this.mib(value, n);
  }

  private cpus(value: string, n: number): number[] {
    const list = new Set<number>();
    for (const word of words(value)) {
      const cpu = readCount(word, 'the CPU number', n, this.problems, MAX_CPUS - 1);
      if (cpu === null) break;
      list.add(cpu);
    }
    return [...list].sort((a, b) => a - b);
  }

  /** A node without memory prints 0 MB, in some versions `<not available>`. */
  private mib(value: string, n: number): number {
    if (/^<not available>/.test(value)) return 0;
    const [digits = '', unit] = words(value);
    if (unit !== 'MB') {
      unexpectedLine(value, n, 'a size in MB', this.problems);
      return 0;
    }
    return readCount(digits, 'the size', n, this.problems, 2 ** 34) ?? 0;
  }

  private tableLine(body: string, n: number): void {
    const head = /^node((?:\s+\d+)+)$/.exec(body);
    if (head !== null && this.columns === null) {
      const ids = words(head[1] ?? '').map((word) => readNodeId(word, n, this.problems));
      this.columns = ids.filter((id) => id !== null);
      return;
    }
    const row = /^(\d+):\s*(.*)$/.exec(body);
    const nodeId = row === null ? null : readNodeId(row[1] ?? '', n, this.problems);
    if (row === null || nodeId === null || this.columns === null) {
      if (nodeId === null || this.columns === null)
        unexpectedLine(body, n, '0: 10 21', this.problems);
      return;
    }
    const list = words(row[2] ?? '');
    if (list.length !== this.columns.length || this.drafts.get(nodeId)?.row !== undefined) {
      this.problems.add({
        code: list.length < this.columns.length ? 'truncated' : 'bad-distances',
        message: `the row of node ${nodeId} does not fit the table`,
        line: n,
        expected: `one row of ${this.columns.length} distances`,
        found: body,
      });
      return;
    }
    this.draft(nodeId).row = list.map((word) => readDistance(word, n, this.problems) ?? 10);
  }

  private draft(nodeId: number): Draft {
    let draft = this.drafts.get(nodeId);
    if (draft === undefined) this.drafts.set(nodeId, (draft = {}));
    return draft;
  }

  private check(ids: number[], lastLine: number): void {
    const short = (message: string, expected: string): void =>
      this.problems.add({
        code: 'truncated',
        message,
        line: lastLine,
        expected,
        found: 'the end of the text',
      });
    if (this.announced === null) short('the line "available:" is not there', 'available: 2 nodes');
    else if (this.announced !== ids.length)
      short(`${ids.length} nodes are described`, `${this.announced} nodes, as announced`);
    for (const nodeId of ids) {
      const draft = this.drafts.get(nodeId);
      for (const [field, name] of [
        ['cpus', 'cpus'],
        ['sizeMib', 'size'],
        ['freeMib', 'free'],
      ] as const) {
        if (draft?.[field] === undefined)
          short(`node ${nodeId} has no line "${name}"`, `node ${nodeId} ${name}:`);
      }
      if (this.columns !== null && draft?.row === undefined)
        short(`the distances of node ${nodeId} are not there`, `${nodeId}: 10 ...`);
      if ((draft?.freeMib ?? 0) > (draft?.sizeMib ?? 0)) this.tooMuchFree(nodeId, draft);
    }
    if (this.table && this.columns === null) short('the distances are not there', 'node 0 1');
    if (this.columns !== null && this.columns.join() !== ids.join())
      this.problems.add({
        code: 'bad-distances',
        message: 'the table has other nodes than the list above it',
        expected: ids.join(' '),
        found: this.columns.join(' '),
      });
  }

  private tooMuchFree(nodeId: number, draft: Draft | undefined): void {
    this.problems.add({
      code: 'impossible-value',
      message: `node ${nodeId} has more free than it has memory`,
      expected: `at most ${draft?.sizeMib} MB`,
      found: `${draft?.freeMib} MB`,
      path: `${this.problems.source}:node ${nodeId} free`,
    });
  }

  private distances(ids: number[]): number[][] | null {
    const rows = ids.map((nodeId) => this.drafts.get(nodeId)?.row);
    const complete = rows.filter((row) => row !== undefined);
    return complete.length === ids.length && ids.length > 0 ? complete : null;
  }
}
