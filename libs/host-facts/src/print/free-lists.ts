import { ORDERS } from '../parse/buddyinfo';
import { CAP } from '../parse/pagetypeinfo';
import { left, right, textOf } from './layout';
import {
  PRINTED_TYPES,
  type NodeState,
  type PrintedType,
  type PrintedState,
  type ZoneState,
} from './printed-state';

const PAGEBLOCK_ORDER = 9;
const ORDER_NUMBERS = Array.from({ length: ORDERS }, (_, order) => order);

/** A zone's free blocks of an order, all migrate types together. */
export function freeBlocksOf(zone: ZoneState, order: number): number {
  return PRINTED_TYPES.reduce((sum, type) => sum + (zone.freeBlocksByType[type][order] ?? 0), 0);
}

/**
 * /proc/buddyinfo: one line per populated zone, free blocks by order.
 * @kernel mm/vmstat.c frag_show_print()
 */
export function printBuddyinfo(state: PrintedState): string {
  return textOf(
    state.nodes.flatMap((node) =>
      node.zones.map((zone) => {
        const counts = ORDER_NUMBERS.map((order) => `${right(freeBlocksOf(zone, order), 6)} `);
        return `Node ${node.nodeId}, zone ${right(zone.name, 8)} ${counts.join('')}`;
      }),
    ),
  );
}

/**
 * /proc/pagetypeinfo: a part per node with memory. A list of 100000 blocks or more is printed as `>100000`.
 * @kernel mm/vmstat.c pagetypeinfo_show()
 */
export function printPagetypeinfo(state: PrintedState): string {
  return textOf(
    state.nodes
      .filter((node) => node.zones.length > 0)
      .flatMap((node) => nodeLines(node, state.layout.migrateTypes)),
  );
}

function nodeLines({ nodeId, zones }: NodeState, names: readonly string[]): string[] {
  const orders = ORDER_NUMBERS.map((order) => `${right(order, 6)} `).join('');
  const types = names.map((type) => `${right(type, 12)} `).join('');
  return [
    `Page block order: ${PAGEBLOCK_ORDER}`,
    `Pages per block:  ${2 ** PAGEBLOCK_ORDER}`,
    '',
    `${left('Free pages count per migrate type at order', 43)} ${orders}`,
    ...zones.flatMap((zone) => typeLines(nodeId, zone, names)),
    '',
    `${left('Number of blocks type ', 23)}${types}`,
    ...zones.map((zone) => {
      const counts = names.map((name) => {
        const type = typeOf(name);
        return `${right(type === null ? 0 : zone.pageblocksByType[type], 12)} `;
      });
      return `Node ${nodeId}, zone ${right(zone.name, 8)} ${counts.join('')}`;
    }),
  ];
}

/** Blocks that the model has under a printed name; none of CMA or Reserve, whose blocks it has as Movable. */
function typeOf(name: string): PrintedType | null {
  return PRINTED_TYPES.find((type) => type === name) ?? null;
}

function typeLines(nodeId: number, zone: ZoneState, names: readonly string[]): string[] {
  return names.map((name) => {
    const type = typeOf(name);
    const counts = ORDER_NUMBERS.map((order) => {
      const blocks = type === null ? 0 : (zone.freeBlocksByType[type][order] ?? 0);
      return blocks >= CAP ? `>${CAP} ` : `${right(blocks, 6)} `;
    });
    const heading = `Node ${right(nodeId, 4)}, zone ${right(zone.name, 8)}, type ${right(name, 12)}`;
    return `${heading} ${counts.join('')}`;
  });
}
