import type { RegionSpec } from '@zonewise/simulator';
import { cpuNodes } from '../host-nodes';
import { tunedRegions } from '../placement';
import type { Change, NumatuneValue, PinningValue } from '../types';
import { NodeAccounts } from './node-accounts';
import type { RivalRule, RuleInput } from './rule';

/** Most free memory first, or least. */
type Strategy = 'spread' | 'pack';

/**
 * OpenStack Nova's NUMA fitting with ram_allocation_ratio 1.0: host cells sorted by what the books say is left on them
 * unless the guest has as many cells, then the first permutation that has room for each guest cell on a host
 * cell of its own; strict, vCPUs pinned to the same nodes. Measured memory plays no part.
 *
 * A guest that Nova would refuse (no permutation fits) is replayed without numatune, so that all configurations
 * start the same guests.
 *
 * @source nova/virt/hardware.py numa_fit_instance_to_host(), _numa_fit_instance_cell(); 26.2
 * @differs the number of vCPUs is not known, so CPUs never run out and no sort by used CPUs is made; no PCI devices
 */
function novaChange({ host, guests, planned }: RuleInput, strategy: Strategy): Change {
  const accounts = new NodeAccounts(host, guests);
  const hostCells = accounts.nodes.filter((node) => cpuNodes(host).includes(node));
  const numatune: [name: string, setting: NumatuneValue][] = [];
  const pinning: [name: string, value: PinningValue][] = [];
  for (const { spec } of planned) {
    const { name } = spec.guest;
    const cells = tunedRegions(spec);
    const nodes = fit(cells, sorted(hostCells, cells.length, accounts, strategy), accounts);
    if (nodes === undefined) {
      numatune.push([name, { mode: 'none', nodeset: [] }]);
      continue;
    }
    cells.forEach((cell, i) => accounts.book(nodes[i] ?? 0, cell));
    numatune.push([name, settingOf(cells, nodes)]);
    const value = {
      nodes: [...nodes].sort((a, b) => a - b),
      ...(cells.length > 1 && {
        cells: cells.map(({ cell }, i) => ({ cellid: cell, nodes: nodes.slice(i, i + 1) })),
      }),
    };
    pinning.push([name, value]);
  }
  return {
    sysctl: {},
    numatune: Object.fromEntries(numatune),
    pinning: Object.fromEntries(pinning),
  };
}

function sorted(
  hostCells: number[],
  guestCells: number,
  accounts: NodeAccounts,
  strategy: Strategy,
): number[] {
  if (hostCells.length <= guestCells) return hostCells;
  const sign = strategy === 'pack' ? 1 : -1;
  return [...hostCells].sort((a, b) => sign * (accounts.leftPages(a) - accounts.leftPages(b)));
}

/** The first permutation of host cells, in their order, that holds the guest's cells; undefined where none does. */
function fit(
  cells: RegionSpec[],
  hostCells: number[],
  accounts: NodeAccounts,
): number[] | undefined {
  const [first, ...rest] = cells;
  if (first === undefined) return [];
  for (const node of hostCells) {
    if (first.sizePages > accounts.leftPages(node, first)) continue;
    const others = fit(
      rest,
      hostCells.filter((other) => other !== node),
      accounts,
    );
    if (others) return [node, ...others];
  }
  return undefined;
}

function settingOf(cells: RegionSpec[], nodes: number[]): NumatuneValue {
  const nodeset = [...nodes].sort((a, b) => a - b);
  if (cells.length < 2) return { mode: 'strict', nodeset };
  const memnodes = cells.map(({ cell }, i) => ({
    cellid: cell,
    mode: 'strict' as const,
    nodeset: nodes.slice(i, i + 1),
  }));
  return { mode: 'strict', nodeset, memnodes };
}

export const novaSpread: RivalRule = {
  name: 'nova-spread',
  title: 'strict as OpenStack Nova fits cells, emptiest node first',
  source:
    'OpenStack Nova 26.2 (Zed), packing_host_numa_cells_allocation_strategy = false, its default',
  choose: (input) => novaChange(input, 'spread'),
};

export const novaPack: RivalRule = {
  name: 'nova-pack',
  title: 'strict as OpenStack Nova fits cells, fullest node first',
  source: 'OpenStack Nova 26.2 (Zed), packing_host_numa_cells_allocation_strategy = true',
  choose: (input) => novaChange(input, 'pack'),
};
