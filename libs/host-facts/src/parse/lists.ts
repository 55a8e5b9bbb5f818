import { ProblemList, type Parsed } from '../errors';
import { MAX_CPUS, MAX_NODES, readCount, splitLines, words } from './text';

/**
 * Reads a number list as sysfs prints it: `0-3,8,10-11`. An empty text is an empty list
 * (a node without CPUs prints an empty line).
 */
export function parseIdList(text: string, source: string, most = MAX_CPUS - 1): Parsed<number[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems, true);
  if (lines === null) return { ok: false, problems: problems.problems };
  const ids = new Set<number>();
  const body = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (body.length > 1) badList(text.trim(), problems);
  for (const part of (body[0] ?? '').split(',')) {
    if (part === '' && body.length === 0) break;
    addRange(part.trim(), ids, most, problems);
    if (problems.full) break;
  }
  return problems.outcome([...ids].sort((a, b) => a - b));
}

function addRange(part: string, ids: Set<number>, most: number, problems: ProblemList): void {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last < first || last > most) {
    badList(part, problems);
    return;
  }
  for (let id = first; id <= last; id++) ids.add(id);
}

function badList(found: string, problems: ProblemList): void {
  problems.add({
    code: 'bad-cpu-list',
    message: 'this is not a list of numbers and ranges',
    expected: 'for example 0-3,8',
    found,
  });
}

/** Reads /sys/devices/system/node/nodeN/distance: one SLIT value for each online node in ascending order. */
export function parseDistanceRow(text: string, source: string): Parsed<number[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const all = lines.flatMap(words);
  if (all.length > MAX_NODES) {
    problems.add({
      code: 'limit-exceeded',
      message: `the row has ${all.length} distances`,
      expected: `at most ${MAX_NODES}`,
      found: String(all.length),
    });
    return problems.outcome([]);
  }
  const row: number[] = [];
  for (const word of all) row.push(readDistance(word, undefined, problems) ?? 0);
  return problems.outcome(row);
}

/** Reads one SLIT distance: 10 to 254 are meaningful, 255 is "unreachable"; the kernel keeps one byte. */
export function readDistance(
  word: string,
  line: number | undefined,
  problems: ProblemList,
): number | null {
  const value = readCount(word, 'the distance', line, problems, 255);
  if (value !== null && value < 10) {
    problems.add({
      code: 'bad-distances',
      message: `the distance ${value} is below 10, the distance of a node to itself`,
      line,
      expected: '10 to 255',
      found: word,
    });
    return null;
  }
  return value;
}
