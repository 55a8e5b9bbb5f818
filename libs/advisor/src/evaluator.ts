import type { ReplayControl, ReplayEvent, ReplayInput, ReplayResult } from '@zonewise/simulator';
import { ReplayCancelled, replay } from '@zonewise/simulator';
import { NO_CHANGE, normalise, withChange } from './change';
import { compileReplay } from './compile';
import { grown } from './growth';
import type { Trace } from './evidence/trace';
import { traceOf } from './evidence/trace';
import { cacheBefore, condense } from './outcome';
import type { Note } from './placement';
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
}

/** How many touched pages' time the simulator takes to reclaim one. */
const WORK_PER_RECLAIMED_PAGE = 5;

const FRACTION_BEFORE_END = 0.99;

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
  private readonly seenGrown = new Map<string, Outcome>();
  private replayCount = 0;
  private skippedCount = 0;
  private work = 0;

  constructor(
    readonly request: AdviceRequest,
    private readonly replay: Replay,
    private readonly replaysExpected: number,
    private readonly control?: ReplayControl,
    private readonly budget?: Budget,
  ) {}

  /** Configurations that were not replayed because the budget was used up. */
  get skipped(): number {
    return this.skippedCount;
  }

  get replays(): number {
    return this.replayCount;
  }

  /** All candidates replayed so far, in order. */
  get evaluated(): Evaluated[] {
    return [...this.seen.values()];
  }

  /** @throws ReplayCancelled when the caller's control says stop */
  evaluate(change: Change): Evaluated {
    const normal = normalise(this.request, change);
    const key = JSON.stringify(normal);
    const known = this.seen.get(key);
    if (known) return known;
    const { input, result, candidate, assumptions } = this.run(
      withChange(this.request, normal),
      normal,
    );
    const evaluated: Evaluated = {
      change: normal,
      candidate,
      spills: eventsOf(result, 'spill'),
      kills: eventsOf(result, 'oom_kill'),
      assumptions,
      cacheBeforePages: cacheBefore(result),
      trace: traceOf(input, result),
    };
    this.seen.set(key, evaluated);
    return evaluated;
  }

  /**
   * The same unless it would be one replay too many.
   * @param keep replays left for what comes after
   */
  tryEvaluate(change: Change, keep = 0): Evaluated | undefined {
    const known = this.known(change);
    if (known) return known;
    if (this.canReplay(keep)) return this.evaluate(change);
    this.skippedCount += 1;
    return undefined;
  }

  /** The candidate if it was replayed. */
  known(change: Change): Evaluated | undefined {
    return this.seen.get(JSON.stringify(normalise(this.request, change)));
  }

  canReplay(keep = 0): boolean {
    if (!this.budget || this.replayCount + keep < this.budget.replaysMin) return true;
    const average = this.work / Math.max(1, this.replayCount);
    return this.work + (keep + 1) * average <= this.budget.workMax;
  }

  /** A configuration with the planned guests grown, once per configuration and percent. */
  evaluateGrown(change: Change, percent: number): Outcome {
    const key = `${percent} ${JSON.stringify(normalise(this.request, change))}`;
    const known = this.seenGrown.get(key);
    if (known) return known;
    const request = grown(withChange(this.request, change), percent);
    const { outcome } = this.run(request, NO_CHANGE).candidate;
    this.seenGrown.set(key, outcome);
    return outcome;
  }

  /** Whether `evaluateGrown` has the answer already. */
  knowsGrown(change: Change, percent: number): boolean {
    return this.seenGrown.has(`${percent} ${JSON.stringify(normalise(this.request, change))}`);
  }

  private run(
    request: SimulationRequest,
    change: Change,
  ): { input: ReplayInput; result: ReplayResult; candidate: Candidate; assumptions: Note[] } {
    const { input, assumptions } = compileReplay(request);
    const result = this.replay(input, this.replayControl());
    this.replayCount += 1;
    this.work += workOf(result);
    if (this.report(0) === false) throw new ReplayCancelled(this.replayCount);
    this.caveats.push(...result.caveats.filter((note) => !has(this.caveats, note)));
    return {
      input,
      result,
      assumptions,
      candidate: {
        id: `c${this.replayCount}`,
        ...change,
        outcome: condense(request, result),
      },
    };
  }

  private replayControl(): ReplayControl | undefined {
    if (!this.control?.onProgress) return undefined;
    return { onProgress: ({ fraction }) => this.report(fraction) };
  }

  private report(fraction: number): boolean | void {
    // A search that needs more replays than expected stays below the end until it is there.
    const share = Math.min(
      (this.replayCount + fraction) / this.replaysExpected,
      FRACTION_BEFORE_END,
    );
    const steps = Math.max(this.replaysExpected, this.replayCount);
    return this.control?.onProgress?.({ step: this.replayCount, steps, fraction: share });
  }
}

function workOf({ steps, totals }: ReplayResult): number {
  const touched = steps.reduce((sum, step) => sum + step.pagesDone, 0);
  const reclaimed =
    totals.directReclaimedPages + totals.nodeReclaimedPages + totals.kswapdReclaimedPages;
  return touched + WORK_PER_RECLAIMED_PAGE * reclaimed;
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
