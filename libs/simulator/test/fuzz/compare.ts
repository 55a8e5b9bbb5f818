import type { Machine, MachineConfig, MachineOp, MachinePicture } from '../machine';
import { Tape } from '../tape';
import { Aimer } from './aim';
import type { PlannedOp } from './aim';

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

function attempt(what: () => unknown): unknown {
  try {
    return what();
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Is shown each operation that was run, what it answered, and the state that it left on tape. */
export type Observer = (op: MachineOp, done: number, state: Tape) => void;

/** The state of two machines of one configuration, as often as one likes to look. */
class Comparison {
  private readonly leftTape = new Tape();
  readonly tape = new Tape();

  constructor(
    private readonly left: Machine,
    private readonly right: Machine,
  ) {}

  /** Compares everything, by the tapes; only where they differ are pictures made. */
  look(): PlaceOfDifference | null {
    this.leftTape.clear();
    this.tape.clear();
    this.left.record(this.leftTape);
    this.right.record(this.tape);
    if (this.leftTape.equals(this.tape)) {
      return null;
    }
    const tapes = { path: 'tape', left: this.leftTape.length, right: this.tape.length };
    return this.pictures() ?? tapes;
  }

  pictures(): PlaceOfDifference | null {
    return firstDifference(normalized(this.left.picture()), normalized(this.right.picture()));
  }
}

/**
 * Runs the same operations on two machines and compares answer and state after each. The tapes are held to the
 * pictures at the beginning and at the end, where both machines also count everything again.
 * @param observe is shown what the right machine did
 * @returns the first difference, null if there is none
 */
export function runMachines(
  config: MachineConfig,
  planned: readonly PlannedOp[],
  left: Machine,
  right: Machine,
  observe: Observer = () => undefined,
): Difference | null {
  const state = new Comparison(left, right);
  const aimer = new Aimer();
  const ops: MachineOp[] = [];
  const at = (found: PlaceOfDifference | null): Difference | null =>
    found && { ...found, operation: ops.length - 1, config, ops };
  const atStart = at(state.pictures() ?? state.look());
  if (atStart !== null) {
    return atStart;
  }
  for (const plan of planned) {
    const op = aimer.aimed(plan);
    if (op === null) {
      continue;
    }
    ops.push(op);
    const [leftAnswer, rightAnswer] = [attempt(() => left.run(op)), attempt(() => right.run(op))];
    const answers = firstDifference({ answer: leftAnswer }, { answer: rightAnswer });
    const found = at(answers ?? state.look());
    if (found !== null) {
      return found;
    }
    const done = isObject(rightAnswer) ? Number(rightAnswer['done']) : 0;
    aimer.ran(op, done);
    observe(op, done, state.tape);
  }
  const [leftCount, rightCount] = [left, right].map((it) => attempt(() => it.verify?.()));
  return at(state.pictures() ?? firstDifference({ recount: leftCount }, { recount: rightCount }));
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
