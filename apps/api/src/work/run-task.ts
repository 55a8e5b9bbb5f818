/** A task's computation, free of threads: what a worker does and what tests may call directly. */
import { advise, AdvisorInputError, simulate } from '@zonewise/advisor';
import { InvariantError, SimulatorInputError } from '@zonewise/simulator';
import type { AdviceControl, RecommendationContent } from '@zonewise/advisor';
import type { ReplayControl } from '@zonewise/simulator';
import {
  adviceFiles,
  headroom,
  inThreads,
  judging,
  placing,
  type OnHost,
  type Replaying,
} from '@zonewise/plan';
import { replayThreads } from '@zonewise/replay-threads';
import type { Advice, WorkError, WorkOutcome, WorkProgress, WorkTask } from './tasks';

function describeError(error: unknown): WorkError {
  if (error instanceof SimulatorInputError || error instanceof AdvisorInputError) {
    const { code, path, message } = error;
    return { kind: 'input', code, path, message };
  }
  if (error instanceof InvariantError) {
    return { kind: 'internal', code: 'invariant-broken', message: error.message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'internal', code: 'worker-failed', message };
}

/** Progress in steps of at least a hundredth, so that a fast replay does not flood the port. */
function throttled(
  report: (progress: WorkProgress, at: { step: number; steps: number }) => void,
): ReplayControl {
  let last = 0;
  return {
    onProgress: ({ fraction, step, steps }) => {
      if (fraction < last + 0.01 && fraction < 1) return;
      if (fraction <= last) return;
      last = fraction;
      report({ fraction, message: `step ${step} of ${steps}` }, { step, steps });
    },
  };
}

/** Progress in replays, and since which of them there is an answer that is better than today's setting. */
function adviceControl(report: (progress: WorkProgress) => void): AdviceControl {
  let since: number | undefined;
  const control = throttled(({ fraction }, { step, steps }) => {
    const better = since === undefined ? '' : `; better than today's setting since replay ${since}`;
    report({ fraction, message: `replay ${step} of about ${steps}${better}` });
  });
  return {
    ...control,
    onAnswer: ({ replays }) => {
      since ??= replays;
    },
  };
}

/** Work on many hosts, which are replayed in threads of their own; they end with this one. */
async function onHosts<T>(
  work: Replaying<T>,
  threads: number,
  report: (progress: WorkProgress) => void,
): Promise<T> {
  let last = 0;
  const onHost: OnHost = (name, done, hosts) => {
    // Later rounds replay few hosts again: progress does not fall.
    last = Math.max(last, done / hosts);
    report({ fraction: last, message: `${name}: ${done} of ${hosts} hosts replayed` });
  };
  const pool = replayThreads(threads);
  try {
    return await inThreads(work, pool.run, onHost);
  } finally {
    await pool.close();
  }
}

async function compute(
  task: WorkTask,
  report: (progress: WorkProgress) => void,
  threads: number,
): Promise<WorkOutcome> {
  const control = throttled((progress) => {
    report(progress);
  });
  switch (task.kind) {
    case 'simulation':
      return { ok: true, value: simulate(task.request, control) };
    case 'recommendation': {
      const { exclusive, ...best } = advise(task.request, adviceControl(report));
      const withFiles = (content: RecommendationContent): Advice => ({
        content,
        files: adviceFiles(content, task.documents, task.request.host),
      });
      return {
        ok: true,
        value: { advice: withFiles(best), alternatives: exclusive.map(withFiles) },
      };
    }
    case 'headroom': {
      const outcome = headroom(task.request, task.ask);
      if (outcome.ok) return outcome;
      const message = outcome.problems[0]?.message ?? 'The flavours do not fit the host.';
      const error: WorkError = { kind: 'input', code: 'flavour-unplaceable', message };
      return { ok: false, error: { ...error, problems: outcome.problems } };
    }
    case 'plan': {
      const judged = await onHosts(judging(task.document, task.options), threads, report);
      if (judged.ok) return judged;
      const message = 'The plan cannot be judged.';
      const error: WorkError = { kind: 'input', code: 'plan-unreadable', message };
      return { ok: false, error: { ...error, problems: judged.problems } };
    }
    case 'placement': {
      const placed = await onHosts(placing(task.document), threads, report);
      if (placed.ok) return placed;
      const message = 'The placement cannot be worked out as asked.';
      const error: WorkError = { kind: 'input', code: 'placement-unreadable', message };
      return { ok: false, error: { ...error, problems: placed.problems } };
    }
  }
}

/**
 * Runs a task to its end. Never throws: what goes wrong is in the outcome.
 * @param threads that the hosts of a plan or a placement may be replayed in; the outcome does not depend on it
 */
export async function runTask(
  task: WorkTask,
  report: (progress: WorkProgress) => void,
  threads = 1,
): Promise<WorkOutcome> {
  try {
    return await compute(task, report, threads);
  } catch (error) {
    return { ok: false, error: describeError(error) };
  }
}
