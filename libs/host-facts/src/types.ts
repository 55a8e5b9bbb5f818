/** What a Linux host printed, as text, and what was read out of it. */
import type { HostModel, RunningGuest } from '@zonewise/simulator';

/** Text sources by the name used in `POST /v1/hosts/import`. All optional; more is better. */
export interface HostTexts {
  /** `virsh capabilities` is read by libvirt-xml; its topology is passed as `capabilitiesTopology`. */
  numactlHardware?: string;
  zoneinfo?: string;
  buddyinfo?: string;
  pagetypeinfo?: string;
  meminfo?: string;
  vmstat?: string;
  /** `sysctl -a` or bare `name=value` / `vm.name = value` lines. */
  sysctl?: string;
  /** /sys/kernel/mm/transparent_hugepage/enabled and /defrag, as printed: `always [madvise] never`. */
  thpEnabled?: string;
  thpDefrag?: string;
  /** The files of /sys/kernel/mm/transparent_hugepage/khugepaged, `pages_to_scan:4096` a line. */
  khugepaged?: string;
  /** `uname -r` or /proc/version. */
  version?: string;
  /** /sys/kernel/mm/lru_gen/enabled: `0x0007`. */
  lruGen?: string;
  /** `numastat` and `numastat -m`, tables of all nodes. */
  numastat?: string;
  numastatMeminfo?: string;
  /** `virsh nodeinfo`, `freepages --all`, `freecell --all`, `nodememstats`. */
  nodeinfo?: string;
  freepages?: string;
  freecell?: string;
  nodememstats?: string;
  /**
   * Kernel log with a report of a failed allocation or an OOM kill: zones, marks, free lists and use at that moment,
   * where zoneinfo is not given.
   */
  kernelLog?: string;
  /** Lists of nodes of /sys/devices/system/node, `has_memory:0-3` a line. */
  nodeStates?: string;
  /** Boot log: `Fallback order for Node 0: 0 1`, and the zone ranges with `Initmem setup node`. */
  zonelists?: string;
  zoneRanges?: string;
  /** Boot log: `  DMA zone: 64 pages used for memmap`. */
  memmap?: string;
  /** Memory blocks of sysfs: `block_size_bytes:8000000`, `node0/memory32` a line. */
  sections?: string;
  /** /sys/kernel/debug/extfrag/extfrag_index and unusable_index. */
  extfragIndex?: string;
  unusableIndex?: string;
  /** `virsh freepages N --pagesize S` and `virsh nodememstats --cell N`, by node number. */
  cellFreepages?: Record<string, string>;
  cellMemstats?: Record<string, string>;
  /** Per node texts by node number. */
  nodeMeminfo?: Record<string, string>;
  nodeNumastat?: Record<string, string>;
  nodeCpulist?: Record<string, string>;
  nodeDistance?: Record<string, string>;
  nodeVmstat?: Record<string, string>;
  /** The files under nodeN/hugepages, `hugepages-2048kB/nr_hugepages:512` a line. */
  nodeHugepages?: Record<string, string>;
}

/** The host topology of `virsh capabilities`, as libvirt-xml reads it. */
export interface CapabilitiesTopology {
  nodes: {
    id: number;
    memoryKib: number;
    cpus: number[];
    pages: { sizeKib: number; count: number }[];
    distances: { id: number; value: number }[];
  }[];
}

export interface FactProblem {
  /** One of FACT_CODES; each is explained in errors.md. */
  code: string;
  /** The source's field name, e.g. `zoneinfo` or `nodeMeminfo.1`, or a place within: `numactlHardware:node 2 free`. */
  path: string;
  message: string;
  line?: number;
  column?: number;
  expected?: string;
  found?: string;
}

/**
 * Where a value of the model came from, so that nothing derived looks read.
 * An entry covers everything below its path, except where a longer path says otherwise.
 */
export interface Provenance {
  /** Place in the model: `nodes.1.zones.Normal.freeBlocks`, where 1 is the node number and Normal the zone's name. */
  path: string;
  source: string;
  kind: 'read' | 'derived' | 'default';
  note?: string;
}

/** Two sources that disagree, and which one was taken by which rule. */
export interface Difference {
  path: string;
  taken: { source: string; value: number | string };
  other: { source: string; value: number | string };
  rule: string;
}

export interface HostImport {
  model: HostModel;
  provenance: Provenance[];
  differences: Difference[];
  caveats: { code: string; message: string }[];
}

export type ImportOutcome =
  { ok: true; value: HostImport } | { ok: false; problems: FactProblem[] };

export type { HostModel, RunningGuest };

/** Resident memory of a process on one node: base pages, of which `hugePages` times 512 are in huge pages of 2 MiB. */
export interface NodeResidency {
  nodeId: number;
  pages: number;
  hugePages: number;
}
