import { HOTPLUG_ACTIONS, PAGES_PER_MIB, SECTION_PAGES } from '@zonewise/simulator';
import type { ReplayStep } from '@zonewise/simulator';
import { AdvisorInputError } from './errors';
import type { HotplugDemand, SimulationRequest } from './types';

/** Blocks of one entry; keeps a hostile request bounded. */
const BLOCKS_MAX = 4096;
const BLOCK_MIB_MAX = 2048;
const MIB_MAX = 2 ** 26;

/**
 * Steps that bring memory blocks online or take them offline, of those that the demand names for this moment.
 * @throws AdvisorInputError naming the field that is wrong
 */
export function hotplugSteps(
  { demand, host }: SimulationRequest,
  at: 'start' | 'end',
): ReplayStep[] {
  return (demand.hotplug ?? []).flatMap((entry, i): ReplayStep[] => {
    const path = `/demand/hotplug/${i}`;
    check(entry, path);
    if (!host.nodes.some(({ nodeId }) => nodeId === entry.node)) {
      const known = host.nodes.map(({ nodeId }) => nodeId).join(', ');
      const message = `Found ${entry.node}; the host's nodes are ${known}.`;
      throw new AdvisorInputError('unknown-node', `${path}/node`, message);
    }
    if ((entry.at ?? 'end') !== at) return [];
    const { action, node, startMib, mib, blockMib, memmapOnMemory, timeoutSeconds } = entry;
    return [
      {
        op: 'hotplug',
        label: `${action} ${mib} MiB from ${startMib} MiB on node ${node}`,
        action,
        nodeId: node,
        startPfn: startMib * PAGES_PER_MIB,
        pages: mib * PAGES_PER_MIB,
        ...(blockMib !== undefined && { blockPages: blockMib * PAGES_PER_MIB }),
        ...(memmapOnMemory !== undefined && { memmapOnMemory }),
        ...(timeoutSeconds !== undefined && { timeoutSeconds }),
      },
    ];
  });
}

function check(entry: HotplugDemand, path: string): void {
  const { action, startMib, mib, blockMib = SECTION_PAGES / PAGES_PER_MIB } = entry;
  if (!HOTPLUG_ACTIONS.includes(action))
    invalid(`${path}/action`, action, `one of ${HOTPLUG_ACTIONS.join(', ')}`);
  const least = SECTION_PAGES / PAGES_PER_MIB;
  const sized = blockMib >= least && blockMib <= BLOCK_MIB_MAX;
  if (!sized || !Number.isInteger(Math.log2(blockMib)))
    invalid(`${path}/blockMib`, blockMib, `a power of two from ${least} to ${BLOCK_MIB_MAX}`);
  for (const [key, value] of Object.entries({ startMib, mib })) {
    if (!(value >= 0 && value <= MIB_MAX && value % blockMib === 0))
      invalid(`${path}/${key}`, value, `a multiple of ${blockMib} MiB, up to ${MIB_MAX}`);
  }
  if (mib > BLOCKS_MAX * blockMib)
    invalid(`${path}/mib`, mib, `at most ${BLOCKS_MAX} blocks of ${blockMib} MiB`);
}

function invalid(path: string, found: string | number, expected: string): never {
  throw new AdvisorInputError('invalid-demand', path, `Found ${found}; expected ${expected}.`);
}
