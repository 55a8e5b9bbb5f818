import { extfragIndex, kernelProfiles } from '@zonewise/simulator';
import type {
  NodeSnapshot,
  Numastat,
  ReplayResult,
  Snapshot,
  StepResult,
} from '@zonewise/simulator';

/** One predicted value under the key that the recordings use for it. */
export interface Observable {
  step: number;
  key: string;
  simulated: number | string | boolean | string[] | null;
}

type Values = Map<string, Observable['simulated']>;

const KIB_PER_PAGE = 4;
const BYTES_PER_PAGE = 4096;
const KIB_PER_HUGE_PAGE = 2048;
/** Length of the kernel's `protection` array: zone types up to Device. */
const PROTECTION_ENTRIES = 5;

const NUMASTAT_KEYS: [keyof Numastat, string][] = [
  ['numaHit', 'numa_hit'],
  ['numaMiss', 'numa_miss'],
  ['numaForeign', 'numa_foreign'],
  ['interleaveHit', 'interleave_hit'],
  ['localNode', 'local_node'],
  ['otherNode', 'other_node'],
];

/** @param printsBoost the kernel names a zone's boost; else it only shows in the marks */
function addZones(values: Values, node: NodeSnapshot, printsBoost: boolean): void {
  for (const zone of node.zones) {
    const key = (name: string) => `zone.${node.nodeId}.${zone.name}.${name}`;
    const hiddenPages = printsBoost ? 0 : zone.boostPages;
    values.set(key('min'), zone.minPages + hiddenPages);
    values.set(key('low'), zone.lowPages + hiddenPages);
    values.set(key('high'), zone.highPages + hiddenPages);
    // The recordings name the size of the first CPU's lists.
    values.set(key('pcp_high'), zone.pagesets[0]?.highPages ?? zone.pcpHighPages);
    values.set(key('pcp_batch'), zone.pcpBatchPages);
    values.set(key('free_pcp'), zone.freePages + zone.pcpPages);
    values.set(key('boost'), zone.boostPages - hiddenPages);
    values.set(`extfrag.${node.nodeId}.${zone.name}.order9`, extfragIndex(zone.freeBlocks, 9));
    // Device holds no pages, so its entry repeats the one before.
    for (let index = 0; index < PROTECTION_ENTRIES; index += 1) {
      const pages = zone.protectionPages[index] ?? zone.protectionPages.at(-1) ?? 0;
      values.set(key(`protection.${index}`), pages);
    }
  }
}

function addLevels(values: Values, node: NodeSnapshot): void {
  const levels: Record<string, number> = {
    nr_inactive_anon: node.lru.inactiveAnonPages,
    nr_active_anon: node.lru.activeAnonPages,
    nr_inactive_file: node.lru.inactiveFilePages,
    nr_active_file: node.lru.activeFilePages,
    nr_file_pages: node.filePages,
    nr_anon_pages: node.anonPages,
    nr_dirty: node.dirtyPages,
    nr_anon_transparent_hugepages: node.anonTransparentHugepages,
  };
  for (const [name, value] of Object.entries(levels)) {
    values.set(`node.${node.nodeId}.${name}`, value);
  }
}

function addGuests(values: Values, snapshot: Snapshot): void {
  for (const guest of snapshot.guests) {
    values.set(`alive.${guest.name}`, guest.alive);
    if (!guest.alive) continue;
    for (const { nodeId } of snapshot.nodes) {
      const on = guest.pagesByNode.find((entry) => entry.nodeId === nodeId);
      values.set(`guest.${guest.name}.node${nodeId}`, on?.pages ?? 0);
    }
    values.set(`guest.${guest.name}.anon_huge_kib`, guest.hugePages * KIB_PER_HUGE_PAGE);
    values.set(`guest.${guest.name}.swap_kib`, guest.swapPages * KIB_PER_PAGE);
  }
}

function addGroups(values: Values, snapshot: Snapshot): void {
  for (const { name, currentPages, events } of snapshot.groups ?? []) {
    values.set(`cgroup.${name}.current`, currentPages * BYTES_PER_PAGE);
    const counts = {
      high: events.high,
      max: events.max,
      oom: events.oom,
      oom_kill: events.oomKill,
    };
    for (const [event, count] of Object.entries(counts)) {
      if (count > 0) values.set(`cgroup.${name}.events.${event}`, count);
    }
  }
}

/** Counters are compared as differences from the previous step. */
function addCounters(values: Values, before: Snapshot, after: Snapshot): void {
  for (const [name, count] of Object.entries(after.vmstat)) {
    const difference = count - (before.vmstat[name] ?? 0);
    if (difference !== 0) values.set(`d.vmstat.${name}`, difference);
  }
  for (const node of after.nodes) {
    const previous = before.nodes.find((other) => other.nodeId === node.nodeId);
    for (const [field, name] of NUMASTAT_KEYS) {
      const difference = node.numastat[field] - (previous?.numastat[field] ?? 0);
      if (difference !== 0) values.set(`d.numastat.${node.nodeId}.${name}`, difference);
    }
  }
}

function addOom(values: Values, step: StepResult, guests: Set<string>): void {
  const kills = step.events.filter((event) => event.type === 'oom_kill');
  const victims = kills.map(({ victim }) => (guests.has(victim) ? victim : 'other'));
  values.set('oom_victims', victims);
  values.set('oom_constraint', kills[0]?.constraint ?? null);
}

/** Everything that the model predicts for one case, step by step, in the recordings' keys. */
export function observables(result: ReplayResult): Observable[] {
  const all: Observable[] = result.fallbackOrder.map(({ nodeId, order }) => ({
    step: 0,
    key: `fallback.${nodeId}`,
    simulated: order.join(' '),
  }));
  const collect = (step: number, values: Values) => {
    for (const [key, simulated] of values) all.push({ step, key, simulated });
  };
  const { printsBoost } = kernelProfiles[result.profile.kernel];
  let before = result.initial;
  result.steps.forEach((step, index) => {
    const values: Values = new Map();
    for (const node of step.snapshot.nodes) {
      addZones(values, node, printsBoost);
      addLevels(values, node);
    }
    addGuests(values, step.snapshot);
    addGroups(values, step.snapshot);
    addCounters(values, before, step.snapshot);
    addOom(values, step, new Set(step.snapshot.guests.map((guest) => guest.name)));
    if (step.obtained !== undefined) values.set('obtained', step.obtained);
    values.set('swap_used_kib', step.snapshot.swapUsedPages * KIB_PER_PAGE);
    collect(index + 1, values);
    before = step.snapshot;
  });
  return all;
}
