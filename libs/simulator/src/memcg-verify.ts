/** Recounts what memory cgroups are charged. */
import type { KernelState } from './kernel-state';
import { objectPages, stockPages, type MemoryGroup } from './memcg';
import type { Mapping } from './page-map';

/** @param fail called with the first contradiction; does not return */
export function checkGroups(k: KernelState, fail: (message: string) => never): void {
  for (const group of k.groups.values()) checkGroup(k, group, fail);
  for (const stock of k.chargeStocks) {
    if (stock.pages < 0 || (stock.pages > 0 && !stock.group)) fail(`a stock of ${stock.pages}`);
  }
}

function checkGroup(k: KernelState, group: MemoryGroup, fail: (message: string) => never): void {
  const { name, usagePages, userPages, kernelPages } = group;
  let listed = 0;
  for (const { lists } of group.lruvecs) {
    for (const list of lists) {
      listed += list.pages;
      const inZones = list.zonePages.reduce((sum, pages) => sum + pages, 0);
      if (inZones !== list.pages) fail(`cgroup ${name} list ${list.index}: ${inZones} by zone`);
    }
  }
  if (listed !== userPages) fail(`cgroup ${name}: ${listed} pages listed, charged ${userPages}`);
  const stocks = stockPages(k, group);
  if (userPages + kernelPages + stocks !== usagePages) {
    fail(`cgroup ${name}: ${userPages} + ${kernelPages} + ${stocks}, not ${usagePages}`);
  }
  const guests = [...k.guests.values()].filter((guest) => guest.group === group);
  const tables = guests.reduce((sum, { pageTables }) => sum + pageTables.length, 0);
  const kernel = tables + objectPages(group.objectBytes);
  if (kernel !== kernelPages) fail(`cgroup ${name}: ${kernel} kernel pages, not ${kernelPages}`);
  const swapped = guests
    .flatMap(({ mappings, overhead }) => [...mappings, overhead])
    .reduce((sum, mapping) => sum + mapping.swapPages + keptSlots(mapping), 0);
  if (swapped !== group.swapPages) fail(`cgroup ${name}: ${swapped} swapped, ${group.swapPages}`);
}

/** Slots of pages that are in memory again. */
export function keptSlots({ runs }: Mapping): number {
  return [...runs].reduce((sum, run) => sum + (run.swapCached ? run.pages : 0), 0);
}
