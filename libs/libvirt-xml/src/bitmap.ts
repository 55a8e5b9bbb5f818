/** Node and CPU sets as libvirt writes them: `0-3,^1,8`. */

/** Ids are 0..16383: VIR_DOMAIN_CPUMASK_LEN is 16384. */
export const SET_LIMIT = 16384;

export type SetOutcome = { ok: true; value: number[] } | { ok: false; why: string };

/**
 * Reads a set by the rules of libvirt's virBitmapParse: items left to right, `^N` takes one number out
 * again, blanks around items and one trailing comma are allowed.
 * @returns ascending ids (possibly none left), or what is wrong
 */
export function parseSet(text: string): SetOutcome {
  if (!/[^\s]/.test(text)) return { ok: false, why: 'it is empty' };
  const items = text.split(',');
  if (items.length > 1 && /^\s*$/.test(items[items.length - 1] ?? '')) items.pop();
  if (items.length > SET_LIMIT) return { ok: false, why: 'it has too many items' };
  const ranges: Range[] = [];
  for (const item of items) {
    const range = rangeOf(item);
    if (typeof range === 'string') return { ok: false, why: range };
    ranges.push(range);
  }
  return { ok: true, value: idsOf(ranges) };
}

/** Ids that an item puts in, or takes out. */
interface Range {
  from: number;
  to: number;
  present: boolean;
}

const ITEM = /^\s*(?:\^(0*[0-9]{1,9})|(0*[0-9]{1,9})(?:\s*-\s*\+?(0*[0-9]{1,9}))?)\s*$/;

function rangeOf(item: string): Range | string {
  const shown = item.length > 32 ? `${item.slice(0, 32)}...` : item;
  const match = ITEM.exec(item);
  if (match === null) return `"${shown}" is not N, N-M or ^N`;
  const [, removed, first, last] = match;
  const from = Number(removed ?? first);
  const to = Number(last ?? from);
  if (to < from) return `"${shown}" runs backwards`;
  if (to >= SET_LIMIT) return `"${shown}" is above ${SET_LIMIT - 1}`;
  return { from, to, present: removed === undefined };
}

function idsOf(ranges: Range[]): number[] {
  const [only] = ranges;
  // Most sets are one item, and a document may hold very many of them.
  if (ranges.length === 1 && only?.present) {
    return Array.from({ length: only.to - only.from + 1 }, (_, index) => only.from + index);
  }
  const highest = ranges.reduce((most, { to }) => Math.max(most, to), 0);
  const present = new Uint8Array(highest + 1);
  for (const range of ranges) present.fill(range.present ? 1 : 0, range.from, range.to + 1);
  const value: number[] = [];
  // indexOf searches at memory speed.
  for (let id = present.indexOf(1); id >= 0; id = present.indexOf(1, id + 1)) value.push(id);
  return value;
}

/** Writes a set as libvirt does: ascending, neighbours merged (`0-1,4`). */
export function formatSet(ids: readonly number[]): string {
  const sorted = [...new Set(ids)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let j = i;
    while (sorted[j + 1] === (sorted[j] ?? 0) + 1) j += 1;
    parts.push(i === j ? `${sorted[i]}` : `${sorted[i]}-${sorted[j]}`);
    i = j + 1;
  }
  return parts.join(',');
}

export function sameSet(a: readonly number[], b: readonly number[]): boolean {
  return formatSet(a) === formatSet(b);
}

/** `node 1`, `nodes 0-1`: a nodeset in a sentence. */
export function nodesText(nodes: number[]): string {
  return `node${nodes.length === 1 ? '' : 's'} ${formatSet(nodes)}`;
}
