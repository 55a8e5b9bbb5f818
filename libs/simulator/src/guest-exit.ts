/** Giving back what a process or a mapping holds: exit, MADV_DONTNEED, drop_caches. */
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import { accountRun, type Run } from './lru';
import { BlockCounts, type Mapping } from './page-map';
import { freePages, giveFree } from './zone';

/** Frees the page frames of runs that have left their lists. */
export function freeRuns(k: KernelState, runs: Run[], cpu: number, contiguous: boolean): number {
  let freed = 0;
  for (const run of runs) {
    accountRun(run, -1);
    countVm(k, 'pgfree', run.pages);
    freed += run.pages;
    if (run.huge) {
      giveFree(run.zone, run.pages, false);
      run.zone.hugeFree += run.pages;
    } else {
      freePages(run.zone, cpu, run.pages, contiguous);
    }
  }
  return freed;
}

/** Frees everything of a mapping, swap included. */
export function freeMapping(k: KernelState, mapping: Mapping, cpu: number): number {
  let freed = 0;
  for (const node of k.nodes) {
    for (const list of node.lists) {
      const runs = list.remove((run) => (run.owner === mapping ? run.pages : 0));
      freed += freeRuns(k, runs, cpu, true);
    }
  }
  k.swap.freePages += mapping.swapPages;
  mapping.swapPages = 0;
  if (mapping.present) mapping.present = new BlockCounts();
  if (mapping.swapped) mapping.swapped = new BlockCounts();
  return freed;
}

/** The process ends: killed by the OOM killer or by a step. @returns pages freed */
export function exitGuest(k: KernelState, guest: GuestState): number {
  const cpu = guest.cpuPositions[0]?.[0] ?? 0;
  let freed = 0;
  for (const mapping of [...guest.mappings, guest.overhead]) freed += freeMapping(k, mapping, cpu);
  for (const [zone, pages] of guest.pageTables) {
    zone.kernelPages -= pages;
    freePages(zone, cpu, pages);
    countVm(k, 'pgfree', pages);
  }
  guest.pageTables.clear();
  guest.alive = false;
  passTime(k, freed * k.hardware.freeNs, false);
  return freed;
}
