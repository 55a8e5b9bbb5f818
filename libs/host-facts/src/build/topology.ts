import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { ProblemList, type Parsed } from '../errors';
import { hostSizes } from './node-size';

/** Node numbers with their CPUs and distances; memory comes later. */
export interface Topology {
  nodeIds: number[];
  cpus: Map<number, number[]>;
  /** distances[i][j] from nodeIds[i] to nodeIds[j]. */
  distances: number[][];
  onlineCpus: number[];
}

const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;

/**
 * Finds nodes, CPUs and distances.
 * CPUs: nodeCpulist, else numactlHardware, else capabilities, else the CPUs that zoneinfo has pagesets
 * for, dealt in ascending equal parts to the nodes with memory.
 * Distances: nodeDistance, else numactlHardware, else capabilities, else 10 and 20.
 */
export function buildTopology(facts: HostFacts, ledger: Ledger): Parsed<Topology> {
  const problems = new ProblemList('nodeDistance');
  const nodeIds = findNodes(facts);
  const cpus = findCpus(facts, nodeIds, ledger);
  const distances = findDistances(facts, nodeIds, ledger, problems);
  const onlineCpus = [...new Set([...cpus.values()].flat())].sort((a, b) => a - b);
  return problems.outcome({ nodeIds, cpus, distances, onlineCpus });
}

function findNodes(facts: HostFacts): number[] {
  const ids = new Set<number>([
    ...(facts.zoneinfo?.zones ?? []).map((zone) => zone.nodeId),
    ...(facts.numactl?.nodes ?? []).map((node) => node.nodeId),
    ...(facts.capabilities?.nodes ?? []).map((node) => node.id),
    ...facts.nodeMeminfo.keys(),
    ...facts.nodeNumastat.keys(),
    ...facts.nodeCpulist.keys(),
    ...facts.nodeDistance.keys(),
    ...facts.nodeVmstat.keys(),
    ...facts.nodeHugepages.keys(),
    ...(facts.numastat?.keys() ?? []),
    ...(facts.numastatMeminfo?.keys() ?? []),
    ...(facts.freepages ?? []).map((node) => node.nodeId),
    ...facts.cellMemstats.keys(),
    ...(facts.nodeStates?.online ?? []),
    ...(facts.freecell?.freeKibByNode.keys() ?? []),
    ...(facts.report?.unlisted ? [facts.report.unlisted.nodeId] : []),
    ...(facts.buddyinfo ?? []).map((zone) => zone.nodeId),
    ...(facts.pagetypeinfo?.free ?? []).map((zone) => zone.nodeId),
  ]);
  // What is said of the whole host alone describes one of one node.
  if (ids.size === 0 && hostSizes(facts).length > 0) ids.add(0);
  return [...ids].sort((a, b) => a - b);
}

/** Nodes that some source gives memory. */
function memoryNodes(facts: HostFacts, nodeIds: number[]): number[] {
  const zones = facts.zoneinfo?.zones ?? [];
  const withMemory = nodeIds.filter(
    (nodeId) =>
      zones.some((zone) => zone.nodeId === nodeId && (zone.pages.present ?? 0) > 0) ||
      (facts.nodeMeminfo.get(nodeId)?.MemTotal ?? 0) > 0 ||
      (facts.numastatMeminfo?.get(nodeId)?.MemTotal ?? 0) > 0,
  );
  return withMemory.length > 0 ? withMemory : nodeIds;
}

type CpuSource = { name: string; cpus: Map<number, number[]> };

function cpuSources(facts: HostFacts): CpuSource[] {
  const sources: CpuSource[] = [];
  if (facts.nodeCpulist.size > 0) sources.push({ name: 'nodeCpulist', cpus: facts.nodeCpulist });
  if (facts.numactl !== undefined) {
    const cpus = new Map(facts.numactl.nodes.map((node) => [node.nodeId, node.cpus]));
    sources.push({ name: 'numactlHardware', cpus });
  }
  if (facts.capabilities !== undefined) {
    const cpus = new Map(facts.capabilities.nodes.map((node) => [node.id, unique(node.cpus)]));
    sources.push({ name: 'capabilities', cpus });
  }
  return sources;
}

function unique(list: number[]): number[] {
  return [...new Set(list)].sort((a, b) => a - b);
}

function findCpus(facts: HostFacts, nodeIds: number[], ledger: Ledger): Map<number, number[]> {
  const sources = cpuSources(facts);
  if (sources.length === 0) return dealCpus(facts, nodeIds, ledger);
  const owner = new Set<number>();
  const cpus = new Map<number, number[]>();
  for (const nodeId of nodeIds) {
    const known = sources.filter((source) => source.cpus.has(nodeId));
    const [taken, ...others] = known;
    const list = (taken?.cpus.get(nodeId) ?? []).filter((cpu) => !owner.has(cpu));
    for (const cpu of list) owner.add(cpu);
    cpus.set(nodeId, list);
    const path = `nodes.${nodeId}.cpus`;
    if (taken === undefined) {
      ledger.default(path, 'no source lists CPUs of this node: taken as a node without CPUs');
      continue;
    }
    ledger.read(path, taken.name);
    for (const other of others) {
      ledger.differ(
        path,
        { source: taken.name, value: list.join() },
        { source: other.name, value: (other.cpus.get(nodeId) ?? []).join() },
        'CPUs: nodeCpulist before numactlHardware before capabilities',
      );
    }
  }
  return cpus;
}

function dealCpus(facts: HostFacts, nodeIds: number[], ledger: Ledger): Map<number, number[]> {
  const cpus = new Map<number, number[]>(nodeIds.map((nodeId) => [nodeId, []]));
  const nodes = memoryNodes(facts, nodeIds);
  const seen = unique(
    (facts.zoneinfo?.zones ?? []).flatMap((zone) => zone.pagesets.map(({ cpu }) => cpu)),
  );
  const online = seen.length > 0 ? seen : nodes.map((_, index) => index);
  const share = Math.floor(online.length / nodes.length);
  let extra = online.length % nodes.length;
  let next = 0;
  for (const nodeId of nodes) {
    const count = share + (extra > 0 ? 1 : 0);
    extra -= 1;
    cpus.set(nodeId, online.slice(next, next + count));
    next += count;
  }
  const how =
    seen.length > 0
      ? `the ${online.length} CPUs with pagesets are dealt in equal ascending parts to the nodes with memory`
      : 'every node with memory gets one CPU';
  for (const nodeId of nodeIds) ledger.default(`nodes.${nodeId}.cpus`, how);
  if (nodeIds.length > 1) {
    ledger.caveat('cpus-assumed', `No source tells which CPUs belong to which node: ${how}.`);
  }
  return cpus;
}

type DistanceSource = { name: string; rows: Map<number, Map<number, number>> };

function distanceSources(
  facts: HostFacts,
  nodeIds: number[],
  problems: ProblemList,
): DistanceSource[] {
  const sources: DistanceSource[] = [];
  if (facts.nodeDistance.size > 0) {
    const rows = new Map<number, Map<number, number>>();
    for (const [nodeId, row] of facts.nodeDistance) {
      if (row.length !== nodeIds.length) {
        problems.add({
          code: 'bad-distances',
          message: `node ${nodeId} has ${row.length} distances on a host of ${nodeIds.length} nodes`,
          expected: `${nodeIds.length} distances, one per node in ascending order`,
          found: row.join(' '),
          path: `nodeDistance.${nodeId}`,
        });
      }
      rows.set(nodeId, new Map(nodeIds.map((other, index) => [other, row[index] ?? 0])));
    }
    sources.push({ name: 'nodeDistance', rows });
  }
  if (facts.numactl?.distances) {
    const ids = facts.numactl.nodes.map((node) => node.nodeId);
    const rows = new Map(
      facts.numactl.distances.map((row, i) => [
        ids[i] ?? 0,
        new Map(row.map((value, j) => [ids[j] ?? 0, value])),
      ]),
    );
    sources.push({ name: 'numactlHardware', rows });
  }
  const cells = facts.capabilities?.nodes ?? [];
  if (cells.some((cell) => cell.distances.length > 0)) {
    const rows = new Map(
      cells.map((cell) => [cell.id, new Map(cell.distances.map(({ id, value }) => [id, value]))]),
    );
    sources.push({ name: 'capabilities', rows });
  }
  return sources;
}

function findDistances(
  facts: HostFacts,
  nodeIds: number[],
  ledger: Ledger,
  problems: ProblemList,
): number[][] {
  const sources = distanceSources(facts, nodeIds, problems);
  let assumed = 0;
  const distances = nodeIds.map((from) =>
    nodeIds.map((to) => {
      const known = sources.filter((source) => source.rows.get(from)?.has(to));
      const [taken, ...others] = known;
      const value = taken?.rows.get(from)?.get(to);
      if (taken === undefined || value === undefined) {
        if (from !== to) assumed += 1;
        return from === to ? LOCAL_DISTANCE : REMOTE_DISTANCE;
      }
      for (const other of others) {
        ledger.differ(
          `distances.${from}.${to}`,
          { source: taken.name, value },
          { source: other.name, value: other.rows.get(from)?.get(to) ?? 0 },
          'distances: nodeDistance before numactlHardware before capabilities',
        );
      }
      return value;
    }),
  );
  const first = sources[0];
  if (first !== undefined) ledger.read('distances', first.name);
  if (assumed > 0 || first === undefined) {
    ledger.default('distances', 'distances that no source gives: 10 to itself, 20 to another node');
  }
  if (assumed > 0) {
    ledger.caveat(
      'distances-assumed',
      `No source gives ${assumed} of the distances between nodes: 20 is assumed, the kernel's own default. ` +
        'Zonelist order and whether zone_reclaim_mode applies depend on them.',
    );
  }
  return distances;
}
