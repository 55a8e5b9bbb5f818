import type { ReplayStep } from '@zonewise/simulator';
import { AdvisorInputError } from './errors';
import type { SimulationRequest } from './types';

/** What a host takes for a huge page where nothing else is said. */
export const DEFAULT_HUGEPAGE_KIB = 2048;
const SIZES_KIB = [2048, 1048576];
const COUNT_MAX = 2 ** 24;

/**
 * Writes to the pools of huge pages that the demand names, in its order.
 * @throws AdvisorInputError naming the field that is wrong
 */
export function hugepageSteps({ demand, host }: SimulationRequest): ReplayStep[] {
  return (demand.hugepages ?? []).map((entry, i): ReplayStep => {
    const path = `/demand/hugepages/${i}`;
    const { node, count, sizeKib = DEFAULT_HUGEPAGE_KIB } = entry;
    if (!host.nodes.some(({ nodeId }) => nodeId === node)) {
      const known = host.nodes.map(({ nodeId }) => nodeId).join(', ');
      const message = `Found ${node}; the host's nodes are ${known}.`;
      throw new AdvisorInputError('unknown-node', `${path}/node`, message);
    }
    if (!SIZES_KIB.includes(sizeKib)) invalid(`${path}/sizeKib`, sizeKib, SIZES_KIB.join(' or '));
    if (!(Number.isSafeInteger(count) && count >= 0 && count <= COUNT_MAX)) {
      invalid(`${path}/count`, count, `a whole number from 0 to ${COUNT_MAX}`);
    }
    const label = `pool of ${count} huge pages of ${sizeKib} KiB on node ${node}`;
    return { op: 'hugepages', nodeId: node, sizeKib, count, label };
  });
}

function invalid(path: string, found: number, expected: string): never {
  throw new AdvisorInputError('invalid-demand', path, `Found ${found}; expected ${expected}.`);
}
