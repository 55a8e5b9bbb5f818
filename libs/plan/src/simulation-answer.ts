/** What a simulation answers, over HTTP and on the command line: a replay with the tables that people know. Pure. */
import type { ReplayResult, Simulation } from '@zonewise/advisor';
import type { ReplayEvent, Snapshot } from '@zonewise/simulator';

/** The state after the last step. */
function lastSnapshot(result: ReplayResult): Snapshot {
  return result.steps.at(-1)?.snapshot ?? result.initial;
}

/** One row per populated zone, in the order of /proc/zoneinfo. */
function zoneTable(snapshot: Snapshot) {
  return snapshot.nodes.flatMap(({ nodeId, zones }) =>
    zones.map((zone) => ({
      nodeId,
      zone: zone.name,
      managedPages: zone.managedPages,
      freePages: zone.freePages,
      minPages: zone.minPages,
      lowPages: zone.lowPages,
      highPages: zone.highPages,
      boostPages: zone.boostPages,
      protectionPages: zone.protectionPages,
      pcpPages: zone.pcpPages,
    })),
  );
}

/** numastat per node since the start of the replay. */
function numastatTable(snapshot: Snapshot) {
  return snapshot.nodes.map(({ nodeId, numastat }) => ({ nodeId, ...numastat }));
}

/** `sar -B` columns per step, pages per second of virtual time. */
function rateTable(result: ReplayResult) {
  return result.steps.map(({ n, op, label, durationNs, snapshot }) => ({
    step: n,
    op,
    label: label ?? null,
    durationNs,
    ...snapshot.rates,
  }));
}

export type StepEvent = ReplayEvent & { step: number };

/** All events in their order, each with its step. */
function eventList(result: ReplayResult): StepEvent[] {
  return result.steps.flatMap(({ n, events }) => events.map((event) => ({ ...event, step: n })));
}

/**
 * The answer to a simulation. Sizes are in pages, times in virtual nanoseconds, rates per virtual second.
 * @returns outcome and assumptions, profile and hash of the state, tables after the last step, all events with
 *   their steps, and the steps themselves
 */
export function simulationAnswer({
  result,
  outcome,
  assumptions,
}: Pick<Simulation, 'result' | 'outcome' | 'assumptions'>) {
  const last = lastSnapshot(result);
  return {
    outcome,
    assumptions,
    profile: result.profile,
    stateHash: result.stateHash,
    fallbackOrder: result.fallbackOrder,
    zoneTable: zoneTable(last),
    numastat: numastatTable(last),
    vmstat: last.vmstat,
    rates: rateTable(result),
    events: eventList(result),
    totals: result.totals,
    caveats: result.caveats,
    initial: result.initial,
    steps: result.steps,
  };
}
