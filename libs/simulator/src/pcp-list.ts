/** One per-CPU list: blocks of one order and type, newest freed at the head, oldest at the tail. */

/** Blocks on a list from the head on: the first at `frame`, each next one `step` blocks further: beside it. */
export interface PcpRun {
  frame: number;
  count: number;
  step: 1 | -1;
  /** Migrate type the pages return to; differs from the list's for HighAtomic pages on the Movable list. */
  type: number;
}

/**
 * Numbers of one run in `runs`: no objects, because where memory is scattered every block may be a run, and lists
 * are filled and emptied all the time. Blocks at equal distances, whatever it is, are one run here.
 */
const FIELDS = 4;
const FRAME = 0;
const COUNT = 1;
const STEP = 2;
const TYPE = 3;

export class PcpList {
  /** FIELDS numbers for each run, the tail's first, so that both ends are cheap; `first` is the tail's place. */
  private runs: number[] = [];
  private first = 0;
  /** Blocks on the list. */
  count = 0;

  constructor(readonly order: number) {}

  /** Runs on the list. */
  get pieceCount(): number {
    return (this.runs.length - this.first) / FIELDS;
  }

  /** Puts blocks before the head; `run` says in which order they will stand, its own head first. */
  pushHead({ frame, count, step, type }: PcpRun): void {
    this.push(frame, count, step, type);
  }

  /** The same, without an object. */
  push(frame: number, count: number, step: 1 | -1, type: number): void {
    this.count += count;
    const { runs } = this;
    const head = runs.length - FIELDS;
    if (head >= this.first && this.joins(frame, count, step, type, head)) {
      runs[head + FRAME] = frame;
      runs[head + COUNT]! += count;
      return;
    }
    runs.push(frame, count, step, type);
  }

  /** May blocks stand before the run at `head` as one run with it? */
  private joins(frame: number, count: number, step: number, type: number, head: number): boolean {
    const { runs } = this;
    if (type !== runs[head + TYPE]) return false;
    const gap = (runs[head + FRAME]! - frame) >> this.order;
    if (count > 1 && gap !== step * count) return false;
    const wanted = count === 1 ? gap : step;
    if (runs[head + COUNT] === 1) runs[head + STEP] = wanted;
    return runs[head + STEP] === wanted;
  }

  /** Puts blocks behind the tail; only an empty list is refilled, so the first piece is the head. */
  refill(pieces: PcpRun[]): void {
    for (let i = pieces.length - 1; i >= 0; i -= 1) this.pushHead(pieces[i]!);
  }

  /** Takes up to `want` blocks of one run from the head. */
  takeHead(want: number): PcpRun | undefined {
    if (this.count === 0) return undefined;
    const { runs } = this;
    const head = runs.length - FIELDS;
    const [frame, held, step] = [runs[head + FRAME]!, runs[head + COUNT]!, runs[head + STEP]!];
    const type = runs[head + TYPE]!;
    const near = step === 1 || step === -1;
    const count = near ? Math.min(want, held) : 1;
    this.count -= count;
    if (count === held) {
      // Setting the length would give room back that the next run needs again.
      for (let i = 0; i < FIELDS; i += 1) runs.pop();
      if (this.first >= head) this.reset();
    } else {
      runs[head + FRAME] = frame + ((step * count) << this.order);
      runs[head + COUNT] = held - count;
    }
    return { frame, count, step: near ? step : 1, type };
  }

  /**
   * Takes up to `want` blocks from the tail.
   * @param give gets each run in the order in which its blocks leave, these `step` blocks apart
   * @returns blocks taken
   */
  takeTail(
    want: number,
    give: (frame: number, count: number, step: number, type: number) => void,
  ): number {
    const due = Math.min(want, this.count);
    for (let left = due; left > 0;) {
      const { runs, first } = this;
      const held = runs[first + COUNT]!;
      const step = runs[first + STEP]!;
      const type = runs[first + TYPE]!;
      const last = runs[first + FRAME]! + ((step * (held - 1)) << this.order);
      const count = Math.min(left, held);
      left -= count;
      this.count -= count;
      if (count < held) {
        runs[first + COUNT] = held - count;
      } else {
        this.first += FIELDS;
        if (this.first >= runs.length) this.reset();
        else if (this.first > 1024 && this.first * 2 > runs.length) {
          this.runs = runs.slice(this.first);
          this.first = 0;
        }
      }
      give(last, count, -step, type);
    }
    return due;
  }

  /** Frames from head to tail. */
  frames(): number[] {
    const frames: number[] = [];
    for (const { frame, count, step } of this.pieces()) {
      for (let i = 0; i < count; i += 1) frames.push(frame + ((step * i) << this.order));
    }
    return frames;
  }

  /** Runs of blocks beside each other from head to tail, for hashing and recounting. */
  pieces(): PcpRun[] {
    const { runs } = this;
    const pieces: PcpRun[] = [];
    for (let at = this.first; at < runs.length; at += FIELDS) {
      const [frame, count, step] = [runs[at + FRAME]!, runs[at + COUNT]!, runs[at + STEP]!];
      const type = runs[at + TYPE]!;
      if (step === 1 || step === -1) {
        pieces.push({ frame, count, step, type });
        continue;
      }
      for (let i = count - 1; i >= 0; i -= 1) {
        pieces.push({ frame: frame + ((step * i) << this.order), count: 1, step: 1, type });
      }
    }
    return pieces.reverse();
  }

  private reset(): void {
    this.runs = [];
    this.first = 0;
  }
}
