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
    const first = this.firstEndingAfter(from);
    const middle: number[] = [];
    let removed = 0;
    let at = first;
    for (; at < this.bounds.length && this.bounds[at]! < to; at += 2) {
      const start = this.bounds[at]!;
      const end = this.bounds[at + 1]!;
      push(middle, start, Math.min(from, end));
      const low = Math.max(start, from);
      const high = Math.min(end, to);
      removed += high - low;
      if (keep > 0) {
        for (let group = low - ((low - from) % every); group < high; group += every) {
          const keepFrom = Math.max(group, low);
          const keepTo = Math.min(group + Math.min(keep, every), high);
          push(middle, keepFrom, keepTo);
          removed -= Math.max(keepTo - keepFrom, 0);
        }
      }
      push(middle, Math.max(start, to), end);
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
