/** Recounts the state and compares it with the counters that the mechanisms keep. */
import { InvariantError } from './errors';
import { countsAsFile, pagesBetween } from './lru';
import { LruFrames } from './lru-frames';
import { lruvecsOf } from './lruvec';
import { checkGroups, keptSlots } from './memcg-verify';
import { modelledWritebackPages } from './flusher';
import type { KernelState } from './kernel-state';
import type { Mapping } from './page-map';
import { pcpPages } from './pcp';
import { dirtyPages } from './writeback';
import type { NodeState, Zone } from './zone';

/** @throws InvariantError naming the first contradiction */
export function verify(k: KernelState, step: number): void {
  const fail = (message: string): never => {
    throw new InvariantError(message, k.seed, step);
  };
  const owned = new Map<Mapping, number[]>();
  const zoneLru = new Map<Zone, number[]>();
  for (const node of k.nodes) recountNode(k, node, owned, zoneLru, fail);
  for (const zone of k.zones) {
    checkZone(zone, zoneLru.get(zone), fail);
    const wrong = LruFrames.wrongFrame(zone);
    if (wrong !== undefined) fail(`${zone.name}: another LRU page at frame ${wrong} than kept`);
  }
  for (const mapping of allMappings(k)) checkMapping(k, mapping, owned.get(mapping), fail);
  for (const mapping of owned.keys()) {
    if (!allMappings(k).includes(mapping)) fail(`pages of ${mapping.name} outlive their owner`);
  }
  checkWriteback(k, fail);
  checkGroups(k, fail);
  const swapped = allMappings(k).reduce((sum, mapping) => sum + mapping.swapPages, 0);
  const kept = allMappings(k).reduce((sum, mapping) => sum + keptSlots(mapping), 0);
  const used = k.swap.totalPages - k.swap.freePages;
  if (k.swap.freePages < 0 || used < swapped + kept) {
    fail(`swap: ${swapped} pages stored and ${kept} in memory as well, ${used} used`);
  }
}

function allMappings(k: KernelState): Mapping[] {
  const guests = [...k.guests.values()].flatMap((guest) => [...guest.mappings, guest.overhead]);
  const files = [...k.files.values()].map((file) => file.mapping);
  const written = k.swapWrites.requests.flatMap(({ caches }) => caches);
  return [...guests, ...files, ...k.hostMappings]
    .flatMap((mapping) => (mapping.swapCache ? [mapping, mapping.swapCache] : [mapping]))
    .concat(written);
}

function recountNode(
  k: KernelState,
  node: NodeState,
  owned: Map<Mapping, number[]>,
  zoneLru: Map<Zone, number[]>,
  fail: (message: string) => never,
): void {
  const sums = { anon: 0, file: 0, dirty: 0, writeback: 0, huge: 0 };
  for (const list of lruvecsOf(node).flatMap(({ lists }) => lists)) {
    let pages = 0;
    for (const run of list.runs()) {
      if (run.pages <= 0 || !Number.isInteger(run.pages)) fail(`a run of ${run.pages} pages`);
      if (pagesBetween(run, -Infinity, Infinity) !== run.pages && run.stride > 0) {
        fail(`a run of ${run.pages} pages with another number of places held`);
      }
      if (run.zone.node !== node) fail(`a run of node ${run.zone.node.id} on node ${node.id}`);
      pages += run.pages;
      const perNode = owned.get(run.owner) ?? k.nodes.map(() => 0);
      perNode[node.position]! += run.pages;
      owned.set(run.owner, perNode);
      const perList = zoneLru.get(run.zone) ?? node.lists.map(() => 0);
      perList[list.index]! += run.pages;
      zoneLru.set(run.zone, perList);
      if (countsAsFile(run.owner)) sums.file += run.pages;
      else sums.anon += run.pages;
      if (run.swapCached) sums.file += run.pages;
      if (run.dirty && run.owner.kind === 'file') sums.dirty += run.pages;
      if (run.writeback) sums.writeback += run.pages;
      if (run.huge) sums.huge += run.pages;
    }
    if (pages !== list.pages)
      fail(`node ${node.id} list ${list.index}: ${pages}, not ${list.pages}`);
  }
  if (sums.anon !== node.anonPages)
    fail(`node ${node.id} anon ${sums.anon}, not ${node.anonPages}`);
  if (sums.file !== node.filePages)
    fail(`node ${node.id} file ${sums.file}, not ${node.filePages}`);
  if (sums.dirty !== node.dirtyPages) {
    fail(`node ${node.id} dirty ${sums.dirty}, not ${node.dirtyPages}`);
  }
  const writing = node.writebackPages - k.flusher.otherWritebackPages[node.position]!;
  if (sums.writeback !== writing) {
    fail(`node ${node.id} writeback ${sums.writeback}, not ${writing}`);
  }
  if (sums.huge !== node.hugeAnonPages) {
    fail(`node ${node.id} huge ${sums.huge}, not ${node.hugeAnonPages}`);
  }
}

/** Every dirty page is known to the flusher, and none was lost or written twice. */
function checkWriteback(k: KernelState, fail: (message: string) => never): void {
  const { files, totals } = k.flusher;
  for (const mapping of allMappings(k)) {
    if (mapping.kind !== 'file') continue;
    let dirty = 0;
    for (const run of mapping.runs) {
      if (run.dirty) dirty += run.pages;
      if (run.writeback !== mapping.writing.has(run)) {
        fail(`${mapping.name}: a run at ${run.offset} is marked as written without being listed`);
      }
    }
    const known = files.get(mapping)?.dirtyPages ?? 0;
    if (dirty !== known) fail(`${mapping.name}: ${dirty} dirty pages, the flusher knows ${known}`);
    for (const run of mapping.writing) {
      if (!mapping.runs.has(run)) fail(`${mapping.name}: a run that left is still being written`);
    }
  }
  const due = totals.startPages + totals.dirtiedPages - totals.writtenPages;
  const toSwap = k.swapWrites.requests
    .flatMap(({ caches }) => caches.flatMap(({ pagesByNode }) => pagesByNode))
    .reduce((sum, pages) => sum + pages, 0);
  const left = dirtyPages(k) + modelledWritebackPages(k) - toSwap;
  if (due !== left) fail(`writeback: ${left} pages dirty or being written, ${due} not written yet`);
}

function checkZone(
  zone: Zone,
  recounted: number[] | undefined,
  fail: (message: string) => never,
): void {
  const name = `node ${zone.node.id} ${zone.name}`;
  const lru = zone.lruPages.reduce((sum, pages) => sum + pages, 0);
  const listed = (recounted ?? []).reduce((sum, pages) => sum + pages, 0);
  if (lru !== listed) fail(`${name}: ${listed} pages on lists, counted ${lru}`);
  for (const count of [zone.buddy.freePages, zone.kernelPages, ...zone.lruPages]) {
    if (!Number.isInteger(count) || count < 0) fail(`${name}: a count of ${count}`);
  }
  for (const pcp of zone.pcps) {
    const held = pcp.lists.reduce((sum, list) => sum + list.count * 2 ** list.order, 0);
    if (pcp.pages !== held) fail(`${name}: ${held} pages on per-CPU lists, counted ${pcp.pages}`);
  }
  const inUse = lru + zone.kernelPages + zone.otherPages + zone.isolatedFreePages;
  const total = zone.buddy.freePages + pcpPages(zone) + inUse;
  if (total !== zone.managed) fail(`${name}: pages add up to ${total}, managed ${zone.managed}`);
}

function checkMapping(
  k: KernelState,
  mapping: Mapping,
  recounted: number[] | undefined,
  fail: (message: string) => never,
): void {
  const perNode = recounted ?? k.nodes.map(() => 0);
  perNode.forEach((pages, i) => {
    if (pages !== mapping.pagesByNode[i]) {
      fail(
        `${mapping.name}: ${pages} pages on node ${k.nodes[i]!.id}, counted ${mapping.pagesByNode[i]}`,
      );
    }
  });
  if (!mapping.present || mapping.pagesByNode.length === 0) return;
  const resident = perNode.reduce((sum, pages) => sum + pages, 0);
  const present = mapping.present.total;
  const known = resident + mapping.swapPages;
  if (mapping.present.blocks > 0 && present !== known) {
    fail(`${mapping.name}: ${present} pages present, ${known} resident or swapped`);
  }
}
