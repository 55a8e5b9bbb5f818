/** What a kernel prints of a host's layout: debugfs, sysfs and its boot messages. Made from the model alone. */
import {
  buildZonelists,
  extfragIndex,
  nodeStates,
  unusableIndex,
  type HostModel,
  type HostZone,
} from '@zonewise/simulator';
import { ORDERS } from '../parse/buddyinfo';
import { left, right, textOf } from './layout';

const PAGE_BYTES = 4096n;
/** First frame behind the zone, by name; the zones above have no end. */
const ZONE_ENDS = [
  ['DMA', 4096],
  ['DMA32', 1_048_576],
  ['Normal', Number.MAX_SAFE_INTEGER],
] as const;

/** /sys/kernel/debug/extfrag/extfrag_index. @kernel mm/vmstat.c extfrag_show_print() */
export function printExtfragIndex(model: HostModel): string {
  return indexLines(model, ({ freeBlocks }, order) => {
    const thousandths = Math.round(extfragIndex(freeBlocks, order) * 1000);
    const rest = thousandths % 1000;
    // The kernel prints both parts with their sign: -1.000, and 0.-500.
    const digits = rest < 0 ? `-${right(-rest, 2).replaceAll(' ', '0')}` : padded(rest);
    return `${right(Math.trunc(thousandths / 1000), 2)}.${digits}`;
  });
}

/** /sys/kernel/debug/extfrag/unusable_index. @kernel mm/vmstat.c unusable_show_print() */
export function printUnusableIndex(model: HostModel): string {
  return indexLines(model, ({ freeBlocks }, order) => {
    const thousandths = Math.round(unusableIndex(freeBlocks, order) * 1000);
    return `${Math.trunc(thousandths / 1000)}.${padded(thousandths % 1000)}`;
  });
}

const padded = (thousandths: number): string => String(thousandths).padStart(3, '0');

function indexLines(model: HostModel, cell: (zone: HostZone, order: number) => string): string {
  return textOf(
    model.nodes.flatMap(({ nodeId, zones }) =>
      zones.map((zone) => {
        const cells = Array.from({ length: ORDERS }, (_, order) => `${cell(zone, order)} `);
        return `Node ${nodeId}, zone ${right(zone.name, 8)} ${cells.join('')}`;
      }),
    ),
  );
}

/** The zonelists as they are announced when they are built. @kernel mm/page_alloc.c build_zonelists() */
export function printFallbackOrder(model: HostModel): string {
  const orders = buildZonelists(
    model.nodes.map(({ nodeId, cpus, zones }) => ({
      nodeId,
      hasCpus: cpus.length > 0,
      hasMemory: zones.some(({ managedPages }) => managedPages > 0),
    })),
    model.distances,
  );
  return textOf(
    orders.map(({ nodeId, order }) => {
      const nodes = order.map((id) => `${id} `).join('');
      return `Fallback order for Node ${nodeId}: ${nodes}`;
    }),
  );
}

/** Files of /sys/devices/system/node, each with its list of nodes. @kernel drivers/base/node.c node_state_attr */
export function printNodeStates(model: HostModel): string {
  const states = nodeStates(model.nodes);
  const files = [
    ['possible', states.N_POSSIBLE],
    ['online', states.N_ONLINE],
    ['has_normal_memory', states.N_NORMAL_MEMORY],
    ['has_memory', states.N_MEMORY],
    ['has_cpu', states.N_CPU],
  ] as const;
  return textOf(files.map(([name, ids]) => `${name}:${rangesOf(ids)}`));
}

/** Ascending numbers as the kernel prints bitmaps: `0-2,5`. */
function rangesOf(ids: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const id of ids) {
    const open = ranges.at(-1);
    if (open !== undefined && open[1] === id - 1) open[1] = id;
    else ranges.push([id, id]);
  }
  return ranges.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join();
}

/**
 * Zone ranges and the span of each node, as they are announced at boot on x86-64.
 * @kernel mm/page_alloc.c free_area_init(), free_area_init_node()
 */
export function printZoneRanges({ nodes }: HostModel): string {
  const spans = nodes.map(({ nodeId, zones }) => ({ nodeId, ...spanOf(zones) }));
  const all = spanOf(nodes.flatMap(({ zones }) => zones));
  let from = all.start;
  const ranges = ZONE_ENDS.map(([name, limit]) => {
    const end = Math.min(Math.max(limit, from), all.end);
    const line = `  ${left(name, 8)} ${from >= end ? 'empty' : memory(from, end)}`;
    from = Math.max(from, end);
    return line;
  });
  return textOf([
    'Zone ranges:',
    ...ranges,
    '  Device   empty',
    ...spans.map(({ nodeId, start, end }) =>
      end === start
        ? `Initmem setup node ${nodeId} as memoryless`
        : `Initmem setup node ${nodeId} ${memory(start, end)}`,
    ),
  ]);
}

function spanOf(zones: readonly HostZone[]): { start: number; end: number } {
  if (zones.length === 0) return { start: 0, end: 0 };
  return {
    start: Math.min(...zones.map(({ startPfn }) => startPfn)),
    end: Math.max(...zones.map(({ startPfn, spannedPages }) => startPfn + spannedPages)),
  };
}

/** Frames as bytes, the last one included. */
function memory(start: number, end: number): string {
  const address = (bytes: bigint): string => `0x${bytes.toString(16).padStart(16, '0')}`;
  return `[mem ${address(BigInt(start) * PAGE_BYTES)}-${address(BigInt(end) * PAGE_BYTES - 1n)}]`;
}
