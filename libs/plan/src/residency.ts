/** Where a running domain's memory is, from whatever the host printed about its process. */
import {
  estimateResidency,
  parseNumaMaps,
  parseNumastatProcess,
  parseSmapsRollup,
} from '@zonewise/host-facts';
import { hugepageKibOf, type DomainView } from '@zonewise/libvirt-xml';
import { PAGE_KIB } from '@zonewise/simulator';
import type { HostModel } from '@zonewise/simulator';
import { configuredNumatune, hostPlacement } from './guest-spec';
import type { NodeResidency, ResidencySource } from './guest-spec';
import type { PlanProblem } from './plan-request';

/** All optional; at most one of the first two. */
export interface ResidencyTexts {
  /** /proc/PID/numa_maps of the QEMU process. */
  numaMaps?: string;
  /** Output of `numastat -p PID`. */
  numastat?: string;
  /** /proc/PID/smaps_rollup: how much is in huge pages, and in swap. */
  smapsRollup?: string;
}

export interface Residency {
  residency: NodeResidency[];
  residencySource: ResidencySource;
  swapPages: number;
  /** What a reader must know of these numbers. */
  notes: { code: string; message: string }[];
}

type Read<T> = { ok: true; value: T } | { ok: false; problems: PlanProblem[] };

const onlyPages = ({ nodeId, pages, hugePages }: NodeResidency): NodeResidency => ({
  nodeId,
  pages,
  hugePages,
});

function fromNumaMaps(
  text: string,
  anonHugeKib: number | undefined,
): Read<Omit<Residency, 'swapPages'>> {
  const parsed = parseNumaMaps(text, anonHugeKib);
  if (!parsed.ok) return parsed;
  const { guestRam, caveats } = parsed.value;
  return {
    ok: true,
    value: { residency: guestRam.map(onlyPages), residencySource: 'numa_maps', notes: caveats },
  };
}

function fromNumastat(text: string): Read<Omit<Residency, 'swapPages'>> {
  const parsed = parseNumastatProcess(text);
  if (!parsed.ok) return parsed;
  const message =
    'numastat -p counts the whole QEMU process; pages beyond the guest memory are taken for its own.';
  return {
    ok: true,
    value: {
      residency: parsed.value.map(onlyPages),
      residencySource: 'numastat',
      notes: [{ code: 'whole-process', message }],
    },
  };
}

/** A guest's cells on huge pages, in base pages: spread as the pools' pages that are in use are. */
function pooledPages(
  view: DomainView,
  host: HostModel,
  nodes: number[],
): { residency: NodeResidency[]; memoryKib: number } {
  const cells = view.cells.length > 0 ? view.cells : [{ id: 0, memoryKib: view.memoryKib }];
  const pooled = cells.flatMap(({ id: cell, memoryKib }) => {
    const sizeKib = hugepageKibOf(view, cell);
    return sizeKib === null ? [] : [{ cell, memoryKib, sizeKib }];
  });
  const residency = pooled.flatMap(({ cell, memoryKib, sizeKib }) => {
    const used = host.nodes.flatMap(({ nodeId, hugepages }) => {
      const pool = hugepages.find((each) => each.sizeKib === sizeKib);
      const pages = (pool?.totalPages ?? 0) - (pool?.freePages ?? 0);
      return pages > 0 && nodes.includes(nodeId) ? [{ nodeId, pages }] : [];
    });
    const inUse = used.reduce((sum, { pages }) => sum + pages, 0);
    let left = Math.ceil(memoryKib / sizeKib);
    const share = left / Math.max(inUse, left);
    return used.flatMap(({ nodeId, pages }): NodeResidency[] => {
      const taken = Math.min(left, Math.ceil(pages * share));
      left -= taken;
      const basePages = (taken * sizeKib) / PAGE_KIB;
      return taken === 0 ? [] : [{ nodeId, pages: basePages, hugePages: 0, cell }];
    });
  });
  return { residency, memoryKib: pooled.reduce((sum, { memoryKib: kib }) => sum + kib, 0) };
}

function estimated(view: DomainView, host: HostModel): Omit<Residency, 'swapPages'> {
  const { memoryNodes } = hostPlacement(host);
  const { nodeset } = configuredNumatune(view, memoryNodes);
  const nodes = nodeset.length > 0 ? nodeset : memoryNodes;
  const pooled = pooledPages(view, host, nodes);
  const ordinaryKib = Math.max(0, view.currentMemoryKib - pooled.memoryKib);
  const pages = Math.ceil(ordinaryKib / PAGE_KIB);
  const message =
    'Neither numa_maps nor numastat -p was given: where its pages are is estimated from its size, its numatune and the anonymous memory of the nodes, or the huge pages of their pools that are in use.';
  return {
    residency: [...pooled.residency, ...estimateResidency(host, pages, nodes).map(onlyPages)],
    residencySource: 'estimated',
    notes: [{ code: 'residency-estimated', message }],
  };
}

/** Nodes that the process has memory on must be nodes of the host. */
function foreignNodes(residency: NodeResidency[], host: HostModel, path: string): PlanProblem[] {
  const nodes = host.nodes.map((node) => node.nodeId);
  return residency
    .filter(({ nodeId }) => !nodes.includes(nodeId))
    .map(({ nodeId }) => ({
      code: 'unknown-host-node',
      path,
      message: `It names node ${nodeId}; the nodes of the host are ${nodes.join(', ')}.`,
    }));
}

/**
 * As numa_maps says, else as `numastat -p` says, else estimated by host-facts' stated rule and marked so.
 * @returns problems with paths that begin with the text's field name
 */
export function readResidency(
  texts: ResidencyTexts,
  view: DomainView,
  host: HostModel,
): Read<Residency> {
  const { numaMaps, numastat, smapsRollup } = texts;
  if (numaMaps !== undefined && numastat !== undefined) {
    const message = 'Give numaMaps or numastat, not both: they can disagree.';
    return { ok: false, problems: [{ code: 'two-residencies', path: 'numastat', message }] };
  }
  const rollup = smapsRollup === undefined ? undefined : parseSmapsRollup(smapsRollup);
  if (rollup !== undefined && !rollup.ok) return rollup;
  const read =
    numaMaps !== undefined
      ? fromNumaMaps(numaMaps, rollup?.value.anonHugeKib)
      : numastat !== undefined
        ? fromNumastat(numastat)
        : { ok: true as const, value: estimated(view, host) };
  if (!read.ok) return read;
  const source = numaMaps === undefined ? 'numastat' : 'numaMaps';
  const foreign = foreignNodes(read.value.residency, host, source);
  if (foreign.length > 0) return { ok: false, problems: foreign };
  const swapPages = Math.floor((rollup?.value.swapKib ?? 0) / PAGE_KIB);
  return { ok: true, value: { ...read.value, swapPages } };
}
