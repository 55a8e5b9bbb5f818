import type {
  HostSysctls,
  ReplayControl,
  ReplayEvent,
  ReplayInput,
  ReplayResult,
} from '@zonewise/simulator';
import { ReplayCancelled } from '@zonewise/simulator';
import { compileReplay, effectiveNumatune } from './compile';
import { sameNodes } from './host-nodes';
import { cacheBefore, condense } from './outcome';
import type { Note } from './placement';
import type { Candidate, NumatuneSetting, SimulationRequest } from './types';

export type Replay = (input: ReplayInput, control?: ReplayControl) => ReplayResult;

/** What a candidate changes; absent entries stay as the request has them. */
export interface Change {
  sysctl: Partial<HostSysctls>;
  numatune: Record<string, NumatuneSetting>;
}

/** A replayed candidate with what its explanation needs. */
export interface Evaluated {
  change: Change;
  candidate: Candidate;
  spills: Extract<ReplayEvent, { type: 'spill' }>[];
  kills: Extract<ReplayEvent, { type: 'oom_kill' }>[];
  assumptions: Note[];
  /** Page cache over all nodes before the first guest. */
  cacheBeforePages: number;
}

const FRACTION_BEFORE_END = 0.99;

export const NO_CHANGE: Change = { sysctl: {}, numatune: {} };

/** The candidate's settings on top of the request's own. */
export function withChange(request: SimulationRequest, change: Change): SimulationRequest {
  return {
    ...request,
    sysctl: { ...request.sysctl, ...change.sysctl },
    numatune: { ...request.numatune, ...change.numatune },
  };
}

/** Number of settings that differ from the request. */
export function changeCount(change: Change): number {
  return Object.keys(change.sysctl).length + Object.keys(change.numatune).length;
}

/** Drops what a change repeats from the request, so that equal configurations have equal changes. */
export function normalise(request: SimulationRequest, change: Change): Change {
  const current: HostSysctls = { ...request.host.sysctl, ...request.sysctl };
  const sysctl = Object.entries(change.sysctl)
    .filter(([name, value]) => String(current[name as keyof HostSysctls]) !== String(value))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const numatune = Object.entries(change.numatune)
    .filter(([name, setting]) => !sameSetting(setting, effectiveNumatune(request, name)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return { sysctl: Object.fromEntries(sysctl), numatune: Object.fromEntries(numatune) };
}

/** The record without one of its entries. */
export function without<T extends object>(record: T, name: string): T {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name)) as T;
}

export function sameSetting(a: NumatuneSetting, b: NumatuneSetting): boolean {
  return a.mode === b.mode && (a.mode === 'none' || sameNodes(a.nodeset, b.nodeset));
}

/**
 * Replays candidates of one request: each configuration once, counted, with progress over all of them and
 * cancellation passed through.
 */
export class Evaluator {
  readonly caveats: Note[] = [];
  private readonly seen = new Map<string, Evaluated>();
  private replayCount = 0;

  constructor(
    readonly request: SimulationRequest,
    private readonly replay: Replay,
    private readonly replaysExpected: number,
    private readonly control?: ReplayControl,
  ) {}

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
    const { result, candidate, assumptions } = this.run(withChange(this.request, normal), normal);
    const evaluated: Evaluated = {
      change: normal,
      candidate,
      spills: eventsOf(result, 'spill'),
      kills: eventsOf(result, 'oom_kill'),
      assumptions,
      cacheBeforePages: cacheBefore(result),
    };
    this.seen.set(key, evaluated);
    return evaluated;
  }

  /** Replays a variant of the request that is no candidate itself (demand grown), outside the cache. */
  evaluateVariant(request: SimulationRequest): Candidate['outcome'] {
    return this.run(request, NO_CHANGE).candidate.outcome;
  }

  private run(
    request: SimulationRequest,
    change: Change,
  ): { result: ReplayResult; candidate: Candidate; assumptions: Note[] } {
    const { input, assumptions } = compileReplay(request);
    const result = this.replay(input, this.replayControl());
    this.replayCount += 1;
    if (this.report(0) === false) throw new ReplayCancelled(this.replayCount);
    this.caveats.push(...result.caveats.filter((note) => !has(this.caveats, note)));
    return {
      result,
      assumptions,
      candidate: {
        id: `c${this.replayCount}`,
        sysctl: change.sysctl,
        numatune: change.numatune,
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
