import { PAGES_PER_MIB } from '@zonewise/simulator';
import type { RecordedCase } from './case-file';
import type { Observable } from './observables';

type Range = [min: number, median: number, max: number];

/** What a whole case file says the kernel did; a stripped copy has none of it. */
interface AnsweredStep {
  n: number;
  step: { op: string; name?: string; size_mib?: number };
  observed?: Record<string, unknown>;
  oom?: { victim_pid: number; constraint: string }[];
  result?: { pid?: number; status?: string; [died: string]: unknown };
  snapshot?: {
    zoneinfo: Record<
      string,
      {
        zones: Record<
          string,
          {
            min: number;
            low: number;
            high: number;
            boost: number;
            managed: number;
            protection: number[];
          }
        >;
      }
    >;
  };
}
export type Answers = AnsweredStep[];

/** How a replay compares with the recording of the same case. */
export interface Comparison {
  /** Every mark and protection of every step equals the kernel's. */
  layoutRight: boolean;
  /** The same guests were killed in the same order in every step. */
  killsRight: boolean;
  /** Largest distance of a guest's pages on a node outside the kernel's min..max, in percent of the guest's size. */
  worstPlacementPercent: number;
  worst?: { step: number; key: string; kernel: Range; simulated: number };
}

/** The answers of a case, or null when it has been stripped of them. */
export function answersOf(recorded: RecordedCase): Answers | null {
  const steps = recorded.steps as unknown as Answers;
  return steps.some((step) => step.observed !== undefined) ? steps : null;
}

class Predictions {
  private readonly values: Map<string, Observable['simulated']>;

  constructor(observables: Observable[]) {
    this.values = new Map(observables.map((o) => [`${o.step} ${o.key}`, o.simulated]));
  }

  get(step: number, key: string): Observable['simulated'] | undefined {
    return this.values.get(`${step} ${key}`);
  }
}

function marksRight(step: AnsweredStep, predicted: Predictions): boolean {
  return Object.entries(step.snapshot?.zoneinfo ?? {}).every(([nodeId, node]) =>
    Object.entries(node.zones).every(([name, zone]) => {
      if (zone.managed === 0) return true;
      const is = (key: string, value: number) =>
        predicted.get(step.n, `zone.${nodeId}.${name}.${key}`) === value;
      return (
        is('min', zone.min - zone.boost) &&
        is('low', zone.low - zone.boost) &&
        is('high', zone.high - zone.boost) &&
        zone.protection.every((pages, index) => is(`protection.${index}`, pages))
      );
    }),
  );
}

/** Keeps the books of who lives, as the recording tells it. */
class Recording {
  private readonly nameOfPid = new Map<number, string>();
  private readonly sizeOf = new Map<string, number>();
  readonly living = new Set<string>();

  start({ step, result }: AnsweredStep): void {
    if (result?.pid === undefined || step.name === undefined) return;
    this.nameOfPid.set(result.pid, step.name);
    if (step.op !== 'guest') return;
    this.living.add(step.name);
    this.sizeOf.set(step.name, (step.size_mib ?? 0) * PAGES_PER_MIB);
  }

  end({ step, result }: AnsweredStep): void {
    for (const key of Object.keys(result ?? {})) {
      if (key.startsWith('died_')) this.living.delete(key.slice('died_'.length));
    }
    const killed = result?.status === 'killed' || result?.status === 'sigbus';
    if ((step.op === 'kill' || killed) && step.name !== undefined) this.living.delete(step.name);
  }

  victims({ oom = [] }: AnsweredStep): string[] {
    return oom.map((report) => this.nameOfPid.get(report.victim_pid) ?? 'other');
  }

  sizePages(guest: string): number {
    return this.sizeOf.get(guest) ?? 0;
  }
}

function outside(simulated: number, [min, , max]: Range): number {
  return Math.max(min - simulated, simulated - max, 0);
}

/** Compares a replay with the recording; the tolerances of a score are not applied here. */
export function compare(answers: Answers, observables: Observable[]): Comparison {
  const predicted = new Predictions(observables);
  const recording = new Recording();
  const comparison: Comparison = { layoutRight: true, killsRight: true, worstPlacementPercent: 0 };
  for (const step of answers) {
    recording.start(step);
    if (step.n > 0) {
      comparison.layoutRight &&= marksRight(step, predicted);
      const victims = (predicted.get(step.n, 'oom_victims') ?? []) as string[];
      comparison.killsRight &&= victims.join() === recording.victims(step).join();
    }
    recording.end(step);
    for (const guest of recording.living) {
      for (const nodeId of Object.keys(step.snapshot?.zoneinfo ?? {})) {
        const key = `guest.${guest}.node${nodeId}`;
        const kernel = (step.observed?.[key] ?? [0, 0, 0]) as Range;
        const simulated = Number(predicted.get(step.n, key) ?? 0);
        const percent =
          (100 * outside(simulated, kernel)) / Math.max(recording.sizePages(guest), 1);
        if (percent <= comparison.worstPlacementPercent) continue;
        comparison.worstPlacementPercent = percent;
        comparison.worst = { step: step.n, key, kernel, simulated };
      }
    }
  }
  return comparison;
}
