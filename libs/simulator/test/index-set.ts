/** Which indices of an owner have a page: intervals, so that a guest of many GiB costs a few numbers. */

/** Of every `every` indices from `from` on the first `keep` stay, the others up to `to` are meant. */
export interface IndexPattern {
  from: number;
  to: number;
  every: number;
  keep: number;
}

/** start, end, start, end, ...: ascending, ends exclusive, never touching. */
class Bounds {
  private numbers = new Int32Array(16);
  length = 0;

  get(at: number): number {
    return this.numbers[at]!;
  }

  /** Adds [start, end), unless it is empty. */
  push(start: number, end: number): void {
    if (start >= end) return;
    if (this.length > 0 && this.numbers[this.length - 1] === start) {
      this.numbers[this.length - 1] = end;
      return;
    }
    if (this.length === this.numbers.length) {
      const grown = new Int32Array(2 * this.length);
      grown.set(this.numbers);
      this.numbers = grown;
    }
    this.numbers[this.length] = start;
    this.numbers[this.length + 1] = end;
    this.length += 2;
  }
}

export class IndexSet {
  private bounds = new Bounds();
  /** The index that the next one added will have. */
  end = 0;

  /** Adds the next `count` indices. */
  append(count: number): void {
    this.bounds.push(this.end, this.end + count);
    this.end += count;
  }

  /** @returns how many indices of the pattern were there, and are no more */
  remove({ from, to, every, keep }: IndexPattern): number {
    return this.removeWhere(from, to, keep === 0 ? undefined : (i) => (i - from) % every >= keep);
  }

  /** @returns how many indices of [from, to) that are picked were there, and are no more */
  removeWhere(from: number, to: number, picks?: (index: number) => boolean): number {
    const { bounds } = this;
    const left = new Bounds();
    let removed = 0;
    for (let at = 0; at < bounds.length; at += 2) {
      const [start, end] = [bounds.get(at), bounds.get(at + 1)];
      const low = Math.min(Math.max(start, from), end);
      const high = Math.max(Math.min(end, to), low);
      left.push(start, low);
      if (!picks) removed += high - low;
      for (let index = picks ? low : high; index < high; index += 1) {
        if (picks!(index)) removed += 1;
        else left.push(index, index + 1);
      }
      left.push(high, end);
    }
    this.bounds = left;
    return removed;
  }

  /** Calls `look` with every interval, ascending. */
  forEach(look: (start: number, end: number) => void): void {
    for (let i = 0; i < this.bounds.length; i += 2)
      look(this.bounds.get(i), this.bounds.get(i + 1));
  }
}
