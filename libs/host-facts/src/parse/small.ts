import type { KhugepagedSettings, ThpDefrag, ThpEnabled } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import { readCount, splitLines, unexpectedLine } from './text';

const ENABLED: readonly ThpEnabled[] = ['always', 'madvise', 'never'];
const DEFRAG: readonly ThpDefrag[] = ['always', 'defer', 'defer+madvise', 'madvise', 'never'];

/** Parses /sys/kernel/mm/transparent_hugepage/enabled: the bracketed word, or the word alone. */
export function parseThpEnabled(text: string): Parsed<ThpEnabled> {
  return choice(text, 'thpEnabled', ENABLED, 'always [madvise] never');
}

/** Parses /sys/kernel/mm/transparent_hugepage/defrag. */
export function parseThpDefrag(text: string): Parsed<ThpDefrag> {
  return choice(text, 'thpDefrag', DEFRAG, 'always defer defer+madvise [madvise] never');
}

function choice<T extends string>(
  text: string,
  source: string,
  names: readonly T[],
  expected: string,
): Parsed<T> {
  const problems = new ProblemList(source);
  if (splitLines(text, problems) === null) return { ok: false, problems: problems.problems };
  const body = text.trim();
  const word = /\[([a-z+]+)\]/.exec(body)?.[1] ?? body;
  const name = names.find((candidate) => candidate === word);
  if (name !== undefined) return { ok: true, value: name };
  problems.add({
    code: 'bad-thp-line',
    message: 'no setting is marked by brackets',
    expected,
    found: body,
  });
  return { ok: false, problems: problems.problems };
}

/**
 * Parses /sys/kernel/mm/lru_gen/enabled: bits in hexadecimal, of which the first says that the multi-generational
 * LRU runs.
 */
export function parseLruGen(text: string): Parsed<{ enabled: boolean }> {
  const problems = new ProblemList('lruGen');
  if (splitLines(text, problems) === null) return { ok: false, problems: problems.problems };
  const bits = /^0x([0-9a-f]{1,8})$/.exec(text.trim())?.[1];
  if (bits !== undefined) return { ok: true, value: { enabled: (parseInt(bits, 16) & 1) === 1 } };
  problems.add({
    code: 'not-a-number',
    message: 'this is not what lru_gen/enabled prints',
    expected: '0x0007',
    found: text.trim(),
  });
  return { ok: false, problems: problems.problems };
}

/** Reads the release out of `uname -r`, `uname -a` or /proc/version. */
export function parseVersion(text: string): Parsed<string> {
  const problems = new ProblemList('version');
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const first = (lines.find((line) => line.trim() !== '') ?? '').trim();
  const release = /(?:^|\s)(\d{1,3}\.\d{1,4}[A-Za-z0-9.+_~-]{0,80})(?:\s|$)/.exec(first)?.[1];
  if (release !== undefined) return { ok: true, value: release };
  problems.add({
    code: 'unexpected-line',
    message: 'no kernel release is named',
    line: 1,
    expected: '6.1.0-28-amd64, or the line of /proc/version',
    found: first,
  });
  return { ok: false, problems: problems.problems };
}

const KHUGEPAGED_FILES = {
  scan_sleep_millisecs: 'scanSleepMs',
  alloc_sleep_millisecs: 'allocSleepMs',
  pages_to_scan: 'pagesToScan',
  max_ptes_none: 'maxPtesNone',
} as const satisfies Record<string, keyof KhugepagedSettings>;
const MOST_UINT = 2 ** 32 - 1;

/**
 * Parses the files of /sys/kernel/mm/transparent_hugepage/khugepaged as one text: a line per file with its name, a
 * colon, an equals sign or a space, and its number. Files other than the four that the model has are passed over.
 */
export function parseKhugepaged(text: string): Parsed<Partial<KhugepagedSettings>> {
  const problems = new ProblemList('khugepaged');
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const settings: Partial<KhugepagedSettings> = {};
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() === '') continue;
    const match = /^(?:\S*\/)?([a-z_]{1,60})[:= ]\s*(\S+)$/.exec(line.trim());
    const [, name = '', value = ''] = match ?? [];
    if (match === null) unexpectedLine(line, index + 1, 'pages_to_scan:4096', problems);
    if (!Object.hasOwn(KHUGEPAGED_FILES, name)) continue;
    const field = KHUGEPAGED_FILES[name as keyof typeof KHUGEPAGED_FILES];
    const most = field === 'maxPtesNone' ? 511 : MOST_UINT;
    const count = readCount(value, name, index + 1, problems, most);
    if (count !== null) settings[field] = count;
  }
  return problems.outcome(settings);
}
