/** The replay: steps in, snapshots, events and a state hash out. */
import { ReplayCancelled } from './errors';
import { buildKernel } from './kernel';
import { caveat, isStalled, type KernelState } from './kernel-state';
import { finishKcompactds } from './kcompactd';
import { finishKswapd, SCHEDULE_RULE } from './kswapd';
import { isReplayedKernel, replayedKernelCaveat, unmodelledCaveat } from './replayed-kernel';
import { takeSnapshot } from './snapshot';
import { stateHash } from './state-hash';
import { runStep } from './steps';
import type { ReplayControl, ReplayInput, ReplayResult, Snapshot, StepResult } from './types';
import { checkInput } from './validate-input';
import { verify } from './verify';
import { refreshVmstat } from './vmstat-work';

/** Between a step's end and the reading of the state. */
const STEP_END_NS = 30_000_000;

/**
 * Replays guests' memory demand through the page allocator of the host.
 * @throws SimulatorInputError when the input cannot be replayed
 * @throws ReplayCancelled when `control.onProgress` returns false
 * @throws InvariantError when the simulator contradicts itself (our fault)
 */
export function replay(input: ReplayInput, control: ReplayControl = {}): ReplayResult {
  checkInput(input);
  const k = buildKernel(input);
  baseCaveats(k);
  const kernelCaveat = replayedKernelCaveat(input.host);
  if (kernelCaveat !== undefined) caveat(k, 'kernel-not-validated', kernelCaveat);
  const unmodelled = unmodelledCaveat(input.host);
  if (unmodelled !== undefined) caveat(k, 'kernel-unmodelled', unmodelled);
  const initial = takeSnapshot(k);
  if (input.verify) verify(k, 0);
  const steps: StepResult[] = [];
  let before = initial;
  for (const i of input.steps.keys()) {
    const report = (part: number): void => {
      const progress = {
        step: i + 1,
        steps: input.steps.length,
        fraction: (i + Math.min(part, 1)) / input.steps.length,
      };
      if (control.onProgress?.(progress) === false) throw new ReplayCancelled(i + 1);
    };
    const result = oneStep(k, input, i, before, report);
    if (input.verify) verify(k, i + 1);
    before = result.snapshot;
    steps.push(result);
    report(1);
    if (result.status === 'stalled') break;
  }
  return {
    profile: {
      kernel: input.host.kernelProfile,
      validated: isReplayedKernel(input.host),
      hardware: k.hardware.name,
      scheduleRule: SCHEDULE_RULE,
    },
    seed: input.seed,
    fallbackOrder: k.fallbackOrder,
    initial,
    steps,
    totals: { ...k.totals },
    caveats: [...k.caveats].map(([code, message]) => ({ code, message })),
    stateHash: input.stateHash === false ? '' : stateHash(k),
  };
}

function oneStep(
  k: KernelState,
  input: ReplayInput,
  index: number,
  before: Snapshot,
  report: (part: number) => void,
): StepResult {
  const step = input.steps[index]!;
  k.events = [];
  const startNs = k.timeNs;
  const outcome = runStep(k, step, report);
  const durationNs = k.timeNs - startNs;
  finishKswapd(k, STEP_END_NS);
  finishKcompactds(k);
  if (input.statRefresh) refreshVmstat(k);
  return {
    n: index + 1,
    op: step.op,
    ...(step.label !== undefined && { label: step.label }),
    status: isStalled(k) ? 'stalled' : outcome.status,
    pagesDone: outcome.pagesDone,
    ...(outcome.obtained !== undefined && { obtained: outcome.obtained }),
    durationNs,
    snapshot: takeSnapshot(k, before),
    events: k.events,
  };
}

/** What holds for every result of this stage. */
function baseCaveats(k: KernelState): void {
  caveat(
    k,
    'pace-not-validated',
    'times follow the hardware profile and the schedule rule; they are modelled, not measured. On pace depend: seconds and stalls; how reclaim divides between kswapd and direct reclaim; once a kswapd is awake, which of several nodes near or below their marks serves a page; how much is swapped while kswapd and the allocating task race; how much dirty cache is still unwritten, and with it what node reclaim finds; at which moment kcompactd looks at a node, and with it how scattered free memory is and which huge page faults find a block. While no kswapd runs and no cache is dirty, placement does not depend on pace, but for a batch of pages on per-CPU lists',
  );
}
