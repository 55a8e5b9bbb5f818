import type { HostZone, MigrateTypeName } from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import { ORDERS, pagesInBlocks } from '../parse/buddyinfo';
import { CAP } from '../parse/pagetypeinfo';

const MAX_ORDER_BLOCK = ORDERS - 1;

/** Free pages as the largest possible blocks: the free lists of memory that nothing has fragmented. */
export function unfragmentedBlocks(freePages: number): number[] {
  const blocks = new Array<number>(ORDERS).fill(0);
  addPages(blocks, freePages);
  return blocks;
}

/** Adds pages as the largest blocks that they fill. */
export function addPages(blocks: number[], pages: number): void {
  let left = pages;
  for (let order = MAX_ORDER_BLOCK; order >= 0; order -= 1) {
    const size = 2 ** order;
    blocks[order] = (blocks[order] ?? 0) + Math.floor(left / size);
    left %= size;
  }
}

/** Takes pages out of the smallest blocks, splitting the last one; at most what is there. */
export function removePages(blocks: number[], pages: number): void {
  let left = pages;
  for (let order = 0; order < ORDERS && left > 0; order += 1) {
    const size = 2 ** order;
    const whole = Math.min(blocks[order] ?? 0, Math.floor(left / size));
    blocks[order] = (blocks[order] ?? 0) - whole;
    left -= whole * size;
    if ((blocks[order] ?? 0) > 0 && left > 0) {
      blocks[order] = (blocks[order] ?? 0) - 1;
      addPages(blocks, size - left);
      left = 0;
    }
  }
}

/**
 * Fills `freeBlocks` and `freeBlocksByType` of a zone whose `freePages` is settled.
 * The sum over the orders always equals `freePages`: buddyinfo and pagetypeinfo are read at another
 * moment than the free count, and the pages that came or went meanwhile are added as the largest blocks
 * they fill or taken from the smallest.
 */
export function fillFreeBlocks(
  zone: HostZone,
  nodeId: number,
  facts: HostFacts,
  ledger: Ledger,
): void {
  const path = `nodes.${nodeId}.zones.${zone.name}.freeBlocks`;
  const byType = typeBlocks(facts, nodeId, zone.name);
  const printed = facts.buddyinfo?.find((b) => b.nodeId === nodeId && b.zone === zone.name);
  if (printed !== undefined) {
    zone.freeBlocks = [...printed.blocks];
    ledger.read(path, facts.blockSource);
  } else if (byType !== null) {
    zone.freeBlocks = sumTypes(byType.blocks);
    ledger.read(path, 'pagetypeinfo', 'sum of the migrate types');
    if (byType.capped) {
      ledger.caveat(
        'pagetypeinfo-capped',
        'pagetypeinfo stops counting at 100000 blocks of a kind; without buddyinfo the rest is taken as unfragmented.',
      );
    }
  } else {
    zone.freeBlocks = unfragmentedBlocks(zone.freePages);
    ledger.derived(path, 'free pages', 'free memory taken as the largest blocks it fills');
    ledger.caveat(
      'free-lists-unfragmented',
      'Without buddyinfo the free memory of a zone is taken as unfragmented; huge pages may look easier to get than they are.',
    );
    return;
  }
  settleSum(zone, path, printed === undefined ? 'pagetypeinfo' : facts.blockSource, ledger);
  if (byType === null) return;
  zone.freeBlocksByType = reconcileTypes(zone.freeBlocks, byType.blocks);
  if (byType.capped && printed !== undefined)
    ledger.derived(`${path}ByType`, 'pagetypeinfo', CAP_NOTE);
  else ledger.read(`${path}ByType`, 'pagetypeinfo');
}

const CAP_NOTE =
  `a count printed as >${CAP} is what buddyinfo has of the order beyond the other types; where several ` +
  'types are cut, Movable or else the first of them has it';

function settleSum(zone: HostZone, path: string, source: string, ledger: Ledger): void {
  const listed = pagesInBlocks(zone.freeBlocks);
  if (listed === zone.freePages) return;
  ledger.differ(
    path,
    { source: 'free pages of the zone', value: zone.freePages },
    { source, value: listed },
    'the free count is taken; pages missing in the lists are added as the largest blocks they fill, surplus ones are taken from the smallest blocks',
  );
  if (listed > zone.freePages) removePages(zone.freeBlocks, listed - zone.freePages);
  else addPages(zone.freeBlocks, zone.freePages - listed);
}

type TypeBlocks = Partial<Record<MigrateTypeName, number[]>>;

function typeBlocks(
  facts: HostFacts,
  nodeId: number,
  zone: string,
): { blocks: TypeBlocks; capped: boolean } | null {
  const entries = (facts.pagetypeinfo?.free ?? []).filter(
    (entry) => entry.nodeId === nodeId && entry.zone === zone,
  );
  if (entries.length === 0) return null;
  const blocks: TypeBlocks = {};
  for (const entry of entries) {
    const known = blocks[entry.type];
    blocks[entry.type] = entry.blocks.map((count, order) => count + (known?.[order] ?? 0));
  }
  return { blocks, capped: entries.some((entry) => entry.cappedOrders.length > 0) };
}

function sumTypes(blocks: TypeBlocks): number[] {
  const sum = new Array<number>(ORDERS).fill(0);
  for (const list of Object.values(blocks))
    for (const [order, count] of list.entries()) sum[order] = (sum[order] ?? 0) + count;
  return sum;
}

/** Order in which types give up blocks that the total does not have. */
const GIVE_UP: readonly MigrateTypeName[] = [
  'Movable',
  'Unmovable',
  'Reclaimable',
  'CMA',
  'Isolate',
  'HighAtomic',
];

/**
 * Makes the types of each order add up to the total. What they lack goes to the type whose count reached
 * the cap of pagetypeinfo, else to Movable; a surplus is taken from Movable first.
 */
export function reconcileTypes(total: readonly number[], types: TypeBlocks): TypeBlocks {
  const result: TypeBlocks = {};
  for (const [name, list] of Object.entries(types) as [MigrateTypeName, number[]][])
    result[name] = [...list];
  result.Movable ??= new Array<number>(ORDERS).fill(0);
  for (const [order, count] of total.entries()) {
    let surplus = -count;
    for (const list of Object.values(result)) surplus += list[order] ?? 0;
    const taker =
      GIVE_UP.find((name) => (result[name]?.[order] ?? 0) >= CAP) ?? ('Movable' as const);
    const list = result[taker];
    if (surplus < 0 && list !== undefined) list[order] = (list[order] ?? 0) - surplus;
    for (const name of GIVE_UP) {
      const giver = result[name];
      if (surplus <= 0 || giver === undefined) continue;
      const given = Math.min(surplus, giver[order] ?? 0);
      giver[order] = (giver[order] ?? 0) - given;
      surplus -= given;
    }
  }
  return result;
}

/** Order of the pageblocks that the model counts: 2 MiB. */
const PAGEBLOCK_ORDER = 9;

/**
 * Fills `pageblocksByType` of a zone where pagetypeinfo has the counts. They are of blocks of 2 MiB unless
 * the kernel was built without hugetlb pages: blocks of another size say nothing about these.
 */
export function fillPageblocks(
  zone: HostZone,
  nodeId: number,
  facts: HostFacts,
  ledger: Ledger,
): void {
  const counted = facts.pagetypeinfo?.blocks.find(
    (entry) => entry.nodeId === nodeId && entry.zone === zone.name,
  );
  if (counted === undefined) return;
  const order = facts.pagetypeinfo?.pageBlockOrder ?? PAGEBLOCK_ORDER;
  if (order !== PAGEBLOCK_ORDER) {
    ledger.caveat(
      'pageblock-order',
      `pagetypeinfo counts pageblocks of order ${order}, the model has those of order ${PAGEBLOCK_ORDER}: their types are left out.`,
    );
    return;
  }
  zone.pageblocksByType = { ...counted.blocks };
  ledger.read(`nodes.${nodeId}.zones.${zone.name}.pageblocksByType`, 'pagetypeinfo');
}
