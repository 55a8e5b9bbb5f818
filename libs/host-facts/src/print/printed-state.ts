/** What the printers work from: a snapshot completed with what stays as it was when the host was imported. */
import type {
  HostModel,
  HostNode,
  HostPageset,
  HostSysctls,
  MigrateTypeName,
  NodeSnapshot,
  Snapshot,
  ZoneName,
} from '@zonewise/simulator';
import type { NumaEventName } from './counter-names';
import type { KernelLayout, OwnTexts } from './kernel-layout';

/** Counts by the kernel's names; a name that is absent is not known. */
export type Counts<Name extends string = string> = Partial<Record<Name, number>>;

export type PrintableZone = NodeSnapshot['zones'][number];

/** A node of a snapshot. */
export type PrintableNode = NodeSnapshot & {
  /** kswapd works on the node or naps between two runs. */
  kswapdAwake?: boolean;
};

/** The state after a step of a replay; every `Snapshot` is one. */
export type PrintableSnapshot = Omit<Snapshot, 'nodes' | 'hugetlb'> & {
  nodes: PrintableNode[];
  /** Absent: as the host's own text had it. */
  hugetlb?: Snapshot['hugetlb'];
};

/** What the host's own texts said when it was imported, and which lines they had. */
export interface CarriedCounts {
  own?: OwnTexts;
  /** /proc/vmstat. */
  vmstat?: Counts;
  /** /proc/meminfo, as printed. */
  meminfo?: Counts;
  /** "per-node stats" of /proc/zoneinfo. */
  nodeStats: Map<number, Counts>;
  /** `nr_*` and `numa_*` lines of a zone, under `carriedZoneKey`. */
  zoneStats: Map<string, Counts>;
}

export interface PrintInput {
  /** The host as the replay started from it. */
  host: HostModel;
  snapshot: PrintableSnapshot;
  carried?: CarriedCounts;
}

export interface ZoneState {
  name: ZoneName;
  startPfn: number;
  spannedPages: number;
  presentPages: number;
  managedPages: number;
  freePages: number;
  boostPages: number;
  /** Marks as printed, with boost. */
  minPages: number;
  lowPages: number;
  highPages: number;
  /** One entry per zone type, Device last. */
  protectionPages: number[];
  pagesets: HostPageset[];
  freeBlocksByType: Record<PrintedType, number[]>;
  pageblocksByType: Record<PrintedType, number>;
  /** `nr_*` of the zone, those that its own text had among them. */
  stats: Counts;
  numaEvents: Counts<NumaEventName>;
}

export interface NodeState {
  nodeId: number;
  /** Populated zones in the order of the zone types. */
  zones: ZoneState[];
  stats: Counts;
  numaEvents: Record<NumaEventName, number>;
  hugepages: HostNode['hugepages'];
  /** kswapd has given the node up. */
  isUnreclaimable: boolean;
  kswapdAwake: boolean;
}

/** The whole host at one moment. */
export interface PrintedState {
  timeNs: number;
  onlineCpus: number[];
  nodes: NodeState[];
  sysctl: HostSysctls;
  /** Which lines the host's kernel prints. */
  layout: KernelLayout;
  swap: { totalPages: number; freePages: number };
  hugetlb?: Snapshot['hugetlb'];
  /** Events of the whole host: since boot where the host's vmstat is known, else since the replay began. */
  events: Counts;
  /** Counters of nodes or zones that the replay counts for the whole host only. */
  hostWide: Counts;
  carried: CarriedCounts;
}

/** Migrate types that a kernel without CMA prints, in its order. */
export const PRINTED_TYPES = [
  'Unmovable',
  'Movable',
  'Reclaimable',
  'HighAtomic',
  'Isolate',
] as const satisfies readonly MigrateTypeName[];
export type PrintedType = (typeof PRINTED_TYPES)[number];

/** Zone types, Device last: as many entries as `protection:` has since 4.5. */
export const ALL_ZONES = ['DMA', 'DMA32', 'Normal', 'Movable', 'Device'] as const;

export function carriedZoneKey(nodeId: number, zone: string): string {
  return `${nodeId} ${zone}`;
}

/** Sum over `items`; undefined when the value is known for none of them. */
export function knownSum<T>(
  items: readonly T[],
  value: (item: T) => number | undefined,
): number | undefined {
  let sum: number | undefined;
  for (const item of items) {
    const part = value(item);
    if (part !== undefined) sum = (sum ?? 0) + part;
  }
  return sum;
}

/** Pages of a field of all zones. */
export function zoneSum(zones: readonly ZoneState[], value: (zone: ZoneState) => number): number {
  return zones.reduce((sum, zone) => sum + value(zone), 0);
}

/** All populated zones, by node and zone type. */
export function allZones(state: PrintedState): ZoneState[] {
  return state.nodes.flatMap((node) => node.zones);
}
