import type { RecordedCase } from './case-file';
import { COUNTED, toleranceOf, type NodeSizes } from './tolerances';

/** Smallest, median and largest value over the boots of a case. */
export type Range = [min: number, median: number, max: number];
/** What the kernel did: a range, or what every boot agreed on. */
export type Answer = Range | string | boolean | string[] | null;

interface AnsweredZone {
  min: number;
  low: number;
  high: number;
  boost?: number;
  managed?: number;
  protection?: number[];
  pagesets?: { high: number; batch: number }[];
}

/** What a whole case file says the kernel did; a stripped copy has none of it. */
export interface AnsweredStep {
  n: number;
  step: { op: string; name?: string };
  observed?: Record<string, Range | string | null>;
  oom?: { victim_pid?: number }[];
  result?: { pid?: number; status?: string; [died: string]: unknown };
  snapshot?: { zoneinfo?: Record<string, { zones: Record<string, AnsweredZone> }> };
}

/** The answers of a case, or null when it has been stripped of them. */
export function answersOf(recorded: RecordedCase): AnsweredStep[] | null {
  const steps = recorded.steps as unknown as AnsweredStep[];
  return steps.some((step) => step.observed !== undefined) ? steps : null;
}

/** Managed pages of every node after boot. */
export function nodeSizes(steps: AnsweredStep[]): NodeSizes {
  const pagesOf = new Map(
    Object.entries(steps[0]?.snapshot?.zoneinfo ?? {}).map(([nodeId, { zones }]) => [
      nodeId,
      Object.values(zones).reduce((sum, { managed = 0 }) => sum + managed, 0),
    ]),
  );
  return { pagesOf, largestPages: Math.max(0, ...pagesOf.values()) };
}

export function isRange(answer: Answer | undefined): answer is Range {
  return Array.isArray(answer) && answer.length === 3 && answer.every((v) => typeof v === 'number');
}

const same = (value: number): Range => [value, value, value];
const rangeOf = (value: Range | string | null | undefined): Range =>
  Array.isArray(value) ? value : [0, 0, 0];

/** Who has been started and who still lives, as the recording tells it. */
class Processes {
  private readonly nameOfPid = new Map<number, string>();
  readonly guests = new Set<string>();
  readonly living = new Set<string>();

  follow({ step, result = {} }: AnsweredStep): void {
    if (result.pid !== undefined && step.name !== undefined) {
      this.nameOfPid.set(result.pid, step.name);
      if (step.op === 'guest') {
        this.guests.add(step.name);
        this.living.add(step.name);
      }
    }
    for (const key of Object.keys(result)) {
      if (key.startsWith('died_')) this.living.delete(key.slice('died_'.length));
    }
    const killed = result.status === 'killed' || result.status === 'sigbus';
    if ((step.op === 'kill' || killed) && step.name !== undefined) this.living.delete(step.name);
  }

  name(pid: number | undefined): string {
    return (pid === undefined ? undefined : this.nameOfPid.get(pid)) ?? 'other';
  }
}

/** Zonelist order per node from the boot messages. */
function fallbackOrders(log: string[]): [key: string, order: string][] {
  return log.flatMap((line): [string, string][] => {
    const match = /Fallback order for Node (\d+): ([\d ]+)/.exec(line);
    return match === null ? [] : [[`fallback.${match[1]}`, match[2]!.trim()]];
  });
}

type Expected = Map<string, Answer>;

/** Marks are compared without boost, free pages together with the per-CPU lists: where they wait is pace. */
function addZones(expected: Expected, { observed = {}, snapshot = {} }: AnsweredStep): void {
  for (const [nodeId, { zones }] of Object.entries(snapshot.zoneinfo ?? {})) {
    for (const [name, zone] of Object.entries(zones)) {
      if (!zone.managed) continue;
      const prefix = `zone.${nodeId}.${name}.`;
      const boost = zone.boost ?? 0;
      for (const mark of ['min', 'low', 'high'] as const) {
        expected.set(prefix + mark, same(zone[mark] - boost));
      }
      (zone.protection ?? []).forEach((pages, index) =>
        expected.set(`${prefix}protection.${index}`, same(pages)),
      );
      const pageset = zone.pagesets?.[0];
      if (pageset !== undefined) {
        expected.set(`${prefix}pcp_high`, same(pageset.high));
        expected.set(`${prefix}pcp_batch`, same(pageset.batch));
      }
      const free = rangeOf(observed[`${prefix}free`]);
      const pcp = rangeOf(observed[`${prefix}pcp`]);
      expected.set(`${prefix}free_pcp`, [free[0] + pcp[0], free[1] + pcp[1], free[2] + pcp[2]]);
      expected.set(`${prefix}boost`, rangeOf(observed[`${prefix}boost`]));
    }
  }
}

function addKills(expected: Expected, entry: AnsweredStep, processes: Processes): void {
  const victims = (entry.oom ?? []).map(({ victim_pid: pid }) => processes.name(pid));
  const constraint = entry.observed?.oom_constraint;
  expected.set('oom_victims', victims);
  expected.set('oom_constraint', typeof constraint === 'string' ? constraint : null);
}

function addGuests(expected: Expected, entry: AnsweredStep, processes: Processes): void {
  const { observed = {}, snapshot = {} } = entry;
  for (const guest of processes.guests) {
    expected.set(`alive.${guest}`, processes.living.has(guest));
  }
  for (const guest of processes.living) {
    const keys = Object.keys(snapshot.zoneinfo ?? {}).map((nodeId) => `node${nodeId}`);
    for (const key of [...keys, 'anon_huge_kib', 'swap_kib']) {
      expected.set(`guest.${guest}.${key}`, rangeOf(observed[`guest.${guest}.${key}`]));
    }
  }
}

/** Levels of nodes, swap and cgroups that the case shows anywhere; one that a step leaves out is zero there. */
function sharedLevels(steps: AnsweredStep[]): string[] {
  const keys = steps.flatMap(({ observed = {} }) => Object.keys(observed));
  return [...new Set(keys)].filter(
    (key) => toleranceOf(key).kind === 'levels' && !/^(guest|zone)\./.test(key),
  );
}

/**
 * What a replay of a case must predict: for each of its steps (step 0 is the state after boot) the recorded values
 * by key.
 */
export function expectedOf(steps: AnsweredStep[], bootLog: string[]): Expected[] {
  const processes = new Processes();
  const levels = sharedLevels(steps);
  return steps.map((entry) => {
    const { observed = {} } = entry;
    const expected: Expected = new Map(entry.n === 0 ? fallbackOrders(bootLog) : []);
    addZones(expected, entry);
    processes.follow(entry);
    addKills(expected, entry, processes);
    addGuests(expected, entry, processes);
    if (observed.obtained !== undefined) expected.set('obtained', rangeOf(observed.obtained));
    for (const key of levels) expected.set(key, rangeOf(observed[key]));
    for (const [key, value] of Object.entries(observed)) {
      if (COUNTED.has(toleranceOf(key).kind)) expected.set(key, rangeOf(value));
    }
    return expected;
  });
}
