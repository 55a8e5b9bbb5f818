/** Where the host's pages lie when a replay starts: free blocks, per-CPU lists, LRU lists, running guests. */
import {
  MAX_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  NR_MIGRATE_TYPES,
} from './buddy';
import { PAGES_PER_HUGE } from './constants';
import { layoutFrom } from './hotplug-plan';
import { fillPcps, pageblocksOf } from './initial-pcp';
import { placePool, planPool } from './initial-hugetlb';
import { IMAGE_PFN, kernelImage } from './kernel-image';
import { placeSlabs } from './initial-slab';
import { caveat, type KernelState } from './kernel-state';
import { LRU_UNEVICTABLE, NR_LRU_LISTS, accountRun, newRun } from './lru';
import { lruvecOf } from './lruvec';
import { newMapping, type Mapping } from './page-map';
import { pcpPages } from './pcp';
import { MIGRATE_TYPE_NAMES } from './types';
import type { HostNode, HostZone, LruPages, ReplayInput } from './types';
import type { Extent, ReservedPages } from './zone-layout';
import { keptLayout } from './zone-layout-kept';
import type { NodeState, Zone } from './zone';

/** Pages of one kind that shall stand on a list; frames are found once all of a zone's are known. */
interface Placement {
  zone: Zone;
  list: number;
  owner: Mapping;
  pages: number;
  offset: number;
  mapped: boolean;
  young: boolean;
  dirty: boolean;
  huge: boolean;
}

const LRU_KEYS: (keyof LruPages)[] = [
  'inactiveAnonPages',
  'activeAnonPages',
  'inactiveFilePages',
  'activeFilePages',
  'unevictablePages',
];

/** Fills a node's zones and lists from the host model: its own pages first (oldest), then running guests'. */
export function startPages(
  k: KernelState,
  host: HostNode,
  node: NodeState,
  input: ReplayInput,
): void {
  const rooms = new Map<Zone, number>();
  const freeBlocks = new Map<Zone, number[][]>();
  for (const zone of node.zones) {
    const source = hostZone(host, zone)!;
    const blocks = freeBlocksOf(source);
    freeBlocks.set(zone, blocks);
    rooms.set(zone, Math.max(zone.managed - pagesIn(blocks) - heldPages(source, k), 0));
  }
  const placements = planLru(k, host, node, input, rooms);
  const pool = planPool(k, node, rooms);
  const reservedFrom = new Map<Zone, number>();
  for (const zone of node.zones) {
    const own = placements.filter((placement) => placement.zone === zone);
    const source = hostZone(host, zone)!;
    const placed = placeZone(k, zone, source, freeBlocks.get(zone)!, own, pool.get(zone)!);
    reservedFrom.set(zone, placed);
  }
  placeSlabs(node, reservedFrom);
}

function hostZone(host: HostNode, zone: Zone): HostZone | undefined {
  return host.zones.find((candidate) => candidate.name === zone.name);
}

function heldPages(host: HostZone, k: KernelState): number {
  return host.pagesets
    .filter((pageset) => k.cpus.some((cpu) => cpu.id === pageset.cpu))
    .reduce((sum, pageset) => sum + pageset.countPages, 0);
}

function pagesIn(blocks: number[][]): number {
  return blocks.reduce(
    (sum, counts, order) => sum + counts.reduce((s, count) => s + count, 0) * (1 << order),
    0,
  );
}

/** Free blocks by order and type, as many pages as NR_FREE_PAGES says. Types that are not known count as Movable. */
function freeBlocksOf(host: HostZone): number[][] {
  const known = host.freeBlocksByType;
  const blocks = Array.from({ length: MAX_ORDER }, () =>
    new Array<number>(NR_MIGRATE_TYPES).fill(0),
  );
  for (let order = 0; order < MAX_ORDER; order += 1) {
    let left = host.freeBlocks[order] ?? 0;
    MIGRATE_TYPE_NAMES.forEach((name, type) => {
      const count = Math.min(known?.[name]?.[order] ?? 0, left);
      blocks[order]![type < NR_MIGRATE_TYPES ? type : MIGRATE_MOVABLE]! += count;
      left -= count;
    });
    blocks[order]![MIGRATE_MOVABLE]! += left;
  }
  matchFreePages(blocks, host.freePages);
  return blocks;
}

/** Two files read at two moments differ: the blocks follow the count of free pages. */
function matchFreePages(blocks: number[][], freePages: number): void {
  let missing = freePages - pagesIn(blocks);
  // Too many: whole blocks go, the largest that fit first; then one is cut.
  for (const type of [
    MIGRATE_MOVABLE,
    MIGRATE_RECLAIMABLE,
    MIGRATE_UNMOVABLE,
    MIGRATE_HIGHATOMIC,
  ]) {
    for (let order = MAX_ORDER - 1; order >= 0 && missing < 0; order -= 1) {
      const gone = Math.min(blocks[order]![type]!, Math.floor(-missing / (1 << order)));
      blocks[order]![type]! -= gone;
      missing += gone * (1 << order);
    }
    for (let order = 0; order < MAX_ORDER && missing < 0; order += 1) {
      if (blocks[order]![type] === 0 || 1 << order <= -missing) continue;
      blocks[order]![type]! -= 1;
      missing += 1 << order;
    }
  }
  for (let order = MAX_ORDER - 1; order >= 0 && missing > 0; order -= 1) {
    const more = Math.floor(missing / (1 << order));
    blocks[order]![MIGRATE_MOVABLE]! += more;
    missing -= more * (1 << order);
  }
}

/** Distributes a node's LRU pages over its zones: known per zone, else by what each zone has in use. */
function perZone(
  host: HostNode,
  node: NodeState,
  key: keyof LruPages,
  rooms: Map<Zone, number>,
): [Zone, number][] {
  const known = node.zones.every((zone) => hostZone(host, zone)?.lru);
  if (known) return node.zones.map((zone) => [zone, hostZone(host, zone)!.lru![key]]);
  let left = host.lru[key];
  const shares: [Zone, number][] = [];
  for (const zone of [...node.zones].reverse()) {
    const pages = Math.min(left, rooms.get(zone)!);
    left -= pages;
    shares.push([zone, pages]);
  }
  return shares.reverse();
}

function planLru(
  k: KernelState,
  host: HostNode,
  node: NodeState,
  input: ReplayInput,
  rooms: Map<Zone, number>,
): Placement[] {
  const anonOther = hostMapping(k, 'anon', `host/${node.id}/anon`);
  const fileOther = hostMapping(k, 'file', `host/${node.id}/cache`);
  const held = hostMapping(k, 'file', `host/${node.id}/held`);
  held.held = true;
  const shmem = hostMapping(k, 'anon', `host/${node.id}/shmem`);
  shmem.shmem = true;
  const claims = guestClaims(k, node, input);
  const used = {
    held: host.heldFilePages ?? 0,
    mapped: host.mappedPages,
    dirty: host.dirtyPages,
    shmem: host.shmemPages,
  };
  const placements: Placement[] = [];
  for (const list of [3, 2, 4, 1, 0]) {
    // A node's high zones fill first, so that their pages are the older ones.
    for (const [zone, listed] of perZone(host, node, LRU_KEYS[list]!, rooms).reverse()) {
      let pages = Math.min(listed, rooms.get(zone)!);
      rooms.set(zone, rooms.get(zone)! - pages);
      if (list === 2 || list === 3) {
        const kept = Math.min(used.held, pages);
        used.held -= kept;
        placements.push(hostPages(zone, list, held, kept, false, false));
        placements.push(...hostFile(zone, list, fileOther, pages - kept, used));
        continue;
      }
      const claimed = takeClaims(claims, pages, list === 4);
      pages -= claimed.reduce((sum, claim) => sum + claim.pages, 0);
      const shared = list === 0 || list === 4 ? Math.min(used.shmem, pages) : 0;
      used.shmem -= shared;
      placements.push(hostPages(zone, list, shmem, shared, false, false));
      placements.push(hostPages(zone, list, anonOther, pages - shared, true, false));
      for (const claim of claimed)
        placements.push(...guestPages(zone, claimList(claim, list), claim));
    }
  }
  const missing = claims.reduce((sum, claim) => sum + claim.pages, 0);
  if (missing > 0) {
    caveat(
      k,
      'residency-exceeds-lru',
      `running guests are said to hold ${missing} pages more on node ${node.id} than its LRU lists have; they are left out`,
    );
  }
  return placements.filter((placement) => placement.pages > 0);
}

function hostMapping(k: KernelState, kind: Mapping['kind'], name: string): Mapping {
  const mapping = newMapping(kind, name, k.nodes.length, false);
  k.hostMappings.push(mapping);
  return mapping;
}

function hostPages(
  zone: Zone,
  list: number,
  owner: Mapping,
  pages: number,
  mapped: boolean,
  dirty: boolean,
): Placement {
  // What lies on an inactive list when the replay starts has not been used for long.
  const young = mapped && list !== 0;
  return { zone, list, owner, pages, offset: 0, mapped, young, dirty, huge: false };
}

function hostFile(
  zone: Zone,
  list: number,
  owner: Mapping,
  pages: number,
  used: { mapped: number; dirty: number },
): Placement[] {
  const mapped = Math.min(used.mapped, pages);
  used.mapped -= mapped;
  const dirty = Math.min(used.dirty, pages - mapped);
  used.dirty -= dirty;
  return [
    hostPages(zone, list, owner, mapped, true, false),
    hostPages(zone, list, owner, pages - mapped - dirty, false, false),
    hostPages(zone, list, owner, dirty, false, true),
  ];
}

interface Claim {
  mapping: Mapping;
  offset: number;
  pages: number;
  /** Base pages of it that lie in huge pages. */
  hugePages: number;
  pinned: boolean;
}

/** What running guests hold on a node, region by region, at ascending offsets. */
function guestClaims(k: KernelState, node: NodeState, input: ReplayInput): Claim[] {
  const claims: Claim[] = [];
  for (const running of input.runningGuests) {
    const guest = k.guests.get(running.name)!;
    running.regions.forEach((region, i) => {
      let offset = 0;
      for (const residency of running.residency) {
        if (residency.cell !== region.cell || region.hugetlb) continue;
        if (residency.nodeId === node.id && residency.pages > 0) {
          claims.push({
            mapping: guest.mappings[i]!,
            offset,
            pages: residency.pages,
            hugePages:
              Math.min(residency.hugePages, Math.floor(residency.pages / PAGES_PER_HUGE)) *
              PAGES_PER_HUGE,
            pinned: region.pinned,
          });
        }
        offset += residency.pages;
      }
    });
  }
  return claims;
}

/** Of a list's pages those that guests claim. Nothing but pinned memory stands on the unevictable list. */
function takeClaims(claims: Claim[], pages: number, unevictable: boolean): Claim[] {
  const taken: Claim[] = [];
  let left = pages;
  for (const claim of claims) {
    if ((unevictable && !claim.pinned) || claim.pages === 0 || left === 0) continue;
    const now = Math.min(claim.pages, left);
    const huge = Math.min(claim.hugePages, Math.floor(now / PAGES_PER_HUGE) * PAGES_PER_HUGE);
    taken.push({ ...claim, pages: now, hugePages: huge });
    claim.pages -= now;
    claim.hugePages -= huge;
    claim.offset += now;
    left -= now;
  }
  return taken;
}

/**
 * mlock moves pages to the unevictable list. VFIO leaves them where they are, and reclaim finds there that they
 * are pinned.
 * @kernel mm/gup.c pin_user_pages() with FOLL_LONGTERM
 * @differs what is pinned is kept on the unevictable list, whoever pinned it
 */
function claimList({ pinned }: Claim, list: number): number {
  return pinned ? LRU_UNEVICTABLE : list;
}

function guestPages(zone: Zone, list: number, claim: Claim): Placement[] {
  const { mapping: owner, offset, hugePages, pages } = claim;
  const common = { zone, list, owner, mapped: true, young: true, dirty: true };
  return [
    { ...common, offset, pages: hugePages, huge: true },
    { ...common, offset: offset + hugePages, pages: pages - hugePages, huge: false },
  ];
}

/**
 * Gives every page of a zone its frame, and puts the placements on their lists.
 * @returns the first frame of the pages at its end that the allocator was never given
 */
function placeZone(
  k: KernelState,
  zone: Zone,
  host: HostZone,
  freeBlocks: number[][],
  placements: Placement[],
  poolPages: number,
): number {
  const pagesOf = (huge: boolean, list?: number): number =>
    placements
      .filter((p) => p.huge === huge && (list === undefined || p.list === list))
      .reduce((sum, p) => sum + p.pages, 0);
  const types = host.pageblocksByType;
  const { bootOrder } = k.profile;
  const reserved = bootOrder ? undefined : reservedOf(k, zone);
  const laidOut = keptLayout({
    startPfn: zone.startPfn,
    spannedPages: zone.spanned,
    managedPages: zone.managed,
    freeBlocks,
    ...(types && {
      pageblocks: MIGRATE_TYPE_NAMES.slice(0, NR_MIGRATE_TYPES).map((name) => types[name] ?? 0),
    }),
    lruPages: pagesOf(false),
    ...(bootOrder && { boot: { lockedPages: pagesOf(false, LRU_UNEVICTABLE) } }),
    hugeLruPages: pagesOf(true) + poolPages * PAGES_PER_HUGE,
    pcpPages: heldPages(host, k),
    ...(reserved && { reserved }),
  });
  const layout = layoutFrom(zone.buddy.basePfn, laidOut);
  zone.buddy.types.set(layout.pageblockTypes.subarray(0, zone.buddy.pageblocks));
  for (const { frame, order, type } of layout.free) zone.buddy.add(frame, order, type, true);
  for (const note of layout.notes) {
    caveat(k, 'layout-approximated', `node ${zone.node.id} ${zone.name}: ${note}`);
  }
  const pcpFrames = new Frames(movableFirst(zone, layout.pcp));
  const lruPages = pagesOf(false) + pagesOf(true);
  fillPcps(
    zone,
    k.cpus.map((cpu) => host.pagesets.find(({ cpu: id }) => id === cpu.id)?.countPages ?? 0),
    k.cpus.map(({ node }) => node === zone.node),
    {
      lruPages,
      kernelPages: zone.managed - zone.buddy.freePages - heldPages(host, k) - lruPages,
      heldPages: heldPages(host, k),
    },
    pageblocksOf(zone, [layout.lru, layout.locked, layout.huge, layout.pcp]),
    (pages) => pcpFrames.take(pages),
    k.unseen,
  );
  const frames = {
    base: new Frames(layout.lru),
    locked: new Frames(layout.locked),
    huge: new Frames(layout.huge),
  };
  const framesOf = ({ huge, list }: Placement): Frames =>
    huge ? frames.huge : bootOrder && list === LRU_UNEVICTABLE ? frames.locked : frames.base;
  for (const placement of placements) {
    let { offset } = placement;
    for (const extent of framesOf(placement).take(placement.pages)) {
      placeExtent(placement, extent, offset);
      offset += extent.pages;
    }
  }
  placePool(k, zone, frames.huge.take(poolPages * PAGES_PER_HUGE));
  return layout.reservedFrom;
}

/** What of a zone the allocator was never given: distributions initialise a node's last zone late, and put the kernel at 16 MiB. */
function reservedOf({ profile }: KernelState, zone: Zone): ReservedPages {
  return {
    image: zone.startPfn === IMAGE_PFN ? kernelImage(profile.imageKib) : undefined,
    late: zone === zone.node.zones[zone.node.zones.length - 1],
  };
}

/** Cut by pageblock type: what lies in Movable pageblocks comes first. */
function movableFirst(zone: Zone, extents: readonly Extent[]): Extent[] {
  const movable: Extent[] = [];
  const others: Extent[] = [];
  for (const { frame, pages } of extents) {
    for (let at = frame; at < frame + pages;) {
      const end = Math.min((Math.floor(at / PAGES_PER_HUGE) + 1) * PAGES_PER_HUGE, frame + pages);
      const part = zone.buddy.typeOf(at) === MIGRATE_MOVABLE ? movable : others;
      part.push({ frame: at, pages: end - at });
      at = end;
    }
  }
  return [...movable, ...others];
}

function placeExtent(placement: Placement, { frame, pages }: Extent, offset: number): void {
  const { zone, owner, mapped, young, dirty, huge, list } = placement;
  const run = newRun({ owner, zone, pages, frame, offset, mapped, young, dirty, huge });
  owner.present?.spread(offset, pages, pages);
  accountRun(run, 1);
  if (owner.group) {
    owner.group.usagePages += pages;
    owner.group.userPages += pages;
  }
  lruvecOf(zone.node, owner.group).lists[list]!.push(run);
}

/** Frames handed out in ascending order. */
class Frames {
  private at = 0;
  private used = 0;

  constructor(private readonly extents: readonly Extent[]) {}

  take(pages: number): Extent[] {
    const taken: Extent[] = [];
    for (let left = pages; left > 0 && this.at < this.extents.length;) {
      const extent = this.extents[this.at]!;
      const now = Math.min(left, extent.pages - this.used);
      taken.push({ frame: extent.frame + this.used, pages: now });
      this.used += now;
      left -= now;
      if (this.used === extent.pages) {
        this.at += 1;
        this.used = 0;
      }
    }
    return taken;
  }
}

/** Whatever is in use and on no list stays as it is: kernel memory, hugetlb pools, balloon pages. */
export function settleOtherPages(k: KernelState): void {
  for (const zone of k.zones) {
    let listed = 0;
    for (let list = 0; list < NR_LRU_LISTS; list += 1) listed += zone.lruPages[list]!;
    const known = zone.buddy.freePages + pcpPages(zone) + listed + zone.kernelPages;
    zone.otherPages = zone.managed - known;
  }
}
