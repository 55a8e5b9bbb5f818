import { HOTPLUG_PAGES } from '../machine';
import type { MachineConfig, MachineOp, MachinePolicy, RequestKind } from '../machine';

/** pfn of the first page of node n in the machines of these tests: 4 GiB apart, aligned to every order. */
export function nodeBase(node: number): number {
  return (node + 1) << 20;
}

export const DEFAULT_POLICY: MachinePolicy = { mode: 'default', nodes: [] };

/**
 * Nodes with one Normal zone of the given size and one CPU of the node's number each; min_free_kbytes is
 * 4 KiB times `minPages`, so that a single zone has exactly that min mark.
 */
export function lab(
  sizes: number[],
  minPages: number,
  sysctl: Partial<MachineConfig['sysctl']> = {},
): MachineConfig {
  return {
    nodes: sizes.map((pages, n) => ({
      cpus: [n],
      zones: [{ index: 2, startPfn: nodeBase(n), pages }],
      hotplug: { startPfn: nodeBase(n), blocks: Math.floor(pages / HOTPLUG_PAGES) },
    })),
    distances: sizes.map((_, i) => sizes.map((__, j) => (i === j ? 10 : 20))),
    sysctl: {
      min_free_kbytes: minPages * 4,
      watermark_scale_factor: 10,
      watermark_boost_factor: 15000,
      lowmem_reserve_ratio: [256, 256, 32, 0],
      zone_reclaim_mode: 0,
      min_unmapped_ratio: 1,
      swappiness: 60,
      ...sysctl,
    },
    swapPages: 0,
    costs: {
      faultNs: 1000,
      remoteFaultNs: 500,
      scanNs: 10,
      rmapNs: 20,
      stealNs: 30,
      reclaimRoundNs: 4000,
      pageoutNs: 100,
      swapWriteNs: 50,
      swapWritePageNs: 1,
      swapRequestPages: 127,
      kswapdWakeNs: 50_000,
      hugetlbPageNs: 4000,
      hugeFaultNs: 90_000,
      freeNs: 120,
    },
  };
}

type Alloc = Extract<MachineOp, { op: 'alloc' }>;

/** An allocation by owner 1 on CPU 0 under the default policy, unless said otherwise. */
export function alloc(kind: RequestKind, count: number, more: Partial<Alloc> = {}): Alloc {
  return {
    op: 'alloc',
    owner: 1,
    kind,
    cpu: 0,
    policy: DEFAULT_POLICY,
    mems: null,
    order: 0,
    type: 0,
    count,
    ...more,
  };
}

type Free = Extract<MachineOp, { op: 'free' }>;

/** Frees all of [from, from + count) of owner 1 on CPU 0, unless said otherwise. */
export function free(from: number, count: number, more: Partial<Free> = {}): Free {
  return { op: 'free', owner: 1, cpu: 0, from, count, every: 1, keep: 0, ...more };
}
