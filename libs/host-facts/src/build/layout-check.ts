/** What a kernel prints of its layout, held against what the model makes of the other texts. */
import {
  buildZonelists,
  extfragIndex,
  nodeStates,
  unusableIndex,
  type HostModel,
  type HostZone,
} from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { memoryBlockBytes, memoryBlocks } from '../print/memory-map';
import type { PrintedIndex } from '../parse/layout-texts';

const STATES_RULE =
  'node states follow from CPUs and memory of the nodes; what the kernel printed is shown beside them';
const ORDER_RULE =
  'zonelists are built from the distances as the kernel builds them; what it printed is shown beside them';
const RANGE_RULE =
  'starts of zones are as zoneinfo has them, or laid out; the boot log is shown beside them';
const INDEX_RULE =
  'indexes are computed from the free lists, which were read at another moment than the printed ones';

/** Lists where the kernel's own words differ from the model; nothing is refused for it. */
export function checkLayout(model: HostModel, facts: HostFacts, ledger: Ledger): void {
  checkStates(model, facts, ledger);
  for (const { nodeId, order } of facts.zonelists ?? []) {
    const own = zonelistsOf(model).find((list) => list.nodeId === nodeId)?.order ?? [];
    differ(`zonelists.${nodeId}`, 'model', own, 'zonelists', order, ORDER_RULE, ledger);
  }
  for (const { nodeId, range } of facts.zoneRanges?.nodes ?? []) {
    const zones = model.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
    const own = zones.length === 0 ? [] : [Math.min(...zones.map(({ startPfn }) => startPfn))];
    const printed = range === null ? [] : [range.startPfn];
    differ(`nodes.${nodeId}.startPfn`, 'model', own, 'zoneRanges', printed, RANGE_RULE, ledger);
  }
  checkMemmap(model, facts, ledger);
  checkIndex('extfragIndex', model, facts.extfragIndex, extfragIndex, ledger);
  checkIndex('unusableIndex', model, facts.unusableIndex, unusableIndex, ledger);
}

/** Pages of zones and memory blocks, where the kernel printed them. */
function checkMemmap(model: HostModel, facts: HostFacts, ledger: Ledger): void {
  for (const { nodeId, zone: name, presentPages } of facts.memmap ?? []) {
    const zones = model.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
    const own = zones.find((zone) => zone.name === name)?.presentPages;
    if (own === undefined || presentPages === undefined) continue;
    const path = `nodes.${nodeId}.zones.${name}.presentPages`;
    differ(path, 'model', [own], 'memmap', [presentPages], MEMMAP_RULE, ledger);
  }
  const { blockBytes = null, nodes = [] } = facts.sections ?? {};
  // Blocks of another size have other numbers.
  if (nodes.length === 0) return;
  if (blockBytes !== null && blockBytes !== memoryBlockBytes(model)) return;
  const blocks = new Map(memoryBlocks(model).map((node) => [node.nodeId, node.blocks]));
  for (const { nodeId, blocks: printed } of nodes) {
    const own = blocks.get(nodeId) ?? [];
    differ(`nodes.${nodeId}.sections`, 'model', own, 'sections', printed, SECTIONS_RULE, ledger);
  }
}

const MEMMAP_RULE =
  'pages of zones are as zoneinfo has them; what the kernel counted at boot is shown beside them';
const SECTIONS_RULE =
  'zone tables tell how many frames are missing, not which: holes are taken to lie at the end of a zone';

function checkStates(model: HostModel, facts: HostFacts, ledger: Ledger): void {
  const printed = facts.nodeStates;
  if (printed === undefined) return;
  const own = nodeStates(model.nodes);
  const known = {
    online: own.N_ONLINE,
    has_normal_memory: own.N_NORMAL_MEMORY,
    has_memory: own.N_MEMORY,
    has_cpu: own.N_CPU,
  };
  for (const [name, ids] of Object.entries(known)) {
    const other = printed[name];
    if (other !== undefined)
      differ(`nodeStates.${name}`, 'model', ids, 'nodeStates', other, STATES_RULE, ledger);
  }
}

function zonelistsOf({ nodes, distances }: HostModel) {
  return buildZonelists(
    nodes.map(({ nodeId, cpus, zones }) => ({
      nodeId,
      hasCpus: cpus.length > 0,
      hasMemory: zones.some(({ managedPages }) => managedPages > 0),
    })),
    distances,
  );
}

function checkIndex(
  source: string,
  model: HostModel,
  printed: PrintedIndex[] | undefined,
  indexOf: (freeBlocks: HostZone['freeBlocks'], order: number) => number,
  ledger: Ledger,
): void {
  for (const { nodeId, zone: name, thousandths } of printed ?? []) {
    const zones = model.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
    const zone = zones.find((candidate) => candidate.name === name);
    if (zone === undefined) continue;
    const own = thousandths.map((_, order) => Math.round(indexOf(zone.freeBlocks, order) * 1000));
    const path = `nodes.${nodeId}.zones.${name}.${source}`;
    differ(path, 'free lists', own, source, thousandths, INDEX_RULE, ledger);
  }
}

function differ(
  path: string,
  source: string,
  own: readonly number[],
  otherSource: string,
  other: readonly number[],
  rule: string,
  ledger: Ledger,
): void {
  const taken = { source, value: own.join() };
  ledger.differ(path, taken, { source: otherSource, value: other.join() }, rule);
}
