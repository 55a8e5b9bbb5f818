/** Tables that people know, made from a replay's result. Pure. */
import type { ReplayResult } from '@zonewise/advisor';
import type { ReplayEvent, Snapshot } from '@zonewise/simulator';

/** The state after the last step. */
export function lastSnapshot(result: ReplayResult): Snapshot {
  return result.steps.at(-1)?.snapshot ?? result.initial;
}

/** One row per populated zone, in the order of /proc/zoneinfo. */
export function zoneTable(snapshot: Snapshot) {
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
export function numastatTable(snapshot: Snapshot) {
  return snapshot.nodes.map(({ nodeId, numastat }) => ({ nodeId, ...numastat }));
}

/** `sar -B` columns per step, pages per second of virtual time. */
export function rateTable(result: ReplayResult) {
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
export function eventList(result: ReplayResult): StepEvent[] {
  return result.steps.flatMap(({ n, events }) => events.map((event) => ({ ...event, step: n })));
}
