import { expectedOf, isRange, nodeSizes, type Answer, type AnsweredStep } from './answers';
import type { Observable } from './observables';
import { COUNTED, KINDS, toleranceOf, widthOf, type Kind, type NodeSizes } from './tolerances';

type Simulated = Observable['simulated'];

/** One observable beside what the kernel did. `min`, `median`, `max` and `inside` only where that is known. */
export interface ScoredObservable extends Observable {
  kind: Kind;
  min?: number | string | boolean | string[] | null;
  median?: number | string | boolean | string[] | null;
  max?: number | string | boolean | string[] | null;
  inside?: boolean;
  /** Whether the value counts in the summary: what stays the same and is right earns nothing. */
  counts?: boolean;
  /** Whether the recorded boots lie within the tolerance of each other; only where the kernel moved the value, or they do not. */
  bootsAgree?: boolean;
  /** Least and greatest prediction of replays from this and other, as likely start states; only where that was tried. */
  replays?: [number, number];
  /** A miss for which these replays meet the kernel's range. */
  undetermined?: boolean;
}

export interface Tally {
  inside: number;
  total: number;
}
/** By kind; kinds in which nothing counted are left out. */
export type Tallies = Partial<Record<Kind, Tally>>;

export interface ScoredCase {
  id: string;
  observables: ScoredObservable[];
  tallies: Tallies;
}

interface Judgement {
  inside: boolean;
  /** The recorded boots lie within the tolerance of each other. */
  alike: boolean;
  /** The kernel did not move the value by more than the tolerance in this step. */
  quiet: boolean;
}

function judgeRange(
  key: string,
  simulated: Simulated | undefined,
  [min, median, max]: [number, number, number],
  before: Answer | undefined,
  step: number,
  sizes: NodeSizes,
): Judgement {
  const rule = toleranceOf(key);
  const width = widthOf(key, rule, sizes);
  const relative = rule.relative ?? 0;
  const around = (bound: number) => Math.max(width, relative * Math.abs(bound));
  const inside =
    typeof simulated === 'number' &&
    min - around(min) <= simulated &&
    simulated <= max + around(max);
  const alike = max - min <= around(max);
  if (COUNTED.has(rule.kind)) return { inside, alike, quiet: Math.abs(median) <= width };
  if (!isRange(before)) {
    return { inside, alike, quiet: step !== 0 && min === 0 && median === 0 && max === 0 };
  }
  return { inside, alike, quiet: Math.abs(median - before[1]) <= around(before[1]) };
}

/** Values that a guest or a step has before anything has happened to it. */
const AT_FIRST = ['[]', 'null', 'true'];

function judgeExact(
  simulated: Simulated | undefined,
  answer: Answer,
  before: Answer | undefined,
): Judgement {
  const wanted = JSON.stringify(answer);
  const quiet =
    before === undefined ? AT_FIRST.includes(wanted) : JSON.stringify(before) === wanted;
  // Where the kernel killed nobody there is no constraint, and a replay need not say so.
  const predicted = simulated === undefined && answer === null ? null : simulated;
  return { inside: JSON.stringify(predicted) === wanted, alike: true, quiet };
}

/** Whether a value can count: the state after boot is given, and layout cases are recorded for their layout. */
function isScored(kind: Kind, group: string, step: number, key: string): boolean {
  if (kind === 'informative' || (group === 'L' && kind !== 'layout')) return false;
  return step > 0 || key.startsWith('fallback.');
}

const readsAsZero = (kind: Kind): boolean => kind === 'levels' || COUNTED.has(kind);

function recordedFields(answer: Answer): Pick<ScoredObservable, 'min' | 'median' | 'max'> {
  if (!isRange(answer)) return { min: answer, median: answer, max: answer };
  const [min, median, max] = answer;
  return { min, median, max };
}

/** Kinds whose recorded values are of all boots of a case; the others are of its first boot. */
const SEVERAL_BOOTS = new Set<Kind>([
  'placement',
  'numa',
  'levels',
  'reclaim',
  'compaction',
  'pace',
]);

/** By kind: values that the kernel moved in some boot, and those of them in which the boots of a case agree. */
export function tallyBoots(rows: Iterable<ScoredObservable>): Tallies {
  const moved = [...rows].filter(({ bootsAgree }) => bootsAgree !== undefined);
  return tally(moved.map((row) => ({ ...row, counts: true, inside: row.bootsAgree === true })));
}

/** Adds up what counted, by kind, in the order of the kinds' names. */
export function tally(rows: Iterable<ScoredObservable>): Tallies {
  const tallies = new Map<Kind, Tally>();
  for (const { kind, inside, counts } of rows) {
    if (counts !== true) continue;
    const sum = tallies.get(kind) ?? { inside: 0, total: 0 };
    sum.total += 1;
    if (inside === true) sum.inside += 1;
    tallies.set(kind, sum);
  }
  return Object.fromEntries([...tallies].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The sum of several cases' tallies. */
export function addTallies(all: Tallies[]): Tallies {
  const sums = KINDS.map((kind): [Kind, Tally] => [
    kind,
    all.reduce(
      (sum, { [kind]: one = { inside: 0, total: 0 } }) => ({
        inside: sum.inside + one.inside,
        total: sum.total + one.total,
      }),
      { inside: 0, total: 0 },
    ),
  ]);
  return Object.fromEntries(
    sums.filter(([, { total }]) => total > 0).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Observables of a case without answers: only what kind of value each of them is. */
export function unscored(observables: Observable[]): ScoredObservable[] {
  return observables.map((o) => ({ ...o, kind: toleranceOf(o.key).kind }));
}

class CaseScore {
  private readonly simulatedIn: Map<string, Simulated>[];
  private readonly sizes: NodeSizes;

  constructor(
    private readonly group: string,
    private readonly steps: AnsweredStep[],
    observables: Observable[],
  ) {
    this.sizes = nodeSizes(steps);
    this.simulatedIn = steps.map(() => new Map<string, Simulated>());
    for (const { step, key, simulated } of observables) this.simulatedIn[step]?.set(key, simulated);
  }

  /** Rows of one step: first what was recorded, then what the model predicts besides. */
  rows(
    step: number,
    expected: Map<string, Answer>,
    before: Map<string, Answer>,
  ): ScoredObservable[] {
    const simulatedBy = this.simulatedIn[step]!;
    const answers = new Map(expected);
    const rows: ScoredObservable[] = [];
    for (const [key, simulated] of simulatedBy) {
      if (answers.has(key)) continue;
      const { kind } = toleranceOf(key);
      // A counter that the recording does not show did not move.
      if (COUNTED.has(kind)) answers.set(key, [0, 0, 0]);
      else rows.push({ step, key, kind, simulated, ...this.informative(step, key) });
    }
    for (const [key, answer] of answers) {
      rows.push(this.row(step, key, answer, before.get(key), simulatedBy.get(key)));
    }
    return rows;
  }

  private row(
    step: number,
    key: string,
    answer: Answer,
    before: Answer | undefined,
    predicted: Simulated | undefined,
  ): ScoredObservable {
    const { kind } = toleranceOf(key);
    const simulated = predicted === undefined && readsAsZero(kind) ? 0 : predicted;
    const { inside, alike, quiet } = isRange(answer)
      ? judgeRange(key, simulated, answer, before, step, this.sizes)
      : judgeExact(simulated, answer, before);
    const scored = isScored(kind, this.group, step, key);
    const counts = scored && !(inside && quiet);
    const boots = scored && SEVERAL_BOOTS.has(kind) && !(alike && quiet) && { bootsAgree: alike };
    const shown = simulated ?? null;
    return {
      ...{ step, key, kind, ...recordedFields(answer), simulated: shown, inside, counts },
      ...boots,
    };
  }

  /** Informative values have no tolerance, so nothing is said of them but what the kernel had. */
  private informative(step: number, key: string): Partial<ScoredObservable> {
    const answer = this.steps[step]?.observed?.[key];
    return answer === undefined ? {} : recordedFields(answer);
  }
}

/**
 * Scores the replay of one case against its recording.
 *
 * A level counts in a step in which the kernel moved it by more than the tolerance, a counter where the kernel
 * counted more than the tolerance, an exact value where it changed; and each of them wherever the simulated value is
 * wrong. So stillness earns nothing and false movement costs.
 */
export function scoreCase(
  { id, group }: { id: string; group: string },
  steps: AnsweredStep[],
  bootLog: string[],
  observables: Observable[],
): ScoredCase {
  const score = new CaseScore(group, steps, observables);
  const expected = expectedOf(steps, bootLog);
  const none = new Map<string, Answer>();
  const rows = expected.flatMap((answers, step) =>
    score.rows(step, answers, expected[step - 1] ?? none),
  );
  return { id, observables: rows, tallies: tally(rows) };
}

/** A behaviour case is one that is recorded for more than the layout of its machine. */
export const WHOLE_CASES = 'behaviour cases with every placement and kill right';
export type Summary = Tallies & Partial<Record<typeof WHOLE_CASES, Tally>>;

/** Adds up the cases that hold answers; null when none does. */
export function summarize(scored: { group: string; tallies: Tallies }[]): Summary | null {
  if (scored.length === 0) return null;
  const behaviour = scored.filter(({ group }) => group !== 'L');
  const right = ({ inside, total }: Tally = { inside: 0, total: 0 }) => inside === total;
  const whole = behaviour.filter(
    ({ tallies }) => right(tallies.placement) && right(tallies.oom),
  ).length;
  return {
    ...addTallies(scored.map(({ tallies }) => tallies)),
    [WHOLE_CASES]: { inside: whole, total: behaviour.length },
  };
}
