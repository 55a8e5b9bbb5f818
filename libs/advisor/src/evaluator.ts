import type { ReplayControl, ReplayEvent, ReplayInput, ReplayResult } from '@zonewise/simulator';
import { ReplayCancelled, replay } from '@zonewise/simulator';
import { NO_CHANGE, normalise, withChange } from './change';
import { compileReplay } from './compile';
import type { Trace } from './evidence/trace';
import { traceOf } from './evidence/trace';
import { multiplied, scaled } from './scale';
import { growthBy, varied } from './variation';
import type { Variation } from './advice-types';
import { cacheBefore, condense } from './outcome';
import type { Note } from './placement';
import { NO_BOUND, gaveUp, replayLimits, type StallBound } from './stall-bound';
import type { Candidate, AdviceRequest, Outcome, SimulationRequest } from './types';
import type { Change } from './types';

export type Replay = (input: ReplayInput, control?: ReplayControl) => ReplayResult;

export type { Change } from './types';

/** A replayed candidate with what its explanation needs. */
export interface Evaluated {
  change: Change;
  candidate: Candidate;
  spills: Extract<ReplayEvent, { type: 'spill' }>[];
  kills: Extract<ReplayEvent, { type: 'oom_kill' }>[];
  assumptions: Note[];
  /** Of this replay alone. */
  caveats: Note[];
  /** Page cache over all nodes before the first guest. */
  cacheBeforePages: number;
  trace: Trace;
}

/** What the replays of one search may cost; without one there is no limit. */
export interface Budget {
  /** Replays that are made whatever they cost. */
  replaysMin: number;
  /** Sum of `workOf` over all replays. */
  workMax: number;
  /** Most replays, whatever they cost. */
  replaysMax?: number;
  /** Share of it, 0..1, that phases before the last ones leave for confirming in full what was found in miniature. */
  keptShare?: number;
  /** Work of what has a budget of its own beside it, each time. */
  besideWork?: number;
}

/** Counts of one search, over all its evaluators. */
class Meter {
  replays = 0;
  skipped = 0;
  work = 0;
  /** Share of the budget that the present phase may use, 0..1, and of the replays that are made whatever they cost. */
  share = 1;
  minShare = 1;
  /** Work that does not count, and up to which `work` may come while there is such. */
  workBeside = 0;
  besideMax: number | undefined;

  /** Up to which `work` may come in the present phase. */
  phaseMax({ workMax }: Budget): number {
    return workMax * this.share + this.workBeside;
  }
}

/** How many touched pages' time the simulator takes to reclaim one, and to begin and end a replay and a step. */
export const WORK_PER_RECLAIMED_PAGE = 40;
const WORK_PER_REPLAY = 2e5;
const WORK_PER_STEP_AND_NODE = 2e3;
/** Who waits scans pages that cannot go, which takes the simulator time as well. */
const WORK_PER_STALL_SECOND = 2e6;

const FRACTION_BEFORE_END = 0.99;
/** Of a request that has its changes already. */
const NO_CHANGE_VARIED: Change = { ...NO_CHANGE };

/**
 * Replays one change of a request.
 * @throws AdvisorInputError, SimulatorInputError for bad input
 */
export function evaluate(request: AdviceRequest, change: Change): Evaluated {
  return new Evaluator(request, replay, 1).evaluate(change);
}

/**
 * Replays candidates of one request: each configuration once, counted, with progress over all of them and
 * cancellation passed through.
 */
export class Evaluator {
  readonly caveats: Note[] = [];
  private readonly seen = new Map<string, Evaluated>();
  /** Changes that are in their normal form already. */
  private readonly normals = new WeakSet<Change>();
  /** Configurations whose replay was given up, and for which bound. */
  private readonly givenUp = new Map<string, StallBound>();
  private readonly seenVaried = new Map<string, Outcome>();
  /** Work of this evaluator's own replays, and how many these are. */
  private own = { work: 0, replays: 0 };
  private meter = new Meter();
  /** Sizes are divided by this. */
  private scale = 1;
  private prefix = 'c';

  constructor(
    readonly request: AdviceRequest,
    private readonly replay: Replay,
    private readonly replaysExpected: number,
    private readonly control?: ReplayControl,
    private readonly budget?: Budget,
  ) {}

  /**
   * An evaluator of the same request in miniature (scale.ts), with the same counts and budget. Its outcomes have their
   * page counts and stalls multiplied back. Itself for 1.
   */
  inMiniature(scale: number): Evaluator {
    if (scale === 1) return this;
    const small = this.of(this.request);
    small.scale = scale;
    small.prefix = 'm';
    return small;
  }

  /** An evaluator of another request with the same counts, budget and scale. */
  of(request: AdviceRequest): Evaluator {
    const { replaysExpected, control, budget } = this;
    const other = new Evaluator(request, this.replay, replaysExpected, control, budget);
    other.meter = this.meter;
    other.scale = this.scale;
    other.prefix = this.prefix;
    return other;
  }

  /** Lets the replays to come use the budget up to this share of it, 0..1. */
  limit(share: number): void {
    this.meter.share = share;
    this.meter.minShare = share;
  }

  /** The same of a phase before the last ones: of what is not kept for them. */
  limitEarly(share: number): void {
    this.meter.share = share * (1 - (this.budget?.keptShare ?? 0));
    this.meter.minShare = share;
  }

  /** Runs what may use `besideWork` where the present phase may use less; what it uses does not count for phases to come. */
  beside<T>(run: () => T): T {
    const { meter, budget } = this;
    if (budget?.besideWork === undefined) return run();
    const before = meter.work;
    meter.besideMax = Math.max(meter.phaseMax(budget), before + budget.besideWork);
    try {
      return run();
    } finally {
      meter.besideMax = undefined;
      meter.workBeside += meter.work - before;
    }
  }

  /** Configurations that were not replayed because the budget was used up. */
  get skipped(): number {
    return this.meter.skipped;
  }

  get replays(): number {
    return this.meter.replays;
  }

  /** All candidates replayed so far, in order. */
  get evaluated(): Evaluated[] {
    return [...this.seen.values()];
  }

  /** @throws ReplayCancelled when the caller's control says stop */
  evaluate(change: Change): Evaluated {
    const evaluated = this.evaluateWithin(change, NO_BOUND);
    if (evaluated === undefined) throw new Error('a replay without a bound was given up');
    return evaluated;
  }

  /** The same unless guests wait longer than this. */
  evaluateWithin(change: Change, bound: StallBound): Evaluated | undefined {
    const normal = normalise(this.request, change);
    const key = JSON.stringify(normal);
    const known = this.seen.get(key);
    if (known) return known;
    const given = this.givenUp.get(key);
    if (given && given.stallNs >= bound.stallNs && given.excessNs >= bound.excessNs) {
      return undefined;
    }
    const { input, result, candidate, assumptions, isGivenUp } = this.run(
      withChange(this.request, normal),
      normal,
      bound,
    );
    if (isGivenUp) {
      this.givenUp.set(key, bound);
      return undefined;
    }
    const evaluated: Evaluated = {
      change: normal,
      candidate,
      spills: eventsOf(result, 'spill'),
      kills: eventsOf(result, 'oom_kill'),
      assumptions,
      caveats: result.caveats,
      cacheBeforePages: cacheBefore(result) * this.scale,
      trace: traceOf(input, result),
    };
    this.seen.set(key, evaluated);
    this.normals.add(normal);
    return evaluated;
  }

  /**
   * The same unless it would be one replay too many, or guests wait too long.
   * @param bound the replay is given up once guests have waited longer than this
   */
  tryEvaluate(change: Change, bound = NO_BOUND): Evaluated | undefined {
    const known = this.known(change);
    if (known) return known;
    if (this.canReplay()) return this.evaluateWithin(change, bound);
    this.meter.skipped += 1;
    return undefined;
  }

  /** The candidate if it was replayed. */
  known(change: Change): Evaluated | undefined {
    return this.seen.get(JSON.stringify(normalise(this.request, change)));
  }

  /** Whether its replay was given up because guests waited too long. */
  wasGivenUp(change: Change): boolean {
    return this.givenUp.has(JSON.stringify(normalise(this.request, change)));
  }

  /** Whether replays of so much work, as `workOf` counts it, are within what the present phase may use. */
  affords(work: number): boolean {
    if (!this.budget) return true;
    const { meter } = this;
    return meter.work + work <= (meter.besideMax ?? meter.phaseMax(this.budget));
  }

  /** @param keep replays left for what comes after */
  canReplay(keep = 0): boolean {
    if (!this.budget) return true;
    const { replays, share, minShare } = this.meter;
    if (replays + keep >= (this.budget.replaysMax ?? Infinity) * share) return false;
    if (replays + keep < this.budget.replaysMin * minShare) return true;
    const average = this.own.work / Math.max(1, this.own.replays);
    return this.affords((keep + 1) * average);
  }

  /** A configuration with the planned guests grown, once per configuration and percent. */
  evaluateGrown(change: Change, percent: number): Outcome {
    return this.evaluateVaried(change, growthBy(percent));
  }

  /** Whether `evaluateGrown` has the answer already. */
  knowsGrown(change: Change, percent: number): boolean {
    return this.knownVaried(change, growthBy(percent)) !== undefined;
  }

  /** A configuration under a variation, once per configuration and variation, whatever the variation is called. */
  evaluateVaried(change: Change, variation: Variation): Outcome {
    const key = this.variedKey(change, variation);
    const known = this.seenVaried.get(key);
    if (known) return known;
    const request = varied(withChange(this.request, change), variation);
    const { outcome } = this.run(request, NO_CHANGE_VARIED).candidate;
    this.seenVaried.set(key, outcome);
    return outcome;
  }

  /** The outcome under a variation if it was replayed. */
  knownVaried(change: Change, variation: Variation): Outcome | undefined {
    return this.seenVaried.get(this.variedKey(change, variation));
  }

  private variedKey(change: Change, variation: Variation): string {
    const normal = this.normals.has(change) ? change : normalise(this.request, change);
    return JSON.stringify([{ ...variation, name: '' }, normal]);
  }

  private run(
    request: SimulationRequest,
    change: Change,
    bound = NO_BOUND,
  ): {
    input: ReplayInput;
    result: ReplayResult;
    candidate: Candidate;
    assumptions: Note[];
    /** It ended before the end, and sooner than every replay does. */
    isGivenUp: boolean;
  } {
    const small = scaled(request, this.scale);
    const compiled = compileReplay(small);
    const { assumptions } = compiled;
    const input = { ...compiled.input, ...replayLimits(small, bound, this.scale) };
    // Nobody compares the states of miniatures and variations.
    const hashed = this.scale === 1 && change !== NO_CHANGE_VARIED;
    const result = this.replay(
      hashed ? input : { ...input, stateHash: false },
      this.replayControl(),
    );
    const work = workOf(result);
    this.meter.replays += 1;
    this.meter.work += work;
    this.own = { work: this.own.work + work, replays: this.own.replays + 1 };
    if (this.report(0) === false) throw new ReplayCancelled(this.replays);
    this.caveats.push(...result.caveats.filter((note) => !has(this.caveats, note)));
    return {
      input,
      result,
      assumptions,
      isGivenUp: gaveUp(small, result),
      candidate: {
        id: `${this.prefix}${this.replays}`,
        ...change,
        ...(this.scale > 1 && { scale: this.scale }),
        outcome: multiplied(condense(small, result), this.scale),
      },
    };
  }

  private replayControl(): ReplayControl | undefined {
    if (!this.control?.onProgress) return undefined;
    return { onProgress: ({ fraction }) => this.report(fraction) };
  }

  private report(fraction: number): boolean | void {
    // A search that needs more replays than expected stays below the end until it is there.
    const share = Math.min((this.replays + fraction) / this.replaysExpected, FRACTION_BEFORE_END);
    const steps = Math.max(this.replaysExpected, this.replays);
    return this.control?.onProgress?.({ step: this.replays, steps, fraction: share });
  }
}

function workOf({ steps, totals }: ReplayResult): number {
  const touched = steps.reduce((sum, step) => sum + step.pagesDone, 0);
  const reclaimed =
    totals.directReclaimedPages + totals.nodeReclaimedPages + totals.kswapdReclaimedPages;
  const nodes = steps[0]?.snapshot.nodes.length ?? 1;
  return (
    WORK_PER_REPLAY +
    WORK_PER_STEP_AND_NODE * nodes * steps.length +
    touched +
    WORK_PER_RECLAIMED_PAGE * reclaimed +
    (WORK_PER_STALL_SECOND * totals.stallNs) / 1e9
  );
}

function has(notes: Note[], note: Note): boolean {
  return notes.some((other) => other.code === note.code && other.message === note.message);
}

function eventsOf<T extends ReplayEvent['type']>(
  result: ReplayResult,
  type: T,
): Extract<ReplayEvent, { type: T }>[] {
  return result.steps
    .flatMap((step) => step.events)
    .filter((event): event is Extract<ReplayEvent, { type: T }> => event.type === type);
}
