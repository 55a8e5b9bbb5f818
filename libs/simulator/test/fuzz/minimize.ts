import type { MachineOp } from '../machine';
import type { Difference } from './compare';

/** Runs operations again; null if the machines agree. */
export type Again = (ops: readonly MachineOp[]) => Difference | null;

/** The operation with a count that is half as large, or null if it has none to halve. */
function halved(op: MachineOp): MachineOp | null {
  return 'count' in op && op.count > 1 ? { ...op, count: op.count >> 1 } : null;
}

/**
 * Leaves out operations, in ever smaller groups, and halves counts, as long as there still is a difference.
 * @param again must be deterministic
 * @param attempts how often it may be called
 * @returns the difference with the fewest operations found
 */
export function minimize(difference: Difference, again: Again, attempts: number): Difference {
  let best = difference;
  let left = attempts;
  const improves = (ops: readonly MachineOp[]): boolean => {
    if (left <= 0) {
      return false;
    }
    left--;
    const found = again(ops);
    if (found !== null) {
      best = found;
    }
    return found !== null;
  };
  const without = (from: number, size: number): MachineOp[] => [
    ...best.ops.slice(0, from),
    ...best.ops.slice(from + size),
  ];
  // What could not be left out before may have become superfluous since.
  for (let before = ''; before !== JSON.stringify(best.ops) && left > 0;) {
    before = JSON.stringify(best.ops);
    for (let size = best.ops.length >> 1; size >= 1; size >>= 1) {
      // From the end, so that what was already tried keeps its place.
      for (let from = best.ops.length - size; from > -size; from -= size) {
        improves(without(Math.max(from, 0), size + Math.min(from, 0)));
      }
    }
    for (let i = 0; i < best.ops.length; i++) {
      for (;;) {
        const op = best.ops[i];
        const smaller = op === undefined ? null : halved(op);
        const ops = smaller === null ? [] : best.ops.map((o, at) => (at === i ? smaller : o));
        if (ops.length === 0 || !improves(ops)) {
          break;
        }
      }
    }
  }
  return best;
}
