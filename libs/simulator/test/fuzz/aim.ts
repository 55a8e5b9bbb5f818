import type { MachineOp } from '../machine';

/** Which of an owner's indices an operation means, where they are not known before the operations run. */
export type Aim =
  | { reach: 'all' }
  /** The share [start, start + share) of them, in thousandths, and at least one. */
  | { reach: 'part'; start: number; share: number }
  /** `pages` indices, the last of them `back` before the newest. */
  | { reach: 'newest'; back: number; pages: number };

type RangedOp = Extract<MachineOp, { from: number }>;

/** An operation, or one whose range is still to be found. */
export type PlannedOp = MachineOp | (RangedOp & { aim: Aim });

function rangeOf(aim: Aim, length: number): { from: number; count: number } {
  switch (aim.reach) {
    case 'all':
      return { from: 0, count: length };
    case 'part':
      return {
        from: Math.floor((length * aim.start) / 1000),
        count: 1 + Math.floor((length * aim.share) / 1000),
      };
    case 'newest': {
      const from = Math.max(length - aim.back - aim.pages, 0);
      return { from, count: Math.min(aim.pages, length - from) };
    }
  }
}

/** Follows how many indices each owner has given out, and aims operations at them. */
export class Aimer {
  private readonly lengths = new Map<number, number>();

  /** The operation to run; null if its owner never asked for anything, so that it would name nothing. */
  aimed(planned: PlannedOp): MachineOp | null {
    if (!('owner' in planned) || planned.op === 'alloc') {
      return planned;
    }
    const length = this.lengths.get(planned.owner);
    if (length === undefined) {
      return null;
    }
    if (!('aim' in planned)) {
      return planned;
    }
    const { aim, ...op } = planned;
    return { ...op, ...rangeOf(aim, length) };
  }

  /** An operation was run, and answered `done`. */
  ran(op: MachineOp, done: number): void {
    if (op.op === 'alloc') {
      this.lengths.set(op.owner, (this.lengths.get(op.owner) ?? 0) + done);
    } else if (op.op === 'exit') {
      this.lengths.delete(op.owner);
    }
  }
}
