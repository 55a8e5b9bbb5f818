/** Lines of a kernel log as the kernel worded them, whoever wrote them down. */
import type { ProblemList } from '../errors';
import { splitLines } from '../parse/text';

export interface LogLine {
  text: string;
  /** Line of the pasted text, from 1. */
  line: number;
}

/**
 * What /dev/kmsg, dmesg, journald and syslog put before a line: level, number, time and host, the kernel's name, the time since boot or
 * the date, the task or CPU that printed it. Task tables begin with a bracket too, but without a dot in it.
 */
const PREFIXES = [
  /^\d{1,4},\d{1,20},\d{1,20},[^;]{0,200};/,
  /^<\d{1,3}>/,
  /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ kernel: ?/,
  /^\d{4}-\d\d-\d\dT\S+ \S+ kernel: ?/,
  /^\[ *\d+\.\d+\] ?/,
  /^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] ?/,
  /^\[ *[TC]\d+\] ?/,
];

/** Lines without their prefixes; null when the text passes a limit. Backslashes that Markdown puts before marks are dropped. */
export function logLines(text: string, problems: ProblemList): LogLine[] | null {
  const lines = splitLines(text, problems);
  return lines && lines.map((raw, index) => ({ text: stripped(raw), line: index + 1 }));
}

function stripped(raw: string): string {
  let text = raw.replace(/\\([_*[\]])/g, '$1');
  for (const prefix of PREFIXES) text = text.replace(prefix, '');
  return text.trimEnd();
}
