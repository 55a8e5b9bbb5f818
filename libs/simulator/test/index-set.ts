/** Which indices of an owner have a page: intervals, so that a guest of many GiB costs a few numbers. */

/** Of every `every` indices from `from` on the first `keep` stay, the others up to `to` are meant. */
export interface IndexPattern {
  from: number;
  to: number;
  every: number;
  keep: number;
}

export class IndexSet {
  /** start, end, start, end, ...: ascending, ends exclusive, never touching. */
  private bounds: number[] = [];
  /** The index that the next one added will have. */
  end = 0;

  /** Adds the next `count` indices. */
  append(count: number): void {
    push(this.bounds, this.end, this.end + count);
    this.end += count;
  }

  /** @returns how many indices of the pattern were there, and are no more */
  remove({ from, to, every, keep }: IndexPattern): number {
    return this.removeWhere(from, to, keep === 0 ? undefined : (i) => (i - from) % every >= keep);
  }

  /** @returns how many indices of [from, to) that are picked were there, and are no more */
  removeWhere(from: number, to: number, picks?: (index: number) => boolean): number {
    const first = this.firstEndingAfter(from);
    const middle: number[] = [];
    let removed = 0;
    let at = first;
    for (; at < this.bounds.length && this.bounds[at]! < to; at += 2) {
      const start = this.bounds[at]!;
      const end = this.bounds[at + 1]!;
      const low = Math.max(start, from);
      const high = Math.min(end, to);
      push(middle, start, low);
      if (picks) removed += pushStaying(middle, low, high, picks);
      else removed += high - low;
      push(middle, high, end);
    }
    this.bounds = this.bounds.slice(0, first).concat(middle, this.bounds.slice(at));
    return removed;
  }

  /** Calls `look` with every interval, ascending. */
  forEach(look: (start: number, end: number) => void): void {
    for (let i = 0; i < this.bounds.length; i += 2) look(this.bounds[i]!, this.bounds[i + 1]!);
  }

  /** Place in `bounds` of the first interval that ends after `index`. */
  private firstEndingAfter(index: number): number {
    let low = 0;
    let high = this.bounds.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.bounds[2 * middle + 1]! > index) high = middle;
      else low = middle + 1;
    }
    return 2 * low;
  }
}

function push(bounds: number[], start: number, end: number): void {
  if (start >= end) return;
  if (bounds.length > 0 && bounds[bounds.length - 1] === start) bounds[bounds.length - 1] = end;
  else bounds.push(start, end);
}

/** @returns how many of [low, high) do not stay */
function pushStaying(
  bounds: number[],
  low: number,
  high: number,
  picks: (index: number) => boolean,
): number {
  let removed = 0;
  for (let at = low; at < high; at += 1) {
    const from = at;
    while (at < high && !picks(at)) at += 1;
    push(bounds, from, at);
    if (at < high) removed += 1;
  }
  return removed;
}
