import type { Machine, MachineConfig, MachineOp, MachinePicture } from '../machine';

/** Two values at the first place where two pictures differ. */
export interface PlaceOfDifference {
  path: string;
  left: unknown;
  right: unknown;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/**
 * The first difference of two trees of plain values, in the order of the keys of the left one.
 * @returns null if there is none
 */
export function firstDifference(
  left: unknown,
  right: unknown,
  path = '',
): PlaceOfDifference | null {
  if (Object.is(left, right)) {
    return null;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    const length = Math.max(left.length, right.length);
    for (let i = 0; i < length; i++) {
      if (!Object.is(left[i], right[i])) {
        const found = firstDifference(left[i], right[i], `${path}[${i}]`);
        if (found !== null) {
          return found;
        }
      }
    }
    return null;
  }
  if (isObject(left) && isObject(right) && Array.isArray(left) === Array.isArray(right)) {
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const at = path === '' ? key : `${path}.${key}`;
      const found = firstDifference(left[key], right[key], at);
      if (found !== null) {
        return found;
      }
    }
    return null;
  }
  return { path, left, right };
}

/** The same picture without what carries no meaning: the order of owners, owners that never got anything. */
export function normalized(picture: MachinePicture): MachinePicture {
  return {
    ...picture,
    owners: picture.owners
      .filter((owner) => owner.frames.length > 0)
      .sort((a, b) => a.owner - b.owner),
  };
}

/** What differed, and how to see it again. */
export interface Difference extends PlaceOfDifference {
  /** Position of the operation after which the machines differed; -1: they began differently. */
  operation: number;
  config: MachineConfig;
  /** The operations up to and with that one. */
  ops: MachineOp[];
}

/** Operations on owners that never asked for anything name nothing, and are left out. */
function ownsSomething(op: MachineOp, owners: Set<number>): boolean {
  if (op.op === 'alloc') {
    owners.add(op.owner);
  }
  return !('owner' in op) || owners.has(op.owner);
}

function attempt(machine: Machine, op: MachineOp): unknown {
  try {
    return machine.run(op);
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Looks at both machines after an operation. */
export type Observer = (op: MachineOp, done: number, picture: MachinePicture) => void;

/**
 * Runs the same operations on two machines and compares answer and picture after each.
 * @param observe is shown what the right machine did
 * @returns the first difference, null if there is none
 */
export function runMachines(
  config: MachineConfig,
  ops: readonly MachineOp[],
  left: Machine,
  right: Machine,
  observe: Observer = () => undefined,
): Difference | null {
  const atStart = firstDifference(normalized(left.picture()), normalized(right.picture()));
  if (atStart !== null) {
    return { ...atStart, operation: -1, config, ops: [] };
  }
  const owners = new Set<number>();
  for (const [operation, op] of ops.entries()) {
    if (!ownsSomething(op, owners)) {
      continue;
    }
    const [leftAnswer, rightAnswer] = [attempt(left, op), attempt(right, op)];
    const answers = firstDifference({ answer: leftAnswer }, { answer: rightAnswer });
    const picture = right.picture();
    const found = answers ?? firstDifference(normalized(left.picture()), normalized(picture));
    if (found !== null) {
      return { ...found, operation, config, ops: ops.slice(0, operation + 1) };
    }
    observe(op, isObject(rightAnswer) ? Number(rightAnswer['done']) : 0, picture);
  }
  return null;
}

/** A difference as text that can be pasted as a test. */
export function report(difference: Difference, left: string, right: string): string {
  const { operation, path, config, ops } = difference;
  const show = (value: unknown): string =>
    typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'absent');
  const when = operation === -1 ? 'at the start' : `after operation ${operation}`;
  return [
    `${when}: ${path} is ${show(difference.left)} in the ${left}, ${show(difference.right)} in the ${right}`,
    `const config: MachineConfig = ${JSON.stringify(config)};`,
    'const ops: MachineOp[] = [',
    ...ops.map((op) => `  ${JSON.stringify(op)},`),
    '];',
  ].join('\n');
}
