import { PAGES_PER_MIB } from '@zonewise/simulator';
import { lostNames } from '../losses';
import { scoreOf } from '../objective';
import type { Outcome } from '../types';

export type ImpactMeasure =
  | 'guests-killed'
  | 'swapped-out'
  | 'stall'
  | 'remote-memory'
  | 'remote-cost'
  | 'headroom'
  | 'largest-room'
  | 'page-cache-lost';

/** What a recommendation changes, with the figures of both replays in one unit. */
export interface Impact {
  category: 'RELIABILITY' | 'PERFORMANCE' | 'CAPACITY';
  measure: ImpactMeasure;
  /** `ratio`: distance to memory over the distance to local memory, minus 1. */
  unit: 'guests' | 'MiB' | 'ms' | 'percent' | 'ratio';
  before: number;
  after: number;
  description: string;
}

interface Measure {
  category: Impact['category'];
  unit: Impact['unit'];
  label: string;
  value: (outcome: Outcome) => number;
}

const mib = (pages: number): number => rounded(pages / PAGES_PER_MIB);
const rounded = (value: number): number => Math.round(value * 1000) / 1000;

const MEASURES: Record<ImpactMeasure, Measure> = {
  'guests-killed': {
    ...{ category: 'RELIABILITY', unit: 'guests', label: 'Guests killed or not started' },
    value: (outcome) => lostNames(outcome).length,
  },
  'swapped-out': {
    ...{ category: 'PERFORMANCE', unit: 'MiB', label: 'Memory swapped out' },
    value: (outcome) => mib(outcome.swappedOutPages),
  },
  stall: {
    ...{ category: 'PERFORMANCE', unit: 'ms', label: 'Waiting for reclaim' },
    value: (outcome) => rounded(outcome.stallNs / 1e6),
  },
  'remote-memory': {
    ...{ category: 'PERFORMANCE', unit: 'percent', label: 'Remote guest memory' },
    value: (outcome) => rounded(outcome.remoteShare * 100),
  },
  'remote-cost': {
    ...{ category: 'PERFORMANCE', unit: 'ratio', label: 'Distance to memory beyond local' },
    value: (outcome) => rounded(outcome.remoteCost),
  },
  headroom: {
    ...{ category: 'CAPACITY', unit: 'percent', label: 'Room on the fullest node' },
    value: (outcome) => rounded(outcome.headroomShare * 100),
  },
  'largest-room': {
    ...{ category: 'CAPACITY', unit: 'percent', label: 'Memory of the host left on one node' },
    value: (outcome) => rounded((1 - scoreOf(outcome).room) * 100),
  },
  'page-cache-lost': {
    ...{ category: 'PERFORMANCE', unit: 'MiB', label: 'Page cache lost' },
    value: (outcome) => mib(outcome.cacheLostPages),
  },
};

/** One measure of both outcomes. */
export function impactOf(measure: ImpactMeasure, before: Outcome, after: Outcome): Impact {
  const { category, unit, label, value } = MEASURES[measure];
  const [then, now] = [value(before), value(after)];
  const text =
    then === now
      ? `stays at ${amount(now, unit)}`
      : `${amount(then, unit)} -> ${amount(now, unit)}`;
  return { category, measure, unit, before: then, after: now, description: `${label}: ${text}.` };
}

/** Every measure that changes, but for the primary one and the room in one place, which is only looked at where it decides. */
export function otherImpacts(primary: ImpactMeasure, before: Outcome, after: Outcome): Impact[] {
  return (Object.keys(MEASURES) as ImpactMeasure[])
    .filter((measure) => measure !== primary && measure !== 'largest-room')
    .map((measure) => impactOf(measure, before, after))
    .filter((impact) => impact.before !== impact.after);
}

function amount(value: number, unit: Impact['unit']): string {
  if (unit === 'ratio') return String(value);
  return unit === 'percent' ? `${value} %` : `${value} ${unit}`;
}
