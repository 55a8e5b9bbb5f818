/** The OOM killer: constraint, candidates, badness. */
import { exitGuest } from './guest-exit';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import { dumpHeader, type OomConstraintOfHost, type OomControl } from './oom-dump';
import type { OomConstraint } from './types';

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

/** A process's task policy decides: only BIND away from the nodes exempts it. */
function isCandidate(guest: GuestState, constraint: OomConstraint, oc: OomControl): boolean {
  if (constraint === 'CONSTRAINT_MEMORY_POLICY') {
    const task = guest.spec.regions.find((region) => region.policyScope === 'task');
    if (!task || task.policy.mode !== 'bind') return true;
    return task.policy.nodes.some((id) => oc.nodemask?.has(id));
  }
  const { cpusetMems } = oc;
  if (!cpusetMems) return true;
  const mems = guest.spec.regions[0]?.cpusetMems;
  return !mems || mems.some((id) => cpusetMems.has(id));
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

function describeNodes(k: KernelState, oc: OomControl): string {
  const zones = k.zones.filter(
    ({ node }) => (oc.nodemask?.has(node.id) ?? true) && (oc.cpusetMems?.has(node.id) ?? true),
  );
  return zones
    .map((zone) => {
      const file = zone.lruPages[2]! + zone.lruPages[3]!;
      const anon = zone.lruPages[0]! + zone.lruPages[1]!;
      return (
        `node ${zone.node.id} ${zone.name}: free ${zone.buddy.freePages}, min ${zone.min + zone.boost} + reserve ` +
        `${zone.protection[3] ?? 0}, cache ${file}, anonymous ${anon}, unevictable ${zone.lruPages[4]!} pages`
      );
    })
    .join('; ');
}

/**
 * Kills the process with the highest badness; the later one wins a tie.
 * @returns the victim, or undefined when nobody can be killed (the kernel would panic)
 * @kernel mm/oom_kill.c out_of_memory(), select_bad_process()
 * @differs the victim's memory is free at once; processes other than guests are never chosen
 */
export function outOfMemory(k: KernelState, oc: OomControl): GuestState | undefined {
  const { constraint, totalPages } = constrainedAlloc(k, oc);
  const candidates = [...k.guests.values()].filter(
    (guest) => guest.alive && isCandidate(guest, constraint, oc),
  );
  let victim: GuestState | undefined;
  let worst = -Infinity;
  for (const guest of candidates) {
    const points = oomBadness(guest, totalPages);
    if (points === -Infinity || points < worst) continue;
    worst = points;
    victim = guest;
  }
  if (!victim) return undefined;
  const summary = describeNodes(k, oc);
  const full = k.totals.oomKills < FULL_REPORTS;
  const report = full ? dumpHeader(k, { oc, constraint, candidates, victim }) : [];
  passTime(k, k.hardware.oomKillNs, true);
  const victimPages = exitGuest(k, victim);
  countVm(k, 'oom_kill');
  k.totals.oomKills += 1;
  k.events.push({
    type: 'oom_kill',
    timeNs: k.timeNs,
    constraint,
    victim: victim.spec.name,
    invokedBy: k.current.name,
    victimPages,
    summary,
    report,
  });
  return victim;
}
