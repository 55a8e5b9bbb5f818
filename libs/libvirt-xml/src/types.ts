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
  vcpu: {
    count: number;
    current: number;
    placement: 'static' | 'auto';
    /** Host CPUs; null when not given. */
    cpuset: number[] | null;
  };
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
  }[];
  memoryBacking: {
    hugepages: { sizeKib: number | null; nodeset: number[] | null }[] | null;
    locked: boolean;
    source: string | null;
    access: string | null;
    allocation: string | null;
    nosharepages: boolean;
  };
  /** dimm, nvdimm, virtio-mem, virtio-pmem. */
  memoryDevices: {
    model: string;
    sizeKib: number;
    node: number | null;
    nodemask: number[] | null;
    /** virtio-mem: how much of the size is plugged. */
    requestedKib?: number;
  }[];
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
    }[];
  };
}

export type ParseOutcome<T> = { ok: true; value: T } | { ok: false; problems: XmlProblem[] };

/** Host facts that numatune semantics need at start. */
export interface HostPlacement {
  /** Nodes with memory. */
  memoryNodes: number[];
  nodes: { nodeId: number; cpus: number[] }[];
}

/** What a domain becomes at run time: the process that the kernel sees, with the reasons. */
export interface RuntimePlacement {
  guest: GuestProcess;
  /** Bytes of host page cache that its disks fill, in pages; by the stated default rule. */
  diskCachePages: number;
  /** Rules used where the document leaves something open (e.g. which node's CPUs touch the memory). */
  assumptions: { code: string; message: string }[];
}

export type { GuestProcess, RunningGuest };

/** A change of placement to write into a domain document; what is absent stays as it is. */
export interface NumatuneChange {
  memory?: { mode: NumatuneMode; nodeset: number[] } | null;
  memnodes?: { cellid: number; mode: NumatuneMode; nodeset: number[] }[];
}
