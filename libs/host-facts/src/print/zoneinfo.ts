import { isNumaEvent, type KernelLayout } from './kernel-layout';
import { left, right, textOf } from './layout';
import { type NodeState, type PrintedState, type ZoneState } from './printed-state';

/** Pages of a zone counted in 128 MiB. */
const DRIFT_UNIT_PAGES = 32768;
const MAX_STAT_THRESHOLD = 125;

/**
 * /proc/zoneinfo: the zone types of every node, empty ones with sizes of 0 since 4.11.
 * @kernel mm/vmstat.c zoneinfo_show_print()
 */
export function printZoneinfo(state: PrintedState): string {
  return textOf(state.nodes.flatMap((node) => nodeLines(node, state)));
}

const MARKS = new Set(['min', 'low', 'high', 'promo']);

function nodeLines(node: NodeState, { onlineCpus, layout }: PrintedState): string[] {
  const first = node.zones[0];
  const listed = layout.listedZones ?? [];
  const names = [...listed, ...node.zones.map(({ name }) => name)];
  return [...new Set<string>(names)].flatMap((name) => {
    const zone = node.zones.find((candidate) => candidate.name === name);
    const heading = `Node ${node.nodeId}, zone ${right(name, 8)}`;
    if (zone === undefined) {
      const mark = name === 'Movable' ? layout.emptyMovableMarkPages : 0;
      const sizes = sizeLines((size) => (MARKS.has(size) ? mark : 0), layout);
      return [heading, ...sizes, protectionLine(listed.map(() => 0))];
    }
    const perNode =
      zone === first && layout.nodeStats.length > 0 ? nodeStatLines(node, layout) : [];
    return [heading, ...perNode, ...zoneLines(zone, node, onlineCpus.length, layout)];
  });
}

function statLine(name: string, count: number, indent: number): string {
  return `${' '.repeat(indent)}${left(name, 12)} ${count}`;
}

function nodeStatLines(node: NodeState, { nodeStats }: KernelLayout): string[] {
  return ['  per-node stats', ...nodeStats.map((name) => statLine(name, node.stats[name] ?? 0, 6))];
}

function sizeLines(pagesOf: (name: string) => number, { zoneSizes }: KernelLayout): string[] {
  return [
    `  pages free     ${pagesOf('free')}`,
    ...zoneSizes.map(
      (name) => `${right('', name === 'node_scanned' ? 3 : 8)}${left(name, 8)} ${pagesOf(name)}`,
    ),
  ];
}

/** A size or mark of a zone by its printed name; what the model does not have (scanned, cma) is 0. */
function sizeOf(zone: ZoneState, name: string): number {
  switch (name) {
    case 'free':
      return zone.freePages;
    case 'boost':
      return zone.boostPages;
    case 'min':
      return zone.minPages;
    case 'low':
      return zone.lowPages;
    case 'high':
      return zone.highPages;
    case 'promo':
      return 2 * zone.highPages - zone.lowPages;
    case 'spanned':
      return zone.spannedPages;
    case 'present':
      return zone.presentPages;
    case 'managed':
      return zone.managedPages;
    default:
      return 0;
  }
}

function protectionLine(pages: readonly number[]): string {
  return `        protection: (${pages.join(', ')})`;
}

function zoneLines(zone: ZoneState, node: NodeState, cpus: number, layout: KernelLayout): string[] {
  const threshold = statThreshold(zone, cpus, node.kswapdAwake);
  const protection = protectionLine(zone.protectionPages.slice(0, layout.zoneTypes));
  const stats = layout.zoneStats.map((name) =>
    statLine(
      name,
      (isNumaEvent(name) ? zone.numaEvents[name] : zone.stats[name]) ?? 0,
      layout.statIndent,
    ),
  );
  return [
    ...sizeLines((name) => sizeOf(zone, name), layout),
    ...(layout.protectionLast ? [...stats, protection] : [protection, ...stats]),
    '  pagesets',
    ...zone.pagesets.flatMap((pageset) => [
      `    cpu: ${pageset.cpu}`,
      `              count: ${pageset.countPages}`,
      `              high:  ${pageset.highPages}`,
      `              batch: ${pageset.batchPages}`,
      `  vm stats threshold: ${threshold}`,
    ]),
    ...layout.tail.map(({ name, label }) => label + String(tailOf(name, zone, node))),
  ];
}

/** DEF_PRIORITY, which the priority of the last reclaim is at rest. */
const DEF_PRIORITY = 12;

function tailOf(name: string, zone: ZoneState, node: NodeState): number {
  switch (name) {
    case 'start_pfn':
      return zone.startPfn;
    case 'prev_priority':
    case 'temp_priority':
      return DEF_PRIORITY;
    case 'inactive_ratio':
    case 'node_inactive_ratio':
      return inactiveRatio(zone.managedPages);
    default:
      return node.isUnreclaimable ? 1 : 0;
  }
}

/** @kernel mm/page_alloc.c calculate_zone_inactive_ratio() */
function inactiveRatio(managedPages: number): number {
  const gib = Math.floor(managedPages / 262_144);
  return gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
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
