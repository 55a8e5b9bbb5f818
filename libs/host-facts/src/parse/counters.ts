import type { Numastat } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import { emptyCounts, readCount, splitLines, unexpectedLine, words } from './text';

/** Parses `name value` lines: /proc/vmstat (pages and events). */
export function parseVmstat(text: string, source = 'vmstat'): Parsed<Record<string, number>> {
  return parseCounters(text, source, 'nr_free_pages 899533');
}

/** Parses /sys/devices/system/node/nodeN/numastat; all six counters must be there. */
export function parseNodeNumastat(text: string, source: string): Parsed<Numastat> {
  const counters = parseCounters(text, source, 'numa_hit 772177');
  if (!counters.ok) return counters;
  const problems = new ProblemList(source);
  const take = (name: string): number => {
    const value = counters.value[name];
    if (value === undefined) {
      problems.add({
        code: 'missing-field',
        message: `${name} is not there`,
        expected: name,
        found: 'the end of the text',
      });
    }
    return value ?? 0;
  };
  return problems.outcome({
    numaHit: take('numa_hit'),
    numaMiss: take('numa_miss'),
    numaForeign: take('numa_foreign'),
    interleaveHit: take('interleave_hit'),
    localNode: take('local_node'),
    otherNode: take('other_node'),
  });
}

function parseCounters(
  text: string,
  source: string,
  expected: string,
): Parsed<Record<string, number>> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const values = emptyCounts();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const [name = '', value = '', ...more] = words(line);
    if (name === '') continue;
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name) || value === '' || more.length > 0) {
      unexpectedLine(line, index + 1, expected, problems);
      continue;
    }
    const count = readCount(value, name, index + 1, problems);
    if (count !== null) values[name] = count;
  }
  return problems.outcome(values);
}
