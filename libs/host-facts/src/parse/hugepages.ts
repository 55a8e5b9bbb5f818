import { ProblemList, type Parsed } from '../errors';
import { readCount, splitLines, unexpectedLine } from './text';

/** The pool of one size on one node. Pages are of `sizeKib`. */
export interface HugepagePool {
  sizeKib: number;
  totalPages: number;
  freePages: number;
  surplusPages: number;
}

const FILES = ['nr_hugepages', 'free_hugepages', 'surplus_hugepages'] as const;
const MOST_KIB = 2 ** 40;

/**
 * Parses the files under /sys/devices/system/node/nodeN/hugepages as one text: a line per file with its path, a
 * colon, an equals sign or a space, and its number, as `grep . hugepages-*` prints them.
 * Files other than the three that every kernel has are passed over.
 */
export function parseNodeHugepages(text: string, source: string): Parsed<HugepagePool[]> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems, true);
  if (lines === null) return { ok: false, problems: problems.problems };
  const pools = new Map<number, Map<string, number>>();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const body = line.trim();
    if (body === '') continue;
    const match = /(?:^|\/)hugepages-(\d+)kB\/([a-z_]+)[:= ]\s*(\S+)$/.exec(body);
    if (match === null) {
      unexpectedLine(line, index + 1, 'hugepages-2048kB/nr_hugepages:512', problems);
      continue;
    }
    const [, size = '', file = '', value = ''] = match;
    const sizeKib = readCount(size, 'the page size', index + 1, problems, MOST_KIB);
    const count = readCount(value, file, index + 1, problems, MOST_KIB);
    if (sizeKib === null || count === null) continue;
    const pool = pools.get(sizeKib) ?? new Map<string, number>();
    if (pool.has(file)) {
      problems.add({
        code: 'duplicate',
        message: `${file} of ${sizeKib} KiB is listed twice`,
        line: index + 1,
        found: body,
      });
    }
    pools.set(sizeKib, pool.set(file, count));
  }
  return problems.outcome(
    [...pools].sort(([a], [b]) => a - b).map(([sizeKib, pool]) => poolOf(sizeKib, pool, problems)),
  );
}

function poolOf(sizeKib: number, pool: Map<string, number>, problems: ProblemList): HugepagePool {
  for (const file of FILES) {
    if (pool.has(file)) continue;
    problems.add({
      code: 'missing-field',
      message: `${file} of ${sizeKib} KiB is not there`,
      expected: file,
      found: 'the end of the text',
    });
  }
  const totalPages = pool.get('nr_hugepages') ?? 0;
  const freePages = pool.get('free_hugepages') ?? 0;
  if (freePages > totalPages) {
    problems.add({
      code: 'impossible-value',
      message: `more pages of ${sizeKib} KiB are free than there are`,
      expected: `at most ${totalPages}`,
      found: String(freePages),
    });
  }
  return { sizeKib, totalPages, freePages, surplusPages: pool.get('surplus_hugepages') ?? 0 };
}
