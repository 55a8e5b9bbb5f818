import { PAGE_KIB, type HostModel, type HostNode } from '@zonewise/simulator';
import type { ProblemList } from '../errors';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { checkLayout } from './layout-check';
import { freeSources, hostFrees, hostSizes, sizeSources, type NodeAmount } from './node-size';

const SIZE_RULE =
  'sizes: zoneinfo before nodeMeminfo before cellMemstats before numastatMeminfo before numactlHardware before capabilities before what is said of the whole host';
const FREE_RULE =
  'free memory is read at different moments: zoneinfo before nodeMeminfo before freepages before cellMemstats before freecell before numastatMeminfo before numactlHardware before what is said of the whole host';
const COUNT_RULE =
  'a kernel counts every page once as hit or miss of the node and once as local or other: counters are kept as printed';

/** Lists where sources disagree about sizes and free memory; nothing is refused for it. */
export function crossCheck(model: HostModel, facts: HostFacts, ledger: Ledger): void {
  for (const node of model.nodes) checkNode(node, model.nodes.length, facts, ledger);
  checkLayout(model, facts, ledger);
  const sum = (field: 'managedPages' | 'freePages'): number =>
    model.nodes.reduce((total, node) => total + nodeSum(node, field), 0);
  // With one node these are already among the node's own sources.
  if (model.nodes.length > 1) {
    compare('nodes', sum('managedPages'), hostSizes(facts), SIZE_RULE, ledger);
    compare('nodes.freePages', sum('freePages'), hostFrees(facts), FREE_RULE, ledger);
  } else {
    const vmstat = hostFrees(facts).filter(({ source }) => source === 'vmstat');
    compare('nodes.freePages', sum('freePages'), vmstat, FREE_RULE, ledger);
  }
}

/** What the six counters of a node say of each other. @kernel mm/page_alloc.c zone_statistics() */
function checkCounters({ nodeId, numastat }: HostNode, ledger: Ledger): void {
  const { numaHit, numaMiss, localNode, otherNode } = numastat;
  ledger.differ(
    `nodes.${nodeId}.numastat`,
    { source: 'numa_hit + numa_miss', value: numaHit + numaMiss },
    { source: 'local_node + other_node', value: localNode + otherNode },
    COUNT_RULE,
  );
}

function nodeSum(node: HostNode, field: 'managedPages' | 'freePages'): number {
  return node.zones.reduce((total, zone) => total + zone[field], 0);
}

function checkNode(node: HostNode, nodes: number, facts: HostFacts, ledger: Ledger): void {
  const path = `nodes.${node.nodeId}`;
  const { nodeId } = node;
  const size = nodeSum(node, 'managedPages');
  compare(`${path}.managedPages`, size, sizeSources(facts, nodeId, nodes), SIZE_RULE, ledger);
  const free = nodeSum(node, 'freePages');
  compare(`${path}.freePages`, free, freeSources(facts, nodeId, nodes), FREE_RULE, ledger);
  checkCounters(node, ledger);
}

function compare(
  path: string,
  taken: number,
  others: NodeAmount[],
  rule: string,
  ledger: Ledger,
): void {
  for (const other of others) {
    // A source in whole MB hides up to one MB.
    if (taken >= other.pages && taken < other.pages + other.unitPages) continue;
    ledger.differ(
      path,
      { source: 'model', value: taken },
      { source: other.source, value: other.pages },
      rule,
    );
  }
}

/** Page sizes of other kernels, as multiples of 4 KiB. */
const OTHER_PAGE_SIZES = [4, 16];

/** zoneinfo counts pages, meminfo KiB: their ratio shows a kernel whose pages are not 4 KiB. */
export function checkPageSize(model: HostModel, facts: HostFacts, problems: ProblemList): void {
  const kib = facts.meminfo?.MemTotal;
  if (facts.zoneinfo === undefined || kib === undefined) return;
  const pages = model.nodes.reduce((total, node) => total + nodeSum(node, 'managedPages'), 0);
  const ratio = kib / (pages * PAGE_KIB);
  for (const times of OTHER_PAGE_SIZES) {
    if (Math.abs(ratio / times - 1) > 0.01) continue;
    problems.add({
      code: 'unsupported-page-size',
      message: `the host's pages are ${times * PAGE_KIB} KiB: ${pages} pages are ${kib} KiB in meminfo`,
      expected: `pages of ${PAGE_KIB} KiB`,
      found: `${times * PAGE_KIB} KiB`,
    });
  }
}
