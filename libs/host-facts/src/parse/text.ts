import type { ProblemList } from '../errors';

/** Largest text taken from one source, in UTF-16 units; /proc/zoneinfo of 1024 CPUs on 16 nodes is about 2 MiB. */
export const MAX_TEXT_LENGTH = 16 * 1024 * 1024;
/** Longest line; `numactl -H` prints all CPUs of a node in one. */
export const MAX_LINE_LENGTH = 64 * 1024;
/** NODES_SHIFT=10 is the largest the kernel offers on x86-64. */
export const MAX_NODES = 1024;
/** NR_CPUS of a MAXSMP kernel. */
export const MAX_CPUS = 8192;
/** Per-CPU lists over all zones of a host; 2048 CPUs on 64 zones stay below. */
export const MAX_PAGESETS = 1_000_000;

/**
 * Splits a text into lines within the limits; `null` when a limit is passed or there is nothing in it.
 * Line n is element n - 1; a trailing carriage return is dropped.
 */
export function splitLines(
  text: string,
  problems: ProblemList,
  allowEmpty = false,
): string[] | null {
  if (text.length > MAX_TEXT_LENGTH) {
    problems.add({
      code: 'text-too-large',
      message: `the text has ${text.length} characters`,
      expected: `at most ${MAX_TEXT_LENGTH} characters`,
      found: `${text.length} characters`,
    });
    return null;
  }
  if (!allowEmpty && !/\S/.test(text)) {
    problems.add({
      code: 'empty-text',
      message: 'the text is empty; leave the field out when the source is not at hand',
      expected: 'the printed text',
      found: 'nothing',
    });
    return null;
  }
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.length > MAX_LINE_LENGTH) {
      problems.add({
        code: 'line-too-long',
        message: `the line has ${line.length} characters`,
        line: index + 1,
        expected: `at most ${MAX_LINE_LENGTH} characters`,
        found: `${line.length} characters`,
      });
      return null;
    }
    if (line.endsWith('\r')) lines[index] = line.slice(0, -1);
  }
  return lines;
}

/** Words of a line without surrounding space; an empty line has none. */
export function words(line: string): string[] {
  const trimmed = line.trim();
  return trimmed === '' ? [] : trimmed.split(/\s+/);
}

/**
 * Reads a count: digits only, at most 2^53 - 1, no sign. Anything else is a problem and answers `null`.
 * `what` names the value in the message.
 */
export function readCount(
  text: string,
  what: string,
  line: number | undefined,
  problems: ProblemList,
  most = Number.MAX_SAFE_INTEGER,
): number | null {
  if (/^-\d+$/.test(text)) {
    problems.add({
      code: 'out-of-range',
      message: `${what} is negative: ${text}`,
      line,
      expected: `0 to ${most}`,
      found: text,
    });
    return null;
  }
  if (!/^\d+$/.test(text)) {
    problems.add({
      code: 'not-a-number',
      message: `${what} is not a number`,
      line,
      expected: 'decimal digits',
      found: text === '' ? 'nothing' : text,
    });
    return null;
  }
  const value = Number(text);
  if (value > most) {
    problems.add({
      code: 'out-of-range',
      message: `${what} is too large`,
      line,
      expected: `0 to ${most}`,
      found: text,
    });
    return null;
  }
  return value;
}

/** Reads a node number within {@link MAX_NODES}. */
export function readNodeId(
  text: string,
  line: number | undefined,
  problems: ProblemList,
): number | null {
  return readCount(text, 'the node number', line, problems, MAX_NODES - 1);
}

/** Reports a line that the format does not have. */
export function unexpectedLine(
  found: string,
  line: number,
  expected: string,
  problems: ProblemList,
): void {
  problems.add({
    code: 'unexpected-line',
    message: `this line does not belong here`,
    line,
    expected,
    found: found.trim() === '' ? 'an empty line' : found.trim(),
  });
}

/** A map of counts by printed name without a prototype: names come from the text. */
export function emptyCounts(): Record<string, number> {
  return Object.create(null) as Record<string, number>;
}
