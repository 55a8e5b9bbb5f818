/** Layouts of zones that were asked for lately: an advisor replays hundreds of plans on one host. */
import { layOutZone, type ZoneLayout, type ZoneLayoutInput } from './zone-layout';

/** Blocks and ranges of all kept layouts together, at most: some 20 MiB, enough for 3 TiB of which half is free in large blocks. */
const MOST_ENTRIES = 2 ** 19;
/** Pageblocks whose types take as much memory as one range. */
const PAGEBLOCKS_PER_ENTRY = 32;

const kept = new Map<string, ZoneLayout>();
let entries = 0;

/** What a layout holds in memory. */
function entriesOf({ pageblockTypes, free, lru, locked, huge, pcp }: ZoneLayout): number {
  const ranges = free.length + lru.length + locked.length + huge.length + pcp.length;
  return ranges + Math.ceil(pageblockTypes.length / PAGEBLOCKS_PER_ENTRY);
}

/**
 * layOutZone(), which the same counts always give the same answer: it is remembered by all of them.
 * @returns a layout that others are given too and nobody may change
 * @throws RangeError as layOutZone() does
 */
export function keptLayout(input: ZoneLayoutInput): Readonly<ZoneLayout> {
  const key = JSON.stringify(input);
  const known = kept.get(key);
  if (known) {
    // What was asked for last is the last to go.
    kept.delete(key);
    kept.set(key, known);
    return known;
  }
  const layout = layOutZone(input);
  const size = entriesOf(layout);
  if (size > MOST_ENTRIES) return layout;
  kept.set(key, layout);
  entries += size;
  for (const [oldest, gone] of kept) {
    if (entries <= MOST_ENTRIES) break;
    kept.delete(oldest);
    entries -= entriesOf(gone);
  }
  return layout;
}
