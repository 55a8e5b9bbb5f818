import {
  NODE_STAT_NAMES,
  NUMA_EVENT_NAMES,
  OPTIONAL_EVENTS,
  VM_EVENT_NAMES,
  ZONE_STAT_NAMES,
  type NodeStatName,
  type NumaEventName,
  type ZoneStatName,
} from './counter-names';
import { textOf } from './layout';
import { allZones, knownSum, zoneSum, type NodeState, type PrintedState } from './printed-state';
import { dirtyThresholds } from './reserves';

/** A counter of all zones; where no zone knows it, what /proc/vmstat of the host said. */
export function zoneStat(state: PrintedState, name: ZoneStatName): number {
  const sum = knownSum(allZones(state), (zone) => zone.stats[name]);
  return sum ?? state.carried.vmstat?.[name] ?? 0;
}

/**
 * A counter of all nodes; where no node knows it, what /proc/vmstat of the host said. Counts that the replay
 * keeps for the whole host only (pages written, refaults) are added here and stand in no node's text.
 */
export function nodeStat(state: PrintedState, name: NodeStatName): number {
  const sum = knownSum(state.nodes, (node) => node.stats[name]);
  return (sum ?? state.carried.vmstat?.[name] ?? 0) + (state.hostWide[name] ?? 0);
}

function numaEvents(state: PrintedState, name: NumaEventName): number {
  return state.nodes.reduce((sum, node) => sum + node.numaEvents[name], 0);
}

/**
 * /proc/vmstat.
 * @kernel mm/vmstat.c vmstat_start(), vmstat_show()
 */
export function printVmstat(state: PrintedState): string {
  const { thresholdPages, backgroundPages } = dirtyThresholds(state);
  const { vmstat } = state.carried;
  const events = VM_EVENT_NAMES.filter(
    (name) => !OPTIONAL_EVENTS.has(name) || vmstat === undefined || vmstat[name] !== undefined,
  );
  return textOf([
    ...ZONE_STAT_NAMES.map((name) => `${name} ${zoneStat(state, name)}`),
    ...NUMA_EVENT_NAMES.map((name) => `${name} ${numaEvents(state, name)}`),
    ...NODE_STAT_NAMES.map((name) => `${name} ${nodeStat(state, name)}`),
    `nr_dirty_threshold ${thresholdPages}`,
    `nr_dirty_background_threshold ${backgroundPages}`,
    ...events.map((name) => `${name} ${state.events[name] ?? 0}`),
    'nr_unstable 0',
  ]);
}

/**
 * /sys/devices/system/node/nodeN/vmstat.
 * @kernel drivers/base/node.c node_read_vmstat()
 */
export function printNodeVmstat(node: NodeState): string {
  return textOf([
    ...ZONE_STAT_NAMES.map(
      (name) => `${name} ${zoneSum(node.zones, (zone) => zone.stats[name] ?? 0)}`,
    ),
    ...NUMA_EVENT_NAMES.map((name) => `${name} ${node.numaEvents[name]}`),
    ...NODE_STAT_NAMES.map((name) => `${name} ${node.stats[name] ?? 0}`),
  ]);
}
