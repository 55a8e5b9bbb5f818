/**
 * What the library reads out of libvirt documents. Memory is KiB, sets are ascending arrays of numbers.
 */
import type { GuestProcess, RunningGuest } from '@zonewise/simulator';

/** A problem found in a document: all of them are collected, not only the first. */
export interface XmlProblem {
  /** Stable code, kebab-case; the closed set is in errors.md. */
  code: string;
  /** libvirt element path, e.g. `/domain/numatune/memory/@nodeset`. */
  path: string;
  message: string;
  /** 1-based position in the document. */
  line: number;
  column: number;
  expected?: string;
  found?: string;
}

export type NumatuneMode = 'strict' | 'preferred' | 'interleave' | 'restrictive';

/** The memory-placement view of a domain: what `POST /v1/domains/inspect` answers. */
export interface DomainView {
  name: string;
  /** `kvm`, `qemu`, ... as the `type` attribute of `<domain>` says. */
  type?: string;
  uuid?: string;
  memoryKib: number;
  currentMemoryKib: number;
  maxMemoryKib: number | null;
  /** Slots for memory devices; null without `<maxMemory slots>`. */
  memorySlots: number | null;
  vcpu: {
    count: number;
    current: number;
    placement: 'static' | 'auto';
    /** Host CPUs; null when not given. */
    cpuset: number[] | null;
  };
  /** `<vcpus>`: single vCPUs; empty when the document has none. */
  vcpus: { id: number; enabled: boolean; hotpluggable: boolean | null; order: number | null }[];
  /** Ids of the I/O threads, ascending. */
  iothreads: number[];
  cputune: {
    vcpupin: { vcpu: number; cpuset: number[] }[];
    emulatorpin: number[] | null;
    iothreadpin: { iothread: number; cpuset: number[] }[];
  };
  numatune: {
    memory: { mode: NumatuneMode; placement: 'static' | 'auto'; nodeset: number[] | null } | null;
    memnodes: { cellid: number; mode: NumatuneMode; nodeset: number[] }[];
  };
  cells: {
    id: number;
    cpus: number[];
    memoryKib: number;
    memAccess: 'shared' | 'private' | null;
    /** Whether the host may drop the cell's memory when the guest ends; null when not given. */
    discard: boolean | null;
    /** Distances to cells, ascending; a value that only the other cell gives is taken from there. */
    distances: { id: number; value: number }[];
    /** Memory-side caches; sizes in KiB, lines in bytes. */
    caches: {
      level: number;
      associativity: string;
      policy: string;
      sizeKib: number;
      lineBytes: number;
    }[];
  }[];
  /** HMAT: what memory of one cell costs from another; `cache` is the level of the target's cache, or null. */
  interconnects: {
    latencies: Interconnect<{ valueNs: number }>[];
    bandwidths: Interconnect<{ valueKibPerSecond: number }>[];
  };
  memoryBacking: {
    hugepages: { sizeKib: number | null; nodeset: number[] | null }[] | null;
    locked: boolean;
    source: string | null;
    access: string | null;
    allocation: string | null;
    nosharepages: boolean;
    discard: boolean;
  };
  /** dimm, nvdimm, virtio-mem, virtio-pmem. */
  memoryDevices: {
    model: string;
    sizeKib: number;
    node: number | null;
    nodemask: number[] | null;
    /** virtio-mem: how much of the size is plugged. */
    requestedKib?: number;
    access?: 'shared' | 'private';
    discard?: boolean;
    /** nvdimm, virtio-pmem: the file behind it. */
    path?: string;
    /** dimm, virtio-mem: size of the pages behind it. */
    pagesizeKib?: number;
    /** virtio-mem: what is plugged at a time. */
    blockKib?: number;
    /** nvdimm: the part of the size that holds labels. */
    labelKib?: number;
  }[];
  memballoon: { model: string; autodeflate: boolean; freePageReporting: boolean } | null;
  disks: {
    target: string;
    source: string | null;
    cache: string | null;
    /** Whether the host page cache holds what the guest reads and writes (cache none/directsync do not). */
    usesHostPageCache: boolean;
  }[];
  /** VFIO devices pin all guest memory. */
  hasVfioHostdev: boolean;
  warnings: { code: string; path: string; message: string; line: number; column: number }[];
  /** numad's advice that a running domain's status document records. */
  numadNodeset?: number[];
  /** Where sets stand that are checked against a host later: element path -> place in the document. */
  positions?: Record<string, { line: number; column: number }>;
}

export type Interconnect<T> = T & {
  initiator: number;
  target: number;
  cache: number | null;
  access: 'access' | 'read' | 'write';
};

/** What reading a document depends on beside its text. */
export interface ReadOptions {
  /** libvirt that is to read it, such as `9.0.0`: rules that came later are not applied. Default: all are. */
  libvirtVersion?: string;
}

export interface CapabilitiesView {
  arch: string | null;
  topology: {
    nodes: {
      id: number;
      memoryKib: number;
      cpus: number[];
      /** Base and huge page pools of the node: size of a page and their number. */
      pages: { sizeKib: number; count: number }[];
      /** Distance to each node id that the document lists. */
      distances: { id: number; value: number }[];
      /** CPUs with what libvirt tells of their place; ids of socket, die, cluster and core where given. */
      cpuPlaces: CpuPlace[];
      /** Memory-side caches (HMAT) of the node. */
      caches: DomainView['cells'][number]['caches'];
    }[];
    /** HMAT of the host; empty lists where the firmware has none. */
    interconnects: DomainView['interconnects'];
  };
  /** CPU caches: `both`, `code` or `data` of a level, with the CPUs that share it. */
  cpuCaches: { level: number; type: string; sizeKib: number; cpus: number[] }[];
}

export interface CpuPlace {
  id: number;
  socket: number | null;
  die: number | null;
  cluster: number | null;
  core: number | null;
  /** CPUs of the same core, this one included. */
  siblings: number[];
}

export type ParseOutcome<T> = { ok: true; value: T } | { ok: false; problems: XmlProblem[] };

/** Host facts that numatune semantics need at start. */
export interface HostPlacement {
  /** Nodes with memory. */
  memoryNodes: number[];
  nodes: { nodeId: number; cpus: number[] }[];
}

/** vCPUs that are online, and the nodes whose CPUs they run on. */
interface RunningVcpus {
  vcpus: number;
  nodes: number[];
}

/** Where the vCPUs of a domain run that pins some of them only. */
export interface PartlyPinned {
  unpinnedVcpus: number;
  /** By `cell` of the guest's regions. */
  cells: { cell: number; pinned: RunningVcpus; unpinned: RunningVcpus }[];
}

/** What a domain becomes at run time: the process that the kernel sees, with the reasons. */
export interface RuntimePlacement {
  guest: GuestProcess;
  /** Bytes of host page cache that its disks fill, in pages; by the stated default rule. */
  diskCachePages: number;
  /** Nodes whose CPUs QEMU's own threads run on, as far as pins and affinity say; else all with CPUs. */
  emulatorNodes: number[];
  /** Present where `<vcpupin>` holds some of the vCPUs and nothing the others. */
  partlyPinned?: PartlyPinned;
  /** Rules used where the document leaves something open (e.g. which node's CPUs touch the memory). */
  assumptions: { code: string; message: string }[];
}

export type { GuestProcess, RunningGuest };

/** A change of numatune to write into a domain document; what is absent stays as it is. */
export interface NumatuneChange {
  memory?: { mode: NumatuneMode; nodeset: number[] } | null;
  memnodes?: { cellid: number; mode: NumatuneMode; nodeset: number[] }[];
}

export type DiskCache = 'default' | 'none' | 'writethrough' | 'writeback' | 'directsync' | 'unsafe';

/** A change of placement to write into a domain document; what is absent stays as it is. */
/** Host CPUs of single vCPUs and of the emulator; threads that are not named keep the pins that they have. */
export interface CputuneChange {
  vcpupin?: { vcpu: number; cpuset: number[] }[];
  emulatorpin?: number[];
}

export interface DomainChange {
  numatune?: NumatuneChange;
  memoryBacking?: {
    /** null: none. `sizeKib` null: the host's default size; `nodeset` of guest cells, null: all others. */
    hugepages?: { sizeKib: number | null; nodeset: number[] | null }[] | null;
    locked?: boolean;
    nosharepages?: boolean;
    discard?: boolean;
    source?: 'file' | 'anonymous' | 'memfd' | null;
    access?: 'shared' | 'private' | null;
    allocation?: 'immediate' | 'ondemand' | null;
  };
  /** Host CPUs of vCPUs without a pin of their own; null takes the set out. */
  vcpu?: { cpuset: number[] | null };
  cputune?: CputuneChange;
  /** Cache modes of disks, by their target (`vda`); null takes the mode out. */
  disks?: { target: string; cache: DiskCache | null }[];
}
