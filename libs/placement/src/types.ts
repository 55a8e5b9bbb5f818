/**
 * The packer's contract: what hosts can give and guests need, as whole numbers per NUMA node. Plain data.
 * Pages are base pages of 4 KiB unless a size is named.
 */

/** Free huge pages of one size; `pages` are pages of that size. */
export interface HugepageShape {
  sizeKib: number;
  pages: number;
}

/** What a host node can still give. */
export interface NodeShape {
  nodeId: number;
  memoryPages: number;
  vcpus: number;
  hugepages: HugepageShape[];
}

export interface HostShape {
  id: string;
  /** Host aggregate, zone or rack: what `GuestShape.hostGroups` names. */
  group?: string;
  nodes: NodeShape[];
  /** distances[i][j] from nodes[i] to nodes[j]; for the objective `locality`. Absent: 10, and 20 to others. */
  distances?: number[][];
  /** It runs guests that stay: using it costs no further host. */
  occupied: boolean;
  /** Anti-affinity keys of the guests that stay on it. */
  antiAffinity?: string[];
}

/** A guest cell; it is placed on one host node. */
export interface CellShape {
  memoryPages: number;
  vcpus: number;
  hugepages?: HugepageShape;
}

export interface GuestShape {
  name: string;
  /** Cells of a guest go to different nodes of one host. */
  cells: CellShape[];
  /** Guests that have a key in common are never on one host. */
  antiAffinity?: string[];
  /** Groups whose hosts may take it; absent: every host. */
  hostGroups?: string[];
  /** Ids of hosts that may not take it. */
  notOn?: string[];
}

/**
 * `density`: as few hosts in use as can be; `locality`: the cells of a guest on nodes that are near to each
 * other, before density; `spread`: every guest on the host with the most memory left.
 */
export type Objective = 'density' | 'locality' | 'spread';
export const OBJECTIVES: readonly Objective[] = ['density', 'locality', 'spread'];

export interface PackRequest {
  hosts: HostShape[];
  guests: GuestShape[];
  objective: Objective;
  /** Bound of the work spent on improving a packing, in fits that are tried. Default: grows with the guests. */
  workMax?: number;
}

export interface PlacedGuest {
  guest: string;
  host: string;
  /** Host node of each cell, in the guest's order of cells. */
  nodes: number[];
}

/** What keeps a guest off the host that comes nearest to taking it. */
export interface Refusal {
  code: 'memory' | 'vcpus' | 'hugepages' | 'nodes' | 'anti-affinity' | 'host-group' | 'excluded';
  /** Absent where no host may take the guest at all. */
  host?: string;
  node?: number;
  /** Of `memory` in base pages, of `hugepages` in pages of `sizeKib`, of `vcpus` in vCPUs, of `nodes` in nodes. */
  shortfall: number;
  sizeKib?: number;
}

/**
 * Hosts that do not take a guest for the same reason: `host` is the first of them, `shortfall` what each lacks. Where
 * there would be too many such groups, the rest are together by code, and lack from `shortfall` to `shortfallMost`.
 */
export interface RefusingHosts extends Refusal {
  host: string;
  shortfallMost?: number;
  count: number;
  /** Ids of the hosts, nearest first; fewer than `count` where so many guests are refused that they would fill the answer. */
  hosts: string[];
}

export interface RefusedGuest {
  guest: string;
  /** Of the host that comes nearest. */
  refusal: Refusal;
  /** Every host, the nearest first and those that may not take it last. Guests that are alike share the list. */
  hosts: RefusingHosts[];
}

export interface Packing {
  placed: PlacedGuest[];
  refused: RefusedGuest[];
  /** Hosts with at least one guest, those that stay included. */
  hostsUsed: number;
  /** What found it, such as `best-fit`; improvements follow behind a plus sign. */
  method: string;
}
