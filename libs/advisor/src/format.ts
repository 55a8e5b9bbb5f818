import { PAGES_PER_MIB } from '@zonewise/simulator';

/** Thousands separated by commas, the same on every machine (no locale). */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Pages as MiB: `2,007 MiB`; less than one MiB keeps a decimal so that it does not read as nothing. */
export function formatMib(pages: number): string {
  const mib = pages / PAGES_PER_MIB;
  return mib > 0 && mib < 10 ? `${mib.toFixed(1)} MiB` : `${formatCount(mib)} MiB`;
}

/** A share 0..1 as percent; anything above nothing and below one percent says so. */
export function formatPercent(share: number): string {
  if (share > 0 && share < 0.01) return '<1 %';
  if (share < 1 && share > 0.99) return '>99 %';
  return `${Math.round(share * 100)} %`;
}

/** Nanoseconds of virtual time as milliseconds. */
export function formatMs(ns: number): string {
  return `${formatCount(ns / 1e6)} ms`;
}

/** `a`, `a and b`, `a, b and c`. */
export function formatList(items: string[]): string {
  if (items.length <= 1) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1) ?? ''}`;
}

const NAMES_MAX = 6;

/** The list as far as a sentence can carry it: `a, b, c, d, e, f and 54 more`. */
export function formatSome(items: string[]): string {
  const more = items.length - NAMES_MAX;
  return more > 1 ? formatList([...items.slice(0, NAMES_MAX), `${more} more`]) : formatList(items);
}
