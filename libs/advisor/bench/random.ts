/** Seeded random numbers (mulberry32): the same seed gives the same problems on every machine. */
export class Random {
  constructor(private state: number) {
    this.state = state >>> 0;
  }

  /** A number from 0 (included) to 1 (excluded). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(percent: number): boolean {
    return this.next() * 100 < percent;
  }

  /** One of the values, each with its share of the sum of all shares. */
  weighted<T>(shares: readonly { value: T; percent: number }[]): T {
    const total = shares.reduce((sum, { percent }) => sum + percent, 0);
    let left = this.next() * total;
    for (const { value, percent } of shares) {
      left -= percent;
      if (left < 0) return value;
    }
    const last = shares.at(-1);
    if (last === undefined) throw new RangeError('no value to choose from');
    return last.value;
  }
}
