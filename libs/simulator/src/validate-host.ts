/** Semantic checks of a host model beyond its shape. */
import type { SimulatorErrorCode, SimulatorProblem } from './errors';
import {
  ZONE_NAMES,
  type HostModel,
  type HostNode,
  type HostSysctls,
  type HostZone,
  type LruPages,
} from './types';

export const MAX_NODES = 1024;
const MAX_CPUS = 8192;
/** Counts of pages beyond this belong to no host; keeps every sum a safe integer. */
const MAX_ZONE_PAGES = 2 ** 42;
/** 8 TiB: frames of a zone are counted in 32 bits. */
const MAX_ZONE_SPAN_PAGES = 2 ** 31 - 1024;
/** 32 TiB in all: the tables of the free lists grow with the span. */
const MAX_SPAN_PAGES = 2 ** 33;

/** The node itself, and the least that another one may be away. @kernel include/linux/topology.h */
const LOCAL_DISTANCE = 10;
const MAX_DISTANCE = 255;
/** Pages by which a counter may be off for each CPU, which adds to it in batches. @kernel mm/vmstat.c calculate_normal_threshold() */
const MAX_COUNTER_DRIFT = 125;
const PAGE_KIB = 4;
/** A node's counters of pages in use. */
const IN_USE = [
  'filePages',
  'mappedPages',
  'shmemPages',
  'anonPages',
  'dirtyPages',
  'writebackPages',
  'slabReclaimablePages',
  'slabUnreclaimablePages',
] as const;
/** Settings that a model may leave out. */
const OPTIONAL_SYSCTLS: readonly (keyof HostSysctls)[] = [
  'compaction_proactiveness',
  'compact_unevictable_allowed',
  'extfrag_threshold',
];

class Problems {
  readonly list: SimulatorProblem[] = [];

  add(code: SimulatorErrorCode, path: string, message: string): void {
    if (this.list.length < 100) this.list.push({ code, path, message });
  }

  /** An event counter: a host that runs for years may count beyond any number of pages. */
  counter(path: string, value: unknown): void {
    if (!Number.isSafeInteger(value)) {
      this.add('not-an-integer', path, `${String(value)} is not a whole number of events`);
    } else if ((value as number) < 0) {
      this.add('out-of-range', path, `${String(value)} events; a count is not negative`);
    }
  }

  /** @returns true when the value is a page count */
  pages(path: string, value: unknown): boolean {
    if (!Number.isSafeInteger(value)) {
      this.add('not-an-integer', path, `${String(value)} is not a whole number of pages`);
      return false;
    }
    if ((value as number) < 0 || (value as number) > MAX_ZONE_PAGES) {
      this.add('out-of-range', path, `${String(value)} pages; 0 to ${MAX_ZONE_PAGES} are possible`);
      return false;
    }
    return true;
  }
}

function checkZone(problems: Problems, zone: HostZone, path: string): void {
  if (!ZONE_NAMES.includes(zone.name)) {
    problems.add('unknown-value', `${path}.name`, `zone ${String(zone.name)} is not modelled`);
  }
  const keys = [
    'startPfn',
    'spannedPages',
    'presentPages',
    'managedPages',
    'freePages',
    'boostPages',
    'minPages',
    'lowPages',
    'highPages',
  ] as const;
  if (!keys.every((key) => problems.pages(`${path}.${key}`, zone[key]))) return;
  const ordered = zone.managedPages <= zone.presentPages && zone.presentPages <= zone.spannedPages;
  if (!ordered) {
    problems.add(
      'zone-sizes',
      path,
      `managed ${zone.managedPages} <= present ${zone.presentPages} <= spanned ${zone.spannedPages} does not hold`,
    );
  }
  if (zone.freePages > zone.managedPages) {
    problems.add(
      'zone-sizes',
      `${path}.freePages`,
      `${zone.freePages} free of ${zone.managedPages} managed pages`,
    );
  }
  const marks = [zone.boostPages, zone.minPages, zone.lowPages, zone.highPages];
  if (marks.some((mark, i) => i > 0 && mark < marks[i - 1]!)) {
    problems.add(
      'zone-sizes',
      path,
      `marks must rise: boost, min, low, high are ${marks.join(', ')}`,
    );
  }
  zone.protectionPages.forEach((pages, i) =>
    problems.pages(`${path}.protectionPages[${i}]`, pages),
  );
  zone.freeBlocks.forEach((blocks, i) => problems.pages(`${path}.freeBlocks[${i}]`, blocks));
  checkPagesets(problems, zone, path);
}

function checkPagesets(problems: Problems, zone: HostZone, path: string): void {
  let held = 0;
  zone.pagesets.forEach((pageset, i) => {
    const at = `${path}.pagesets[${i}]`;
    for (const key of ['cpu', 'countPages', 'highPages', 'batchPages'] as const) {
      problems.pages(`${at}.${key}`, pageset[key]);
    }
    if (pageset.batchPages < 1)
      problems.add('out-of-range', `${at}.batchPages`, 'a batch is at least 1 page');
    held += pageset.countPages;
  });
  if (held + zone.freePages > zone.managedPages) {
    problems.add(
      'zone-sizes',
      `${path}.pagesets`,
      `${held} pages on CPU lists and ${zone.freePages} free exceed ${zone.managedPages} managed`,
    );
  }
}

function checkNode(
  problems: Problems,
  node: HostNode,
  path: string,
  seen: { cpus: Set<number> },
): void {
  const zones = new Set<string>();
  node.zones.forEach((zone, i) => {
    if (zones.has(zone.name))
      problems.add('duplicate-zone', `${path}.zones[${i}]`, `zone ${zone.name} appears twice`);
    zones.add(zone.name);
    checkZone(problems, zone, `${path}.zones[${i}]`);
  });
  node.cpus.forEach((cpu, i) => {
    problems.pages(`${path}.cpus[${i}]`, cpu);
    if (seen.cpus.has(cpu))
      problems.add('duplicate-cpu', `${path}.cpus[${i}]`, `CPU ${cpu} belongs to two nodes`);
    seen.cpus.add(cpu);
  });
  for (const [key, value] of Object.entries(node.lru)) problems.pages(`${path}.lru.${key}`, value);
  for (const [key, value] of Object.entries(node.numastat))
    problems.counter(`${path}.numastat.${key}`, value);
  for (const key of IN_USE) problems.pages(`${path}.${key}`, node[key]);
  problems.pages(`${path}.heldFilePages`, node.heldFilePages ?? 0);
  checkPools(problems, node, path);
}

/** Pools of huge pages lie in the node's memory. */
function checkPools(problems: Problems, node: HostNode, path: string): void {
  const present = node.zones.reduce((sum, { presentPages }) => sum + presentPages, 0);
  let all = 0;
  node.hugepages.forEach(({ sizeKib, totalPages, freePages, surplusPages = 0 }, i) => {
    const at = `${path}.hugepages[${i}]`;
    const counts = { sizeKib, totalPages, freePages, surplusPages };
    if (!Object.entries(counts).every(([key, value]) => problems.pages(`${at}.${key}`, value)))
      return;
    for (const key of ['freePages', 'surplusPages'] as const) {
      if (counts[key] <= totalPages) continue;
      const message = `${counts[key]} of ${totalPages} huge pages; at most the pool's totalPages are possible`;
      problems.add('out-of-range', `${at}.${key}`, message);
    }
    all += totalPages * (sizeKib / PAGE_KIB);
    if (all <= present) return;
    const message = `${totalPages} huge pages of ${sizeKib} KiB: the node's pools take ${all} pages of 4 KiB; it has ${present}`;
    problems.add('out-of-range', `${at}.totalPages`, message);
  });
}

function lruSum(lru: LruPages): number {
  return Object.values(lru).reduce((sum: number, pages) => sum + (pages as number), 0);
}

/**
 * What is counted as in use lies in memory that the allocator manages. Counters drift: each may be beyond by what
 * the CPUs have not added to it yet.
 */
function checkInUse(problems: Problems, node: HostNode, path: string, cpus: number): void {
  const drift = MAX_COUNTER_DRIFT * cpus;
  const within = (at: string, pages: number, managed: number, counters: number): void => {
    const most = managed + counters * drift;
    if (pages <= most) return;
    const message = `${pages} pages; of ${managed} managed pages at most ${most} can be counted (${MAX_COUNTER_DRIFT} more for each CPU and counter)`;
    problems.add('out-of-range', at, message);
  };
  const managed = node.zones.reduce((sum, zone) => sum + zone.managedPages, 0);
  const lists = Object.keys(node.lru).length;
  within(`${path}.lru`, lruSum(node.lru), managed, lists);
  node.zones.forEach(({ lru, managedPages }, i) => {
    if (lru) within(`${path}.zones[${i}].lru`, lruSum(lru), managedPages, lists);
  });
  for (const key of IN_USE) within(`${path}.${key}`, node[key], managed, 1);
}

/** @kernel drivers/acpi/numa/srat.c slit_valid(), but nodes of `numa=fake` may be as near as their own */
function checkDistances(problems: Problems, model: HostModel): void {
  const size = model.nodes.length;
  const square =
    model.distances.length === size && model.distances.every((row) => row.length === size);
  if (!square) {
    problems.add('distance-matrix', 'distances', `needs ${size} rows of ${size} distances`);
    return;
  }
  model.distances.forEach((row, i) =>
    row.forEach((distance, j) => {
      const own = i === j;
      const most = own ? LOCAL_DISTANCE : MAX_DISTANCE;
      if (Number.isInteger(distance) && distance >= LOCAL_DISTANCE && distance <= most) return;
      const right = own
        ? `a node is ${LOCAL_DISTANCE} from itself`
        : `another node is ${LOCAL_DISTANCE} to ${MAX_DISTANCE} away`;
      problems.add('distance-matrix', `distances[${i}][${j}]`, `${String(distance)}; ${right}`);
    }),
  );
}

/** Zones of one node lie one behind the other; those of different nodes may interlock. */
function checkOverlap(problems: Problems, node: HostNode, path: string): void {
  const zones = node.zones
    .map((zone, j) => ({ zone, j }))
    .sort((a, b) => a.zone.startPfn - b.zone.startPfn);
  zones.slice(1).forEach(({ zone, j }, at) => {
    const before = zones[at]!.zone;
    const end = before.startPfn + before.spannedPages;
    if (zone.startPfn >= end) return;
    problems.add(
      'overlapping-zones',
      `${path}.zones[${j}].startPfn`,
      `zone ${zone.name} starts at pfn ${zone.startPfn}, before zone ${before.name} ends at ${end}`,
    );
  });
}

function checkSpans(problems: Problems, model: HostModel): void {
  let all = 0;
  model.nodes.forEach((node, i) => {
    checkOverlap(problems, node, `nodes[${i}]`);
    node.zones.forEach(({ spannedPages }, j) => {
      all += spannedPages;
      if (spannedPages <= MAX_ZONE_SPAN_PAGES) return;
      problems.add(
        'limit-exceeded',
        `nodes[${i}].zones[${j}].spannedPages`,
        `${spannedPages} pages; a zone may span ${MAX_ZONE_SPAN_PAGES} (8 TiB) at most`,
      );
    });
  });
  if (all > MAX_SPAN_PAGES) {
    problems.add(
      'limit-exceeded',
      'nodes',
      `zones span ${all} pages in all; at most ${MAX_SPAN_PAGES} (32 TiB) are possible`,
    );
  }
}

/**
 * Everything about a host model that would make a replay meaningless.
 * @returns problems with property paths; empty when the model can be replayed (at most 100 are listed)
 */
export function validateHostModel(model: HostModel): SimulatorProblem[] {
  const problems = new Problems();
  if (model.nodes.length > MAX_NODES) {
    problems.add(
      'limit-exceeded',
      'nodes',
      `${model.nodes.length} nodes; at most ${MAX_NODES} are possible`,
    );
    return problems.list;
  }
  const ids = new Set<number>();
  const seen = { cpus: new Set<number>() };
  model.nodes.forEach((node, i) => {
    problems.pages(`nodes[${i}].nodeId`, node.nodeId);
    if (ids.has(node.nodeId))
      problems.add('duplicate-node', `nodes[${i}].nodeId`, `node ${node.nodeId} appears twice`);
    ids.add(node.nodeId);
    checkNode(problems, node, `nodes[${i}]`, seen);
  });
  if (seen.cpus.size > MAX_CPUS)
    problems.add(
      'limit-exceeded',
      'nodes',
      `${seen.cpus.size} CPUs; at most ${MAX_CPUS} are possible`,
    );
  if (seen.cpus.size === 0) problems.add('node-without-cpus', 'nodes', 'no node has a CPU');
  if (!model.nodes.some((node) => node.zones.some((zone) => zone.managedPages > 0))) {
    problems.add('no-memory', 'nodes', 'no node has memory');
  }
  model.nodes.forEach((node, i) => checkInUse(problems, node, `nodes[${i}]`, seen.cpus.size));
  checkSpans(problems, model);
  checkDistances(problems, model);
  problems.pages('swap.totalPages', model.swap.totalPages);
  problems.pages('swap.freePages', model.swap.freePages);
  if (model.swap.freePages > model.swap.totalPages) {
    problems.add(
      'out-of-range',
      'swap.freePages',
      `${model.swap.freePages} free of ${model.swap.totalPages} swap pages`,
    );
  }
  for (const [name, value] of Object.entries(model.thp.khugepaged ?? {})) {
    problems.pages(`thp.khugepaged.${name}`, value as number);
  }
  for (const [name, value] of Object.entries(model.sysctl)) {
    if (value === undefined && OPTIONAL_SYSCTLS.some((optional) => optional === name)) continue;
    for (const item of Array.isArray(value) ? (value as number[]) : [value as number]) {
      problems.pages(`sysctl.${name}`, item);
    }
  }
  return problems.list;
}
