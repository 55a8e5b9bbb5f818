import type { KhugepagedSettings, Numastat, ThpDefrag, ThpEnabled } from '@zonewise/simulator';
import { ProblemList, type Parsed } from './errors';
import { factsOfReport, lastWithZones, placeZones, type ReportFacts } from './log/report-facts';
import { parseKernelLog, type LogReport } from './log/log-report';
import { parseBuddyinfo, type BuddyinfoZone } from './parse/buddyinfo';
import { parseNodeNumastat, parseVmstat } from './parse/counters';
import { parseNodeHugepages, type HugepagePool } from './parse/hugepages';
import { parseDistanceRow, parseIdList } from './parse/lists';
import {
  parseFallbackOrder,
  parseFragmentationIndex,
  parseMemmap,
  parseNodeStates,
  parseSections,
  parseZoneRanges,
  type PrintedFallbackOrder,
  type PrintedIndex,
  type PrintedMemmap,
  type PrintedNodeStates,
  type PrintedSections,
  type PrintedZoneRanges,
} from './parse/layout-texts';
import { parseMeminfo, parseNodeMeminfo, type Meminfo } from './parse/meminfo';
import { parseNumactlHardware, type NumactlHardware } from './parse/numactl';
import { parsePagetypeinfo, type Pagetypeinfo } from './parse/pagetypeinfo';
import { parseNumastat, parseNumastatMeminfo } from './parse/numastat';
import {
  parseKhugepaged,
  parseLruGen,
  parseThpDefrag,
  parseThpEnabled,
  parseVersion,
} from './parse/small';
import { parseSysctl, type SysctlFacts } from './parse/sysctl';
import { MAX_CPUS, MAX_NODES } from './parse/text';
import {
  parseFreecell,
  parseFreepages,
  parseNodeinfo,
  parseNodeMemstats,
  type Freecell,
  type Freepages,
  type Nodeinfo,
  type NodeMemstats,
} from './parse/virsh';
import { parseZoneinfo, type Zoneinfo } from './parse/zoneinfo';
import type { CapabilitiesTopology, FactProblem, HostTexts } from './types';

/** Everything that was read, by source. What is absent was not given. */
export interface HostFacts {
  numactl?: NumactlHardware;
  zoneinfo?: Zoneinfo;
  buddyinfo?: BuddyinfoZone[];
  pagetypeinfo?: Pagetypeinfo;
  meminfo?: Meminfo;
  vmstat?: Record<string, number>;
  sysctl?: SysctlFacts;
  thpEnabled?: ThpEnabled;
  thpDefrag?: ThpDefrag;
  khugepaged?: Partial<KhugepagedSettings>;
  version?: string;
  lruGen?: { enabled: boolean };
  numastat?: Map<number, Numastat>;
  /** KiB by name, HugePages_* too. */
  numastatMeminfo?: Map<number, Meminfo>;
  nodeinfo?: Nodeinfo;
  freepages?: Freepages[];
  freecell?: Freecell;
  nodememstats?: NodeMemstats;
  cellMemstats: Map<number, NodeMemstats>;
  nodeStates?: PrintedNodeStates;
  zonelists?: PrintedFallbackOrder[];
  zoneRanges?: PrintedZoneRanges;
  memmap?: PrintedMemmap[];
  sections?: PrintedSections;
  extfragIndex?: PrintedIndex[];
  unusableIndex?: PrintedIndex[];
  nodeMeminfo: Map<number, Meminfo>;
  nodeNumastat: Map<number, Numastat>;
  nodeCpulist: Map<number, number[]>;
  nodeDistance: Map<number, number[]>;
  nodeVmstat: Map<number, Record<string, number>>;
  nodeHugepages: Map<number, HugepagePool[]>;
  capabilities?: CapabilitiesTopology;
  /** The report of a kernel log, where its zones and lists are taken as `zoneinfo` and `buddyinfo`. */
  report?: ReportFacts;
  /** The report of a kernel log where zoneinfo was given too: a later moment of the same host. */
  laterReport?: LogReport;
  /** Which source `zoneinfo` was read from. */
  zoneSource: 'zoneinfo' | 'kernelLog';
  blockSource: 'buddyinfo' | 'kernelLog';
}

/** Parses every text that is there; the problems of all of them are answered together. */
export function readFacts(
  texts: HostTexts,
  capabilities: CapabilitiesTopology | undefined,
): Parsed<HostFacts> {
  const reader = new FactsReader();
  const { one } = reader;
  const facts: HostFacts = {
    numactl: one(texts.numactlHardware, parseNumactlHardware),
    zoneinfo: one(texts.zoneinfo, parseZoneinfo),
    buddyinfo: one(texts.buddyinfo, parseBuddyinfo),
    pagetypeinfo: one(texts.pagetypeinfo, parsePagetypeinfo),
    meminfo: one(texts.meminfo, parseMeminfo),
    vmstat: one(texts.vmstat, parseVmstat),
    sysctl: one(texts.sysctl, parseSysctl),
    thpEnabled: one(texts.thpEnabled, parseThpEnabled),
    thpDefrag: one(texts.thpDefrag, parseThpDefrag),
    khugepaged: one(texts.khugepaged, parseKhugepaged),
    version: one(texts.version, parseVersion),
    lruGen: one(texts.lruGen, parseLruGen),
    numastat: one(texts.numastat, parseNumastat),
    numastatMeminfo: one(texts.numastatMeminfo, parseNumastatMeminfo),
    nodeinfo: one(texts.nodeinfo, parseNodeinfo),
    freepages: freepagesOf(texts, reader),
    freecell: one(texts.freecell, parseFreecell),
    nodememstats: one(texts.nodememstats, parseNodeMemstats),
    cellMemstats: reader.perNode('cellMemstats', texts.cellMemstats, (text, _id, source) =>
      parseNodeMemstats(text, source),
    ),
    nodeStates: one(texts.nodeStates, parseNodeStates),
    zonelists: one(texts.zonelists, parseFallbackOrder),
    zoneRanges: one(texts.zoneRanges, parseZoneRanges),
    memmap: one(texts.memmap, parseMemmap),
    sections: one(texts.sections, parseSections),
    extfragIndex: one(texts.extfragIndex, (text) => parseFragmentationIndex(text, 'extfragIndex')),
    unusableIndex: one(texts.unusableIndex, (text) =>
      parseFragmentationIndex(text, 'unusableIndex'),
    ),
    nodeMeminfo: reader.perNode('nodeMeminfo', texts.nodeMeminfo, parseNodeMeminfo),
    nodeNumastat: reader.perNode('nodeNumastat', texts.nodeNumastat, (text, _id, source) =>
      parseNodeNumastat(text, source),
    ),
    nodeCpulist: reader.perNode('nodeCpulist', texts.nodeCpulist, (text, _id, source) =>
      parseIdList(text, source),
    ),
    nodeDistance: reader.perNode('nodeDistance', texts.nodeDistance, (text, _id, source) =>
      parseDistanceRow(text, source),
    ),
    nodeVmstat: reader.perNode('nodeVmstat', texts.nodeVmstat, (text, _id, source) =>
      parseVmstat(text, source),
    ),
    nodeHugepages: reader.perNode('nodeHugepages', texts.nodeHugepages, (text, _id, source) =>
      parseNodeHugepages(text, source),
    ),
    capabilities,
    zoneSource: 'zoneinfo',
    blockSource: 'buddyinfo',
  };
  useReport(facts, reader.one(texts.kernelLog, readReport));
  if (capabilities !== undefined) checkCapabilities(capabilities, reader.problems);
  return reader.problems.length > 0
    ? { ok: false, problems: reader.problems }
    : { ok: true, value: facts };
}

/** Of all nodes, and of single ones where those are not among them. */
function freepagesOf(texts: HostTexts, reader: FactsReader): Freepages[] | undefined {
  const all = reader.one(texts.freepages, parseFreepages);
  const single = reader.perNode('cellFreepages', texts.cellFreepages, (text, cell, source) =>
    parseFreepages(text, source, cell),
  );
  const others = [...single.values()].flat();
  if (all === undefined) return others.length > 0 ? others : undefined;
  return [...all, ...others.filter(({ nodeId }) => !all.some((node) => node.nodeId === nodeId))];
}

function readReport(log: string): Parsed<LogReport> {
  const parsed = parseKernelLog(log, 'kernelLog');
  if (!parsed.ok) return parsed;
  const problems = new ProblemList('kernelLog');
  const report = lastWithZones(parsed.value);
  if (report === undefined || report.zones.length === 0) {
    problems.add({
      code: 'missing-field',
      message: 'no report lists zones',
      line: report?.line,
      expected: 'lines such as Node 0 Normal free:56552kB',
    });
    return { ok: false, problems: problems.problems };
  }
  return { ok: true, value: report };
}

/** The report stands in for the texts that were not given themselves. */
function useReport(facts: HostFacts, logged: LogReport | undefined): void {
  if (logged === undefined) return;
  if (facts.zoneinfo !== undefined) {
    facts.laterReport = logged;
    return;
  }
  const report = factsOfReport(logged);
  facts.report = report;
  facts.zoneinfo = report.zoneinfo;
  facts.zoneSource = 'kernelLog';
  placeZones(facts.zoneinfo.zones);
  if (facts.buddyinfo === undefined) {
    facts.buddyinfo = report.buddyinfo;
    facts.blockSource = 'kernelLog';
  }
  facts.version ??= report.release;
  for (const [nodeId, pools] of report.hugepages) {
    if (!facts.nodeHugepages.has(nodeId)) facts.nodeHugepages.set(nodeId, pools);
  }
}

class FactsReader {
  readonly problems: FactProblem[] = [];

  readonly one = <T>(
    text: string | undefined,
    parse: (text: string) => Parsed<T>,
  ): T | undefined => {
    if (text === undefined) return undefined;
    return this.take(parse(text));
  };

  perNode<T>(
    name: string,
    texts: Record<string, string> | undefined,
    parse: (text: string, nodeId: number, source: string) => Parsed<T>,
  ): Map<number, T> {
    const values = new Map<number, T>();
    const entries = Object.entries(texts ?? {});
    if (entries.length > MAX_NODES) {
      this.problems.push(badKey(name, `${entries.length} nodes`, `at most ${MAX_NODES} nodes`));
      return values;
    }
    for (const [key, text] of entries) {
      if (!/^(0|[1-9]\d{0,3})$/.test(key) || Number(key) >= MAX_NODES) {
        this.problems.push(badKey(name, key, `a node number, 0 to ${MAX_NODES - 1}`));
        continue;
      }
      const value = this.take(parse(text, Number(key), `${name}.${key}`));
      if (value !== undefined) values.set(Number(key), value);
    }
    return values;
  }

  private take<T>(parsed: Parsed<T>): T | undefined {
    if (parsed.ok) return parsed.value;
    this.problems.push(...parsed.problems);
    return undefined;
  }
}

function badKey(name: string, found: string, expected: string): FactProblem {
  return {
    code: 'bad-node-key',
    path: name,
    message: `${name}: texts are given by node number`,
    expected,
    found: found.slice(0, 120),
  };
}

/** The topology comes from an XML document: well formed, but its numbers can be anything. */
function checkCapabilities(topology: CapabilitiesTopology, all: FactProblem[]): void {
  const problems = new ProblemList('capabilities');
  const seen = new Set<number>();
  const within = (value: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= 0 && value <= most;
  for (const node of topology.nodes) {
    const wrong = (what: string, found: number, expected: string): void =>
      problems.add({
        code: 'out-of-range',
        message: `cell ${node.id}: ${what} ${found} is not possible`,
        expected,
        found: String(found),
      });
    if (!within(node.id, MAX_NODES - 1)) wrong('id', node.id, `0 to ${MAX_NODES - 1}`);
    if (!within(node.memoryKib, 2 ** 44)) wrong('memory', node.memoryKib, 'a size in KiB');
    for (const cpu of node.cpus)
      if (!within(cpu, MAX_CPUS - 1)) wrong('CPU', cpu, `0 to ${MAX_CPUS - 1}`);
    for (const { value } of node.distances)
      if (!within(value, 255) || value < 10) wrong('distance', value, '10 to 255');
    if (seen.has(node.id))
      problems.add({
        code: 'duplicate',
        message: `cell ${node.id} is described twice`,
        expected: 'each cell once',
        found: String(node.id),
      });
    seen.add(node.id);
  }
  all.push(...problems.problems);
}
