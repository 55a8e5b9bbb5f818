/** Pieces of printf that the kernel's texts are made of. */
import { PAGE_KIB } from '@zonewise/simulator';

/** Right-justified in `width` characters; longer numbers keep all their digits, as with printf. */
export function right(value: number | string, width: number): string {
  return String(value).padStart(width);
}

/** Left-justified in `width` characters. */
export function left(value: number | string, width: number): string {
  return String(value).padEnd(width);
}

/** Pages of 4 KiB in KiB. */
export function kib(pages: number): number {
  return pages * PAGE_KIB;
}

/** Lines as a text file holds them, each with its line feed. */
export function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** A number with two decimals. Exact ties go to the even digit, as glibc's `%.2f` rounds them. */
export function fixed2(value: number): string {
  const eighths = value * 8;
  const isTie = Number.isInteger(eighths) && eighths % 2 !== 0;
  if (!isTie) return value.toFixed(2);
  const hundredths = Math.floor(value * 100);
  return ((hundredths % 2 === 0 ? hundredths : hundredths + 1) / 100).toFixed(2);
}
