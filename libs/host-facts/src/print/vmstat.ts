import { isNumaEvent } from './kernel-layout';
import { textOf } from './layout';
import { allZones, knownSum, zoneSum, type NodeState, type PrintedState } from './printed-state';
import { dirtyThresholds } from './reserves';

/** A counter of all zones; where no zone knows it, what /proc/vmstat of the host said. */
export function zoneStat(state: PrintedState, name: string): number {
  const sum = knownSum(allZones(state), (zone) => zone.stats[name]);
  return sum ?? state.carried.vmstat?.[name] ?? 0;
}

/**
 * A counter of all nodes; where no node knows it, what /proc/vmstat of the host said. Counts that the replay
 * keeps for the whole host only (pages written, refaults) are added here and stand in no node's text.
 */
export function nodeStat(state: PrintedState, name: string): number {
  const sum = knownSum(state.nodes, (node) => node.stats[name]);
  return (sum ?? state.carried.vmstat?.[name] ?? 0) + (state.hostWide[name] ?? 0);
}

/** A counter of the nodes, else of the zones, else what /proc/vmstat of the host said. */
export function anyStat(state: PrintedState, name: string): number {
  const known = state.nodes.some((node) => node.stats[name] !== undefined);
  return known ? nodeStat(state, name) : zoneStat(state, name) + (state.hostWide[name] ?? 0);
}

/** A counter that kernels keep by zone or by node, as the host's one does. */
function hostStat(state: PrintedState, name: string): number {
  return isPerZone(state, name)
    ? zoneStat(state, name) + (state.hostWide[name] ?? 0)
    : nodeStat(state, name);
}

function isPerZone({ layout }: PrintedState, name: string): boolean {
  return layout.zoneStats.includes(name);
}

/**
 * /proc/vmstat.
 * @kernel mm/vmstat.c vmstat_start(), vmstat_show()
 */
export function printVmstat(state: PrintedState): string {
  const { layout, events } = state;
  const { thresholdPages, backgroundPages } = dirtyThresholds(state);
  const perNode = new Set(layout.nodeStats);
  const valueOf = (name: string): number => {
    if (isNumaEvent(name)) return state.nodes.reduce((sum, node) => sum + node.numaEvents[name], 0);
    if (name === 'nr_dirty_threshold') return thresholdPages;
    if (name === 'nr_dirty_background_threshold') return backgroundPages;
    if (isPerZone(state, name) || perNode.has(name)) return hostStat(state, name);
    return events[name] ?? 0;
  };
  return textOf(layout.vmstat.map((name) => `${name} ${valueOf(name)}`));
}

/**
 * /sys/devices/system/node/nodeN/vmstat.
 * @kernel drivers/base/node.c node_read_vmstat()
 */
export function printNodeVmstat(node: NodeState, { layout }: PrintedState): string {
  return textOf([
    ...layout.zoneStats.map((name) =>
      isNumaEvent(name)
        ? `${name} ${node.numaEvents[name]}`
        : `${name} ${zoneSum(node.zones, (zone) => zone.stats[name] ?? 0)}`,
    ),
    ...layout.nodeStats.map((name) => `${name} ${node.stats[name] ?? 0}`),
  ]);
}
