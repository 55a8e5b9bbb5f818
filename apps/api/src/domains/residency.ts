import { estimateResidency, parseNumaMaps, parseNumastatProcess } from '@zonewise/host-facts';
import type { FactProblem } from '@zonewise/host-facts';
import type { DomainView } from '@zonewise/libvirt-xml';
import type { HostModel } from '@zonewise/simulator';
import type { Domain, StoredResidency } from '../database/entities/domain.entity';
import { ProblemException } from '../http/problem';
import { hostPlacement } from './host-placement';

/** What tells where a running domain's memory is. At most one of the first two. */
export interface ResidencyTexts {
  /** /proc/PID/numa_maps of the QEMU process. */
  numaMaps?: string;
  /** Output of `numastat -p PID`. */
  numastat?: string;
  /** /proc/PID/smaps_rollup: how much is in huge pages, and in swap. */
  smapsRollup?: string;
}

export type Residency = Pick<
  Domain,
  'residency' | 'residencySource' | 'residencyNotes' | 'swapPages'
>;

const PAGE_KIB = 4;

/** A planned domain has no memory yet. */
export const NO_RESIDENCY: Residency = {
  residency: null,
  residencySource: null,
  residencyNotes: [],
  swapPages: 0,
};

export const hasTexts = (texts: ResidencyTexts): boolean =>
  texts.numaMaps !== undefined || texts.numastat !== undefined || texts.smapsRollup !== undefined;

/**
 * Where a running domain's memory is: as numa_maps says, else as `numastat -p` says, else estimated by
 * host-facts' stated rule and marked so.
 * @throws ProblemException invalid-residency
 */
export function residencyOf(texts: ResidencyTexts, view: DomainView, model: HostModel): Residency {
  if (texts.numaMaps !== undefined && texts.numastat !== undefined) {
    refuse('numastat', 'Give numaMaps or numastat, not both: they can disagree.');
  }
  const rollup = readRollup(texts.smapsRollup);
  const swapPages = Math.floor((rollup.swapKib ?? 0) / PAGE_KIB);
  if (texts.numaMaps !== undefined) {
    return { ...fromNumaMaps(texts.numaMaps, rollup.anonHugeKib, model), swapPages };
  }
  if (texts.numastat !== undefined) return { ...fromNumastat(texts.numastat, model), swapPages };
  return { ...estimated(view, model), swapPages };
}

function fromNumaMaps(text: string, anonHugeKib: number | undefined, model: HostModel) {
  const outcome = parseNumaMaps(text, anonHugeKib);
  if (!outcome.ok) throw invalid('numaMaps', outcome.problems);
  const residency = outcome.value.guestRam.map(({ nodeId, pages, hugePages }) => ({
    nodeId,
    pages,
    hugePages,
  }));
  requireNodes(residency, model, 'numaMaps');
  return {
    residency,
    residencySource: 'numa_maps' as const,
    residencyNotes: outcome.value.caveats,
  };
}

function fromNumastat(text: string, model: HostModel) {
  const outcome = parseNumastatProcess(text);
  if (!outcome.ok) throw invalid('numastat', outcome.problems);
  const residency = outcome.value.map(({ nodeId, pages, hugePages }) => ({
    nodeId,
    pages,
    hugePages,
  }));
  requireNodes(residency, model, 'numastat');
  const message =
    'numastat -p counts the whole QEMU process; pages beyond the guest memory are taken for its own.';
  return {
    residency,
    residencySource: 'numastat' as const,
    residencyNotes: [note('whole-process', message)],
  };
}

function estimated(view: DomainView, model: HostModel) {
  const { memoryNodes } = hostPlacement(model);
  const { memory, memnodes } = view.numatune;
  const nodes = memory?.nodeset ?? memnodes.flatMap((memnode) => memnode.nodeset);
  const pages = Math.ceil(view.currentMemoryKib / PAGE_KIB);
  const residency = estimateResidency(model, pages, nodes.length > 0 ? nodes : memoryNodes).map(
    (entry) => ({ nodeId: entry.nodeId, pages: entry.pages, hugePages: entry.hugePages }),
  );
  const message =
    'Neither numa_maps nor numastat -p was given: the residency is estimated from the size of the domain, its numatune and the anonymous memory of the nodes.';
  return {
    residency,
    residencySource: 'estimated' as const,
    residencyNotes: [note('residency-estimated', message)],
  };
}

const note = (code: string, message: string) => ({ code, message });

/** Nodes that the process has memory on must be nodes of the host. */
function requireNodes(residency: StoredResidency[], model: HostModel, path: string): void {
  const nodes = model.nodes.map((node) => node.nodeId);
  for (const { nodeId } of residency) {
    if (nodes.includes(nodeId)) continue;
    refuse(path, `It names node ${nodeId}; the nodes of the host are ${nodes.join(', ')}.`);
  }
}

/** Two lines of smaps_rollup, in KiB. @throws ProblemException invalid-residency when neither is there */
function readRollup(text: string | undefined): { anonHugeKib?: number; swapKib?: number } {
  if (text === undefined) return {};
  const anonHugeKib = kibOf(text, /^AnonHugePages:\s+(\d{1,15}) kB\s*$/m);
  const swapKib = kibOf(text, /^Swap:\s+(\d{1,15}) kB\s*$/m);
  if (anonHugeKib === undefined) {
    refuse('smapsRollup', 'It has no line "AnonHugePages: N kB", as /proc/PID/smaps_rollup has.');
  }
  return { anonHugeKib, ...(swapKib === undefined ? {} : { swapKib }) };
}

function kibOf(text: string, line: RegExp): number | undefined {
  const match = line.exec(text);
  return match === null ? undefined : Number(match[1]);
}

function refuse(path: string, message: string): never {
  throw new ProblemException('invalid-residency', `${path}: ${message}`, { path });
}

function invalid(field: string, problems: FactProblem[]): ProblemException {
  const [first] = problems;
  return new ProblemException('invalid-residency', first?.message ?? `${field} is refused.`, {
    errors: problems,
    path: first?.path ?? field,
  });
}
