/** Arithmetic of aligned blocks, and what starts at a frame in one byte. */

/** Free blocks next to each other: `count` blocks of one order, at ascending frames. */
export interface BlockRun {
  frame: number;
  count: number;
}

/** Bits of a migrate type. */
const TYPE_BITS = 3;

/** order * 8 + type + 1; 0 is "no free block starts here". */
export function tagOf(order: number, type: number): number {
  return (order << TYPE_BITS) + type + 1;
}

export function orderOfTag(tag: number): number {
  return (tag - 1) >> TYPE_BITS;
}

export function typeOfTag(tag: number): number {
  return (tag - 1) & ((1 << TYPE_BITS) - 1);
}

/** Largest order to which a frame is aligned; 31 for frame 0. */
export function trailingZeros(frame: number): number {
  return frame === 0 ? 31 : 31 - Math.clz32(frame & -frame);
}

/** Order of the largest block that fits into so many pages. */
export function log2(pages: number): number {
  return 31 - Math.clz32(pages);
}

/** A larger array that begins like the old one. */
export function grown<T extends Uint8Array | Int32Array>(larger: T, old: T): T {
  larger.set(old);
  return larger;
}
