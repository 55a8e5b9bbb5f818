/** Runs off their lists by the offsets of their owner's pages, however they interlock. */
import { partOf, piecesOf, spanOf, type Run } from './lru-run';

/**
 * Parts by ascending offset. Where those that go to one place interlock they are taken apart, so that each place
 * gets its pages in order.
 * @param parts stand on no list; by ascending offset of their first page
 */
export function ascending(parts: Run[], placeOf: (run: Run) => unknown): Iterable<Run> {
  const ends = new Map<unknown, number>();
  let interlocked = false;
  for (const part of parts) {
    const place = placeOf(part);
    const end = ends.get(place) ?? 0;
    if (part.offset < end) interlocked = true;
    ends.set(place, Math.max(end, part.offset + spanOf(part) - part.stride + 1));
  }
  return interlocked ? merged(parts) : parts;
}

/** Pieces of a part that wait for their turn, the next one first, and how many pages of that one are done. */
interface Cursor {
  pieces: Run[];
  at: number;
  /** Offset of the next page. */
  offset: number;
}

/** Pages of all parts by ascending offset, as many together as stand next to each other in one piece. Huge runs stay whole. */
function* merged(unordered: Run[]): Generator<Run, void> {
  // A run may go down where the others go up: it begins with its last page.
  const parts = [...unordered].sort((a, b) => lowestOffset(a) - lowestOffset(b));
  // By offset, the last one next.
  const begun: Cursor[] = [];
  let waiting = 0;
  const begin = (cursor: Cursor): void => {
    let place = begun.length;
    while (place > 0 && begun[place - 1]!.offset < cursor.offset) place -= 1;
    begun.splice(place, 0, cursor);
  };
  for (;;) {
    const part = parts[waiting];
    const untilPart = part ? lowestOffset(part) : Infinity;
    if (part && untilPart < (begun.at(-1)?.offset ?? Infinity)) {
      const pieces = piecesInOrder(part);
      begin({ pieces, at: 0, offset: pieces.at(-1)!.offset });
      waiting += 1;
      continue;
    }
    const cursor = begun.pop();
    if (cursor === undefined) return;
    const piece = cursor.pieces.at(-1)!;
    const until = Math.min(untilPart, begun.at(-1)?.offset ?? Infinity);
    const due = Math.max(1, Math.ceil((until - cursor.offset) / piece.stride));
    const pages = piece.huge ? piece.pages : Math.min(due, piece.pages - cursor.at);
    yield pages === piece.pages ? piece : partOf(piece, cursor.at, pages);
    cursor.at += pages;
    if (cursor.at === piece.pages) {
      cursor.pieces.pop();
      cursor.at = 0;
    }
    const next = cursor.pieces.at(-1);
    if (next === undefined) continue;
    cursor.offset = next.offset + cursor.at * next.stride;
    begin(cursor);
  }
}

function lowestOffset(run: Run): number {
  return run.huge ? run.offset : Math.min(run.offset, run.offset + spanOf(run) - run.stride);
}

/** The pieces of a run by descending offset, each of which ascends. */
function piecesInOrder(run: Run): Run[] {
  return piecesOf(run)
    .flatMap((piece) =>
      piece.stride > 0 || piece.huge
        ? [piece]
        : Array.from({ length: piece.pages }, (_, i) => partOf(piece, i, 1)),
    )
    .sort((a, b) => b.offset - a.offset);
}
