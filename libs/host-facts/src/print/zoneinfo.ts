import { NODE_STAT_NAMES, NUMA_EVENT_NAMES, ZONE_STAT_NAMES } from './counter-names';
import { left, right, textOf } from './layout';
import { ALL_ZONES, type NodeState, type PrintedState, type ZoneState } from './printed-state';

/** Pages of a zone counted in 128 MiB. */
const DRIFT_UNIT_PAGES = 32768;
const MAX_STAT_THRESHOLD = 125;

/**
 * /proc/zoneinfo: every zone type of every node, empty ones with sizes of 0.
 * @kernel mm/vmstat.c zoneinfo_show_print()
 */
export function printZoneinfo(state: PrintedState): string {
  return textOf(state.nodes.flatMap((node) => nodeLines(node, state)));
}

function nodeLines(node: NodeState, { onlineCpus, printsPromo }: PrintedState): string[] {
  const first = node.zones[0];
  return ALL_ZONES.flatMap((name) => {
    const zone = node.zones.find((candidate) => candidate.name === name);
    const heading = `Node ${node.nodeId}, zone ${right(name, 8)}`;
    if (zone === undefined) return [heading, ...sizeLines(EMPTY_ZONE, printsPromo)];
    const perNode = zone === first ? nodeStatLines(node) : [];
    return [
      heading,
      ...perNode,
      ...sizeLines(zone, printsPromo),
      ...zoneLines(zone, node, onlineCpus.length),
    ];
  });
}

type Sizes = Pick<
  ZoneState,
  | 'freePages'
  | 'boostPages'
  | 'minPages'
  | 'lowPages'
  | 'highPages'
  | 'spannedPages'
  | 'presentPages'
  | 'managedPages'
  | 'protectionPages'
>;

const EMPTY_ZONE: Sizes = {
  freePages: 0,
  boostPages: 0,
  minPages: 0,
  lowPages: 0,
  highPages: 0,
  spannedPages: 0,
  presentPages: 0,
  managedPages: 0,
  protectionPages: ALL_ZONES.map(() => 0),
};

function statLine(name: string, count: number): string {
  return `      ${left(name, 12)} ${count}`;
}

function nodeStatLines(node: NodeState): string[] {
  return [
    '  per-node stats',
    ...NODE_STAT_NAMES.map((name) => statLine(name, node.stats[name] ?? 0)),
  ];
}

function sizeLines(zone: Sizes, printsPromo: boolean): string[] {
  const size = (name: string, pages: number): string => `        ${left(name, 8)} ${pages}`;
  return [
    `  pages free     ${zone.freePages}`,
    size('boost', zone.boostPages),
    size('min', zone.minPages),
    size('low', zone.lowPages),
    size('high', zone.highPages),
    ...(printsPromo ? [size('promo', 2 * zone.highPages - zone.lowPages)] : []),
    size('spanned', zone.spannedPages),
    size('present', zone.presentPages),
    size('managed', zone.managedPages),
    size('cma', 0),
    `        protection: (${zone.protectionPages.join(', ')})`,
  ];
}

function zoneLines(zone: ZoneState, node: NodeState, cpus: number): string[] {
  const threshold = statThreshold(zone, cpus, node.kswapdAwake);
  return [
    ...ZONE_STAT_NAMES.map((name) => statLine(name, zone.stats[name] ?? 0)),
    ...NUMA_EVENT_NAMES.map((name) => statLine(name, zone.numaEvents[name] ?? 0)),
    '  pagesets',
    ...zone.pagesets.flatMap((pageset) => [
      `    cpu: ${pageset.cpu}`,
      `              count: ${pageset.countPages}`,
      `              high:  ${pageset.highPages}`,
      `              batch: ${pageset.batchPages}`,
      `  vm stats threshold: ${threshold}`,
    ]),
    `  node_unreclaimable:  ${node.isUnreclaimable ? 1 : 0}`,
    `  start_pfn:           ${zone.startPfn}`,
  ];
}

/**
 * How far a CPU's own counts may run ahead before they are added to the zone's. While kswapd is awake all
 * CPUs together must not hide that free memory is below the min mark.
 * @kernel mm/vmstat.c calculate_normal_threshold(), calculate_pressure_threshold()
 */
export function statThreshold(
  zone: Pick<ZoneState, 'managedPages' | 'minPages' | 'lowPages'>,
  cpus: number,
  kswapdAwake: boolean,
): number {
  const units = Math.floor(zone.managedPages / DRIFT_UNIT_PAGES);
  const threshold = kswapdAwake
    ? Math.max(Math.floor((zone.lowPages - zone.minPages) / cpus), 1)
    : 2 * bitLength(cpus) * (1 + bitLength(units));
  return Math.min(threshold, MAX_STAT_THRESHOLD);
}

/** Position of the highest set bit, counted from 1; 0 for 0 (the kernel's fls). */
function bitLength(value: number): number {
  return value === 0 ? 0 : value.toString(2).length;
}
