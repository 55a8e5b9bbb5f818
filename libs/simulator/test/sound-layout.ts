import type { Extent, ZoneLayout, ZoneLayoutInput } from '../src/zone-layout';

/** Rows of pagetypeinfo (orders 0 to 10 per type) as the table by order and type. */
export function freeBlocks(rows: { [type: number]: number[] }): number[][] {
  return Array.from({ length: 11 }, (_, order) => [0, 1, 2, 3].map((t) => rows[t]?.[order] ?? 0));
}

export const pagesIn = (extents: Extent[]): number => extents.reduce((sum, e) => sum + e.pages, 0);
export const freePages = (counts: number[][]): number =>
  counts.reduce((sum, types, order) => sum + types.reduce((a, b) => a + b, 0) * 2 ** order, 0);

export function countsOf(layout: ZoneLayout): number[][] {
  const counts = freeBlocks({});
  for (const { order, type } of layout.free) counts[order]![type]!++;
  return counts;
}

export function typeCounts(layout: ZoneLayout, from: number, to: number): number[] {
  const counts = [0, 0, 0, 0];
  for (let block = from; block < to; block++) counts[layout.pageblockTypes[block]!]!++;
  return counts;
}

/** Whether the layout could be the state of a kernel: nothing overlaps, all lies inside, all buddies that can merge have. */
export function expectSound(input: ZoneLayoutInput, layout: ZoneLayout): void {
  const start = input.startPfn - layout.basePfn;
  const end = start + input.spannedPages;
  expect(layout.basePfn % 1024).toBe(0);
  expect(start).toBeLessThan(1024);
  expect(layout.pageblockTypes).toHaveLength(Math.ceil(end / 512));
  const rank = layout.free.map((b) => [b.order, b.type, b.frame]);
  expect(rank).toEqual([...rank].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!));
  const runs = [...layout.lru, ...layout.locked, ...layout.huge, ...layout.pcp].map((e) => [
    e.frame,
    e.pages,
  ]);
  const heads = new Set<string>();
  for (const { frame, order } of layout.free) {
    if (frame % 2 ** order !== 0) throw new Error(`${frame} is not aligned to order ${order}`);
    runs.push([frame, 2 ** order]);
    heads.add(`${frame}/${order}`);
  }
  let reached = start;
  for (const [frame, pages] of runs.sort((a, b) => a[0]! - b[0]!)) {
    if (frame! < reached) throw new Error(`frame ${frame} is used twice or before ${start}`);
    reached = frame! + pages!;
  }
  expect(reached).toBeLessThanOrEqual(end);
  for (const { frame, order } of layout.free) {
    const size = 2 ** order;
    const buddy = (frame / size) % 2 === 0 ? frame + size : frame - size;
    if (order < 10 && heads.has(`${buddy}/${order}`)) {
      throw new Error(`${frame} and ${buddy} of order ${order} would have merged`);
    }
  }
  for (const run of layout.huge) expect([run.frame % 512, run.pages % 512]).toEqual([0, 0]);
  for (const extents of [layout.lru, layout.locked, layout.huge, layout.pcp]) {
    for (let i = 1; i < extents.length; i++) {
      const before = extents[i - 1]!;
      expect(extents[i]!.frame).toBeGreaterThan(before.frame + before.pages);
    }
  }
}

/** Small free blocks on a list whose type is not their pageblock's. */
export function strays(layout: ZoneLayout): number {
  return layout.free.filter(
    ({ frame, type }) => layout.pageblockTypes[Math.floor(frame / 512)] !== type,
  ).length;
}
