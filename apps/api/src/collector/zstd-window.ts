/** The headers of a zstd stream, walked without unpacking: RFC 8878, sections 3.1.1 and 3.1.2. */

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const RLE_BLOCK = 1;
const CHECKSUM_BYTES = 4;
/** Bytes of the frame's content size by its flag; flag 0 has one where the frame is a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];

/**
 * The largest window that a frame of the stream asks its reader to keep, bytes. What follows a frame that is
 * cut or none is not looked at: unpacking fails there.
 */
export function largestZstdWindow(body: Buffer): number {
  let largest = 0;
  let at = 0;
  while (at + 8 <= body.length) {
    const magic = body.readUInt32LE(at);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + body.readUInt32LE(at + 4);
      continue;
    }
    if (magic !== FRAME_MAGIC) return largest;
    const frame = frameHeader(body, at + 4);
    largest = Math.max(largest, frame.windowBytes);
    const end = endOfBlocks(body, frame.blocksAt);
    if (end === null) return largest;
    at = end + (frame.hasChecksum ? CHECKSUM_BYTES : 0);
  }
  return largest;
}

function frameHeader(
  body: Buffer,
  at: number,
): { windowBytes: number; blocksAt: number; hasChecksum: boolean } {
  const descriptor = body[at] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeAt = at + (isSingleSegment ? 1 : 2) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0);
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
  const blocksAt = sizeAt + sizeBytes;
  const hasChecksum = (descriptor & 0x04) !== 0;
  if (isSingleSegment) {
    let size = 0;
    for (let byte = sizeBytes - 1; byte >= 0; byte -= 1) {
      size = size * 256 + (body[sizeAt + byte] ?? 0);
    }
    return { windowBytes: size + (sizeBytes === 2 ? 256 : 0), blocksAt, hasChecksum };
  }
  const windowDescriptor = body[at + 1] ?? 0;
  const base = 2 ** (10 + (windowDescriptor >> 3));
  return { windowBytes: base + (base / 8) * (windowDescriptor & 7), blocksAt, hasChecksum };
}

/** @returns null where the stream ends before the last block does */
function endOfBlocks(body: Buffer, from: number): number | null {
  for (let at = from; at + 3 <= body.length;) {
    const header = body.readUIntLE(at, 3);
    const size = ((header >> 1) & 3) === RLE_BLOCK ? 1 : header >> 3;
    at += 3 + size;
    if ((header & 1) === 1) return at;
  }
  return null;
}
