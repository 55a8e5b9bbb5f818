import {
  departuresOf,
  replayProfileFor,
  kernelProfileOf,
  validateHostModel,
  type HostModel,
  type HostNode,
  type HostZone,
} from '@zonewise/simulator';
import { checkPageSize, crossCheck } from './build/cross-check';
import { deriveMarks } from './build/derive';
import { fillFreeBlocks, fillPageblocks } from './build/free-blocks';
import { layOutNodes } from './build/layout';
import { readHugepages, readNumastat, usedPages } from './build/node-extras';
import { lruSum, nodeUses, scaleLru } from './build/node-stats';
import { sizeSources } from './build/node-size';
import { buildSwap, buildSysctls, buildThp } from './build/settings';
import { buildTopology, type Topology } from './build/topology';
import { zonesFromZoneinfo } from './build/zones';
import { ProblemList } from './errors';
import { readFacts, type HostFacts } from './facts';
import { hostOfReport, onTopOf } from './log/log-host';
import type { LogReport } from './log/log-report';
import { Ledger } from './ledger';
import type { CapabilitiesTopology, FactProblem, HostTexts, ImportOutcome } from './types';

/**
 * Builds the host that a replay starts from out of what the host printed.
 *
 * Sizes come from zoneinfo, else from the report of a kernel log, nodeMeminfo, numastatMeminfo, numactlHardware, capabilities or (one
 * node) meminfo, nodememstats or nodeinfo, with the zones laid out by the x86-64 rule. What no source gives is derived by the kernel's formulas or
 * set to its default, and says so in `provenance`; sources that disagree are settled by the rule named in
 * `differences`. A text that is malformed, cut or over a limit is a problem; all problems are collected.
 *
 * @param texts what is at hand; more is better
 * @param capabilities topology of `virsh capabilities`, as libvirt-xml reads it
 * @returns the model with provenance, differences and caveats, or the problems; never throws
 */
export function importHost(texts: HostTexts, capabilities?: CapabilitiesTopology): ImportOutcome {
  const facts = readFacts(texts, capabilities);
  if (!facts.ok) return facts;
  const ledger = new Ledger();
  const topology = buildTopology(facts.value, ledger);
  if (!topology.ok) return topology;
  if (!hasSizes(facts.value, topology.value)) return { ok: false, problems: [noMemoryFacts()] };
  const problems = new ProblemList(facts.value.zoneinfo ? 'zoneinfo' : 'host');
  const model = buildModel(facts.value, topology.value, ledger, problems);
  if (model !== null) checkPageSize(model, facts.value, problems);
  if (model === null || problems.problems.length > 0)
    return { ok: false, problems: problems.problems };
  const invalid = modelProblems(model);
  if (invalid.length > 0) return { ok: false, problems: invalid };
  crossCheck(model, facts.value, ledger);
  const { laterReport } = facts.value;
  const settled = laterReport === undefined ? model : atReport(model, laterReport, ledger);
  ledger.finish();
  if ('problems' in settled) return { ok: false, problems: settled.problems };
  const { provenance, differences, caveats } = ledger;
  return { ok: true, value: { model: settled, provenance, differences, caveats } };
}

/** The host of its texts as it was when its kernel wrote the report. */
function atReport(
  host: HostModel,
  report: LogReport,
  ledger: Ledger,
): HostModel | { problems: FactProblem[] } {
  const read = hostOfReport(report, host);
  if (!read.ok) return { problems: read.problems };
  const invalid = modelProblems(read.value);
  if (invalid.length > 0) return { problems: invalid };
  for (const { nodeId } of read.value.nodes)
    ledger.read(
      `nodes.${nodeId}`,
      'kernelLog',
      'free pages, marks, blocks and use of the zones listed',
    );
  ledger.caveat('from-kernel-log', onTopOf(report));
  return read.value;
}

/** What the simulator would refuse is refused here: an imported host can always be replayed. */
function modelProblems(model: HostModel): FactProblem[] {
  return validateHostModel(model).map(({ path, message }) => ({
    code: 'invalid-model',
    path: `model.${path}`,
    message: `model.${path}: ${message}`,
  }));
}

function hasSizes(facts: HostFacts, { nodeIds }: Topology): boolean {
  if (facts.zoneinfo !== undefined) return true;
  return nodeIds.some((nodeId) => sizeSources(facts, nodeId, nodeIds.length).length > 0);
}

function noMemoryFacts(): FactProblem {
  return {
    code: 'no-memory-facts',
    path: 'host',
    message: 'host: no source tells how much memory the nodes have',
    expected:
      'zoneinfo, numactlHardware, nodeMeminfo, numastatMeminfo or capabilities (meminfo, nodememstats or nodeinfo where there is one node)',
    found: 'none of them',
  };
}

function buildModel(
  facts: HostFacts,
  topology: Topology,
  ledger: Ledger,
  problems: ProblemList,
): HostModel | null {
  const { zones, laidOut, withoutLists } = buildZones(facts, topology, ledger, problems);
  if (problems.problems.length > 0) return null;
  const all = topology.nodeIds.flatMap((nodeId) => zones.get(nodeId) ?? []);
  if (!all.some((zone) => zone.managedPages > 0)) {
    problems.add({
      code: 'no-memory',
      message: 'no node has memory that the page allocator manages',
      expected: 'at least one zone with managed pages',
      found: `${all.length} zones`,
    });
    return null;
  }
  const marked = all.filter((zone) => !laidOut.has(zone));
  const thp = buildThp(facts, ledger);
  const sysctl = buildSysctls(facts, all, marked, thp.enabled !== 'never', ledger);
  const nodes = buildNodes(facts, topology, zones, ledger);
  deriveMarks(nodes, { laidOut, withoutLists }, sysctl, topology.onlineCpus, ledger, problems);
  const swap = buildSwap(facts, ledger);
  noteRelease(facts, ledger);
  return {
    kernelProfile: replayProfileFor(facts.version),
    ...(facts.version === undefined ? {} : { kernelRelease: facts.version }),
    nodes,
    distances: topology.distances,
    sysctl,
    thp,
    swap,
  };
}

function buildZones(
  facts: HostFacts,
  { nodeIds }: Topology,
  ledger: Ledger,
  problems: ProblemList,
): { zones: Map<number, HostZone[]>; laidOut: Set<HostZone>; withoutLists: Set<HostZone> } {
  const zones = new Map<number, HostZone[]>();
  const printed = new Set((facts.zoneinfo?.zones ?? []).map((zone) => zone.nodeId));
  const withoutLists = new Set<HostZone>();
  let firstPfn = 0;
  for (const nodeId of printed) {
    const list = zonesFromZoneinfo(facts, nodeId, ledger, problems);
    zones.set(nodeId, list);
    if (facts.zoneSource === 'kernelLog') for (const zone of list) withoutLists.add(zone);
    for (const zone of list) firstPfn = Math.max(firstPfn, zone.startPfn + zone.spannedPages);
  }
  const others = nodeIds.filter((nodeId) => !printed.has(nodeId));
  const laidOut = new Set<HostZone>();
  for (const [nodeId, list] of layOutNodes(facts, others, nodeIds.length, firstPfn, ledger)) {
    zones.set(nodeId, list);
    for (const zone of list) laidOut.add(zone);
    if (list.length > 0 && printed.size > 0 && facts.zoneSource === 'zoneinfo') {
      ledger.caveat(
        'node-not-in-zoneinfo',
        `Node ${nodeId} has memory in other sources but is not in zoneinfo: its zones are laid out from its size. Was zoneinfo cut, or taken from another host?`,
      );
    }
  }
  if (laidOut.size > 0) {
    ledger.caveat(
      'zones-laid-out',
      'Zones are laid out from the sizes of the nodes; marks, reserves and per-CPU lists are computed, not read. /proc/zoneinfo gives the real ones.',
    );
  }
  noteReport(facts, ledger);
  return { zones, laidOut, withoutLists };
}

function noteReport({ report }: HostFacts, ledger: Ledger): void {
  if (report === undefined) return;
  ledger.caveat(
    'host-from-kernel-log',
    `Zones, marks, free lists and use are those of the report at line ${report.line} of the kernel log; a log prints neither where zones start nor holes nor the per-CPU lists of each CPU, which are derived and empty.`,
  );
  const { unlisted, unknownNodeIds } = report;
  if (unlisted !== null) {
    ledger.caveat(
      'node-not-in-log',
      `The report lists the nodes of its policy or cpuset only: node ${unlisted.nodeId} is what the host has beyond them, its zones laid out from its size.`,
    );
  }
  if (unknownNodeIds.length > 0) {
    ledger.caveat(
      'nodes-unknown',
      `The report says nothing of node ${unknownNodeIds.join(', ')}: left out. numactl --hardware or zoneinfo would tell.`,
    );
  }
}

function buildNodes(
  facts: HostFacts,
  topology: Topology,
  zones: Map<number, HostZone[]>,
  ledger: Ledger,
): HostNode[] {
  const { nodeIds, cpus } = topology;
  const hugepages = new Map(nodeIds.map((id) => [id, readHugepages(facts, id, ledger)]));
  const used = new Map(
    nodeIds.map((id) => [id, usedPages(zones.get(id) ?? [], hugepages.get(id) ?? [])]),
  );
  const uses = nodeUses(facts, nodeIds, used, ledger);
  const nodes: HostNode[] = [];
  for (const nodeId of nodeIds) {
    const use = uses.get(nodeId);
    if (use === undefined) continue;
    const list = zones.get(nodeId) ?? [];
    for (const zone of list) {
      fitZoneLru(zone, nodeId, ledger);
      fillFreeBlocks(zone, nodeId, facts, ledger);
      fillPageblocks(zone, nodeId, facts, ledger);
    }
    nodes.push({
      nodeId,
      cpus: cpus.get(nodeId) ?? [],
      zones: list,
      ...use,
      lru: nodeLru(use.lru, list, nodeId, ledger),
      hugepages: hugepages.get(nodeId) ?? [],
      numastat: readNumastat(facts, nodeId, ledger),
    });
  }
  return nodes;
}

/** The lists of a zone hold at most what is in use there. */
function fitZoneLru(zone: HostZone, nodeId: number, ledger: Ledger): void {
  if (zone.lru === undefined) return;
  const held = zone.pagesets.reduce((sum, pageset) => sum + pageset.countPages, 0);
  const used = zone.managedPages - zone.freePages - held;
  const named = lruSum(zone.lru);
  if (named <= used) return;
  ledger.differ(
    `nodes.${nodeId}.zones.${zone.name}.lru`,
    { source: 'zoneinfo managed minus free', value: used },
    { source: 'zoneinfo sum of the LRU lists', value: named },
    'memory in use is managed minus free; lists that name more are scaled down together',
  );
  zone.lru = scaleLru(zone.lru, used / named);
}

/** Where every zone has lists of its own, the node's are their sum: both count the same pages. */
function nodeLru(
  lru: HostNode['lru'],
  zones: HostZone[],
  nodeId: number,
  ledger: Ledger,
): HostNode['lru'] {
  if (zones.length === 0 || zones.some((zone) => zone.lru === undefined)) return lru;
  const sum = { ...lru };
  for (const name of Object.keys(lru) as (keyof HostNode['lru'])[]) {
    sum[name] = zones.reduce((total, zone) => total + (zone.lru?.[name] ?? 0), 0);
    ledger.differ(
      `nodes.${nodeId}.lru.${name}`,
      { source: 'zoneinfo, zones', value: sum[name] },
      { source: 'zoneinfo, per-node stats', value: lru[name] },
      'the sum over the zones is taken',
    );
  }
  return sum;
}

function noteRelease(facts: HostFacts, ledger: Ledger): void {
  if (facts.lruGen?.enabled === true) {
    ledger.caveat(
      'lru-gen',
      'The host reclaims by the multi-generational LRU; replays have the active and inactive lists. Which pages go first, and when, can differ.',
    );
  }
  if (facts.version === undefined) {
    ledger.default('kernelProfile', 'the release is not known: 6.1.y');
    return;
  }
  ledger.read('kernelRelease', 'version');
  const match = kernelProfileOf(facts.version);
  const replayed = replayProfileFor(facts.version);
  if (match?.exact === true && match.profile.name === replayed) return;
  const departures = match === undefined ? '' : ` ${departuresOf(match, replayed)}.`;
  ledger.caveat(
    'kernel-profile',
    `The host runs ${facts.version}; it is replayed with the rules of ${replayed}.${departures}`,
  );
}
