import { placedGuest } from '../compile';
import { withChange } from '../change';
import type { Change, Evaluated } from '../evaluator';
import { settingText } from '../explain';
import { nodeUnion } from '../host-nodes';
import { guestCpuNodes } from '../placement';
import type { Outcome, SimulationRequest } from '../types';
import { causesOf, type Cause, type Wanted } from './causes';
import type { Counters, TracePoint } from './trace';

/** A replay as evidence: what it counted, how the host went from step to step, and why. */
export interface ReplayEvidence {
  /** Kernel settings that were in force, hash of the final state. */
  stateHash: string;
  counters: Counters;
  series: TracePoint[];
  /** Steps without a point of their own, where a plan has more than a chart can show. */
  pointsLeftOut: number;
  causes: Cause[];
  causesLeftOut: number;
}

/** The replay of a configuration as evidence. */
export function replayEvidence(request: SimulationRequest, replayed: Evaluated): ReplayEvidence {
  const { trace, change, candidate } = replayed;
  const wanted = wantedNodes(request, change, candidate.outcome);
  const { causes, leftOut } = causesOf(trace, request.host, wanted);
  return {
    stateHash: candidate.outcome.stateHash,
    counters: trace.counters,
    series: trace.points,
    pointsLeftOut: trace.leftOut,
    causes,
    causesLeftOut: leftOut,
  };
}

/** The nodes that a guest's settings name, or those of its CPUs where they name none; by guest name. */
function wantedNodes(
  request: SimulationRequest,
  change: Change,
  { guests }: Outcome,
): Map<string, Wanted> {
  const changed = withChange(request, change);
  return new Map(
    guests.map(({ name, mode, nodeset }) => {
      const { regions, ...guest } = placedGuest(changed, name);
      const named = nodeUnion(...regions.map((region) => region.policy.nodes));
      const nodes = named.length > 0 ? named : guestCpuNodes({ ...guest, regions });
      const wanted: Wanted = {
        nodes,
        cpuNodes: new Map(regions.map(({ cell, cpuNodes }) => [cell, cpuNodes])),
        setting: mode === 'none' ? 'its memory policy' : settingText({ mode, nodeset }),
        isFixed: regions.every(
          ({ policy, cpuNodes }) =>
            policy.mode === 'interleave' || !policy.nodes.some((node) => cpuNodes.includes(node)),
        ),
      };
      return [name, wanted];
    }),
  );
}
