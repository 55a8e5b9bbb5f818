import { ProblemList, type Parsed } from '../errors';
import { emptyCounts, readCount, readNodeId, splitLines, unexpectedLine, words } from './text';

/** Values by printed name: KiB where the line says kB, a plain count (HugePages_*) otherwise. */
export type Meminfo = Record<string, number>;

/** Parses /proc/meminfo. `MemTotal` and `MemFree` must be there. */
export function parseMeminfo(text: string, source = 'meminfo'): Parsed<Meminfo> {
  return parse(text, source, null);
}

/**
 * Parses /sys/devices/system/node/nodeN/meminfo, whose lines start with `Node N`.
 * Lines of another node than `nodeId` are problems: the texts were swapped.
 */
export function parseNodeMeminfo(text: string, nodeId: number, source: string): Parsed<Meminfo> {
  return parse(text, source, nodeId);
}

function parse(text: string, source: string, nodeId: number | null): Parsed<Meminfo> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const values = emptyCounts();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() !== '') readLine(line, index + 1, nodeId, values, problems);
  }
  for (const name of ['MemTotal', 'MemFree']) {
    if (values[name] !== undefined || problems.problems.length > 0) continue;
    problems.add({
      code: 'missing-field',
      message: `${name} is not there`,
      expected: `${name}:  kB`,
      found: 'the end of the text',
    });
  }
  return problems.outcome(values);
}

function readLine(
  line: string,
  n: number,
  nodeId: number | null,
  values: Meminfo,
  problems: ProblemList,
): void {
  const parts = words(line);
  if (nodeId !== null) {
    const [node = '', id = ''] = parts.splice(0, 2);
    const printed = node === 'Node' ? readNodeId(id, n, problems) : null;
    if (printed !== nodeId) {
      unexpectedLine(line, n, `Node ${nodeId} MemTotal: 4028976 kB`, problems);
      return;
    }
  }
  const [name = '', value = '', unit, ...more] = parts;
  if (!/^[A-Za-z0-9_()]+:$/.test(name) || more.length > 0 || (unit ?? 'kB') !== 'kB') {
    unexpectedLine(line, n, 'MemTotal:  8152952 kB', problems);
    return;
  }
  const count = readCount(value, name.slice(0, -1), n, problems);
  if (count !== null) values[name.slice(0, -1)] = count;
}
