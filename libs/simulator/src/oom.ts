/** The OOM killer: constraint, candidates, badness. */
import { MIGRATE_MOVABLE } from './buddy';
import { ZONE_MOVABLE } from './constants';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import type { MemoryGroup } from './memcg';
import { dumpHeader, type OomConstraintOfHost, type OomControl, type OomKill } from './oom-dump';
import type { KilledForZone } from './replay-events';
import type { OomConstraint } from './types';
import { ALLOC_MIN_RESERVE, neededPages } from './watermark';
import type { Zone } from './zone';

/** Kills of a replay that are reported in full; a guest that dies again and again says nothing new. */
const FULL_REPORTS = 20;

function memoryNodes(k: KernelState): number[] {
  return k.nodes.filter((node) => node.zones.length > 0).map((node) => node.id);
}

/** @kernel mm/oom_kill.c constrained_alloc() @returns the constraint and the pages it is measured against */
export function constrainedAlloc(
  k: KernelState,
  oc: OomControl,
): { constraint: OomConstraintOfHost; totalPages: number } {
  const presentOf = (allowed: (id: number) => boolean): number =>
    k.nodes
      .filter((node) => allowed(node.id))
      .reduce((sum, node) => sum + node.zones.reduce((s, zone) => s + zone.present, 0), 0);
  const swap = k.swap.totalPages;
  const { nodemask, cpusetMems } = oc;
  if (nodemask && memoryNodes(k).some((id) => !nodemask.has(id))) {
    return {
      constraint: 'CONSTRAINT_MEMORY_POLICY',
      totalPages: swap + presentOf((id) => nodemask.has(id)),
    };
  }
  if (cpusetMems && memoryNodes(k).some((id) => !cpusetMems.has(id))) {
    return {
      constraint: 'CONSTRAINT_CPUSET',
      totalPages: swap + presentOf((id) => cpusetMems.has(id)),
    };
  }
  return { constraint: 'CONSTRAINT_NONE', totalPages: swap + presentOf(() => true) };
}

/**
 * Could the process's death help? Where a policy limits the request its task policy decides, and only BIND away from
 * the nodes exempts it. Else one thread is enough whose cpuset shares a node with that of the thread that asks, so
 * a process is always a candidate for its own request.
 * @kernel mm/oom_kill.c oom_cpuset_eligible(), mm/mempolicy.c mempolicy_in_oom_domain()
 */
function isCandidate(guest: GuestState, constraint: OomConstraint, oc: OomControl): boolean {
  if (constraint === 'CONSTRAINT_MEMORY_POLICY') {
    const task = guest.spec.regions.find((region) => region.policyScope === 'task');
    if (!task || task.policy.mode !== 'bind') return true;
    return task.policy.nodes.some((id) => oc.nodemask?.has(id));
  }
  const { cpusetMems } = oc;
  if (!cpusetMems) return true;
  return guest.spec.regions.some(
    ({ cpusetMems: mems }) => !mems || mems.some((id) => cpusetMems.has(id)),
  );
}

/** @kernel mm/oom_kill.c oom_badness() @returns -Infinity for an exempt process */
export function oomBadness(guest: GuestState, totalPages: number): number {
  if (!guest.alive || guest.spec.oomScoreAdj === -1000) return -Infinity;
  let pages = 0;
  for (const mapping of [...guest.mappings, guest.overhead]) {
    pages += mapping.swapPages + mapping.pagesByNode.reduce((sum, n) => sum + n, 0);
  }
  pages += guest.pageTables.length;
  return pages + guest.spec.oomScoreAdj * Math.floor(totalPages / 1000);
}

interface ZoneOfKill {
  zone: Zone;
  checked: KilledForZone;
  /** Beside the mark, for a request without rights. */
  reservePages: number;
}

/** What the last checks before a kill compared in each zone that the request may use. */
function zonesOf(k: KernelState, oc: OomControl): ZoneOfKill[] {
  const { order, classIndex = ZONE_MOVABLE, nodemask, cpusetMems } = oc;
  const flags = oc.high ? ALLOC_MIN_RESERVE : 0;
  return k.zones
    .filter(
      ({ index, node }) =>
        index <= classIndex &&
        (nodemask?.has(node.id) ?? true) &&
        (cpusetMems?.has(node.id) ?? true),
    )
    .map((zone) => ({
      zone,
      checked: {
        nodeId: zone.node.id,
        zone: zone.name,
        freePages: zone.buddy.freePages + zone.freeDrift,
        minPages: neededPages(zone, zone.min, { order, classIndex, flags }),
        // The last look for a page before a kill has no rights. @kernel __alloc_pages_may_oom()
        highPages: neededPages(zone, zone.high, { order, classIndex, flags: 0 }),
      },
      reservePages:
        neededPages(zone, zone.min, { order, classIndex, flags: 0 }) - zone.min - zone.boost,
    }));
}

function describeZones(zones: ZoneOfKill[]): string {
  return zones
    .map(({ zone, checked: { nodeId, zone: name, freePages }, reservePages }) => {
      const file = zone.lruPages[2]! + zone.lruPages[3]!;
      const anon = zone.lruPages[0]! + zone.lruPages[1]!;
      return (
        `node ${nodeId} ${name}: free ${freePages}, min ${zone.min + zone.boost} + reserve ` +
        `${reservePages}, cache ${file}, anonymous ${anon}, unevictable ${zone.lruPages[4]!} pages`
      );
    })
    .join('; ');
}

/**
 * The host is out of memory: a process dies.
 * @returns the victim, or undefined when nobody can be killed (the kernel would panic)
 * @kernel mm/oom_kill.c out_of_memory(), select_bad_process()
 * @differs the victim's memory is free at once; processes other than guests are never chosen
 */
export function outOfMemory(k: KernelState, oc: OomControl): GuestState | undefined {
  const { constraint, totalPages } = constrainedAlloc(k, oc);
  const candidates = [...k.guests.values()].filter(
    (guest) => guest.alive && isCandidate(guest, constraint, oc),
  );
  const victim = selectBadProcess(candidates, totalPages);
  if (!victim) return undefined;
  const zones = zonesOf(k, oc);
  oomKill(k, { oc, constraint, candidates, victim }, describeZones(zones), zones);
  return victim;
}

/** The highest badness; the later one wins a tie. @kernel mm/oom_kill.c select_bad_process() */
function selectBadProcess(
  candidates: readonly GuestState[],
  totalPages: number,
): GuestState | undefined {
  let victim: GuestState | undefined;
  let worst = -Infinity;
  for (const guest of candidates) {
    const points = oomBadness(guest, totalPages);
    if (points === -Infinity || points < worst) continue;
    worst = points;
    victim = guest;
  }
  return victim;
}

/** @kernel mm/oom_kill.c oom_kill_process(), __oom_kill_process() */
function oomKill(k: KernelState, kill: OomKill, summary: string, zones: ZoneOfKill[] = []): void {
  const { oc, constraint, victim } = kill;
  const full = k.totals.oomKills < FULL_REPORTS;
  const report = full ? dumpHeader(k, kill) : [];
  passTime(k, k.hardware.oomKillNs, true);
  const victimPages = k.exit(k, victim);
  countVm(k, 'oom_kill');
  if (victim.group) victim.group.events.oomKill += 1;
  k.totals.oomKills += 1;
  k.events.push({
    type: 'oom_kill',
    timeNs: k.timeNs,
    constraint,
    victim: victim.spec.name,
    invokedBy: k.current.name,
    victimPages,
    order: oc.order,
    zones: zones.map(({ checked }) => checked),
    summary,
    report,
  });
}

/**
 * A group is full of what cannot be reclaimed: one of its processes dies, whatever nodes its memory lies on.
 * @returns the victim, or undefined when there is none to kill
 * @kernel mm/memcontrol.c mem_cgroup_out_of_memory(), mem_cgroup_get_max()
 */
export function memcgOutOfMemory(
  k: KernelState,
  { group, cpu, guest }: { group: MemoryGroup; cpu: number; guest?: GuestState },
): GuestState | undefined {
  group.events.oom += 1;
  const candidates = [...k.guests.values()].filter((other) => other.alive && other.group === group);
  const swapPages = Math.min(group.swapMaxPages, k.swap.totalPages);
  const victim = selectBadProcess(candidates, Math.max(group.maxPages + swapPages, 1));
  if (!victim) return undefined;
  const oc: OomControl = {
    nodemask: null,
    cpusetMems: group.cpusetMems ? new Set(group.cpusetMems) : null,
    order: 0,
    type: MIGRATE_MOVABLE,
    write: false,
    cpu,
    group,
    ...(guest && { guest }),
  };
  const { usagePages, maxPages } = group;
  const summary = `cgroup ${group.name}: ${usagePages} pages charged, at most ${maxPages}`;
  oomKill(k, { oc, constraint: 'CONSTRAINT_MEMCG', candidates, victim }, summary);
  return victim;
}
