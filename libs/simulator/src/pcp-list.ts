/** One per-CPU list: blocks of one order and type, newest freed at the head, oldest at the tail. */

/** Blocks on a list from the head on: the first at `frame`, each next one `step` blocks further. */
export interface PcpRun {
  frame: number;
  count: number;
  step: 1 | -1;
  /** Migrate type the pages return to; differs from the list's for HighAtomic pages on the Movable list. */
  type: number;
}

export class PcpList {
  /** Tail first, so that both ends are cheap; `first` is the tail's place. */
  private runs: PcpRun[] = [];
  private first = 0;
  /** Blocks on the list. */
  count = 0;

  constructor(readonly order: number) {}

  /** Puts blocks before the head; `run` says in which order they will stand, its own head first. */
  pushHead(run: PcpRun): void {
    this.count += run.count;
    const head = this.runs[this.runs.length - 1];
    if (head && this.first < this.runs.length && this.joins(run, head)) {
      head.frame = run.frame;
      head.count += run.count;
      return;
    }
    this.runs.push(run);
  }

  /** May `run` stand before `head` as one run with it? */
  private joins(run: PcpRun, head: PcpRun): boolean {
    if (run.type !== head.type) return false;
    const gap = (head.frame - run.frame) >> this.order;
    if (run.count === 1) {
      if (gap !== 1 && gap !== -1) return false;
      if (head.count === 1) head.step = gap;
      return head.step === gap;
    }
    if (gap !== run.step * run.count) return false;
    if (head.count === 1) head.step = run.step;
    return head.step === run.step;
  }

  /** Puts blocks behind the tail; only an empty list is refilled, so the first piece is the head. */
  refill(pieces: PcpRun[]): void {
    for (let i = pieces.length - 1; i >= 0; i -= 1) this.pushHead(pieces[i]!);
  }

  /** Takes up to `want` blocks of one run from the head. */
  takeHead(want: number): PcpRun | undefined {
    const head = this.runs[this.runs.length - 1];
    if (!head || this.count === 0) return undefined;
    const count = Math.min(want, head.count);
    const taken: PcpRun = { frame: head.frame, count, step: head.step, type: head.type };
    this.count -= count;
    if (count === head.count) {
      this.runs.pop();
      if (this.first >= this.runs.length) this.reset();
    } else {
      head.frame += (head.step * count) << this.order;
      head.count -= count;
    }
    return taken;
  }

  /** Takes up to `want` blocks of one run from the tail, in the order in which they leave. */
  takeTail(want: number): PcpRun | undefined {
    const tail = this.runs[this.first];
    if (!tail || this.count === 0) return undefined;
    const count = Math.min(want, tail.count);
    const frame = tail.frame + ((tail.step * (tail.count - 1)) << this.order);
    this.count -= count;
    const taken: PcpRun = { frame, count, step: tail.step === 1 ? -1 : 1, type: tail.type };
    if (count === tail.count) {
      this.first += 1;
      if (this.first >= this.runs.length) this.reset();
      else if (this.first > 256 && this.first * 2 > this.runs.length) {
        this.runs = this.runs.slice(this.first);
        this.first = 0;
      }
    } else {
      tail.count -= count;
    }
    return taken;
  }

  /** Frames from head to tail. */
  frames(): number[] {
    const frames: number[] = [];
    for (let i = this.runs.length - 1; i >= this.first; i -= 1) {
      const run = this.runs[i]!;
      for (let j = 0; j < run.count; j += 1)
        frames.push(run.frame + ((run.step * j) << this.order));
    }
    return frames;
  }

  /** Runs from head to tail, for hashing and recounting. */
  pieces(): PcpRun[] {
    return this.runs.slice(this.first).reverse();
  }

  private reset(): void {
    this.runs = [];
    this.first = 0;
  }
}
