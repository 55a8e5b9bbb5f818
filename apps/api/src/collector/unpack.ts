/** What an archive is packed with, told by its first bytes, and how it is unpacked: a piece at a time, and counted. */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import bitIterator from 'unbzip2-stream/lib/bit_iterator';
import bzip2 from 'unbzip2-stream/lib/bzip2';
import { XzReadableStream } from 'xz-decompress';
import { largestZstdWindow } from './zstd-window';

/** What is wrong with an archive, in words. */
export class ArchiveError extends Error {}

export interface UnpackLimits {
  /** Bytes that the archive may unpack to. */
  bytes: number;
  /** Times its own size that it may unpack to, once it is beyond `ratioFromBytes`. */
  ratio: number;
  ratioFromBytes: number;
}

const MIB = 1024 * 1024;
/** Memory that a window or dictionary may take; what zstd and xz write without being asked for more stays below. */
const MAX_WINDOW_BYTES = 128 * MIB;
const SLICE_BYTES = 4096;

type Unpacker = (body: Buffer, meter: Meter) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

const PACKINGS: readonly { name: string; magic: string; unpack: Unpacker | null }[] = [
  { name: 'gzip', magic: '1f8b', unpack: gunzipped },
  { name: 'xz', magic: 'fd377a585a00', unpack: unxzed },
  { name: 'bzip2', magic: '425a68', unpack: bunzipped },
  { name: 'zstd', magic: '28b52ffd', unpack: unzstded },
  { name: 'zip', magic: '504b0304', unpack: null },
  { name: '7z', magic: '377abcaf271c', unpack: null },
];

/** Counts what comes out and refuses more than the limits. */
class Meter {
  private bytes = 0;

  constructor(
    private readonly packedBytes: number,
    private readonly limits: UnpackLimits,
  ) {}

  /** @throws ArchiveError beyond a limit */
  count(chunk: Uint8Array): void {
    const { bytes, ratio, ratioFromBytes } = this.limits;
    this.bytes += chunk.length;
    if (this.bytes > bytes) throw new ArchiveError(`it unpacks to more than ${bytes} bytes`);
    if (this.bytes > ratioFromBytes && this.bytes > ratio * this.packedBytes) {
      throw new ArchiveError(
        `its ${this.packedBytes} bytes unpack to more than ${ratio} times as many`,
      );
    }
  }
}

/**
 * The plain bytes of an archive, packed or not.
 * @throws ArchiveError while it is read: broken, beyond a limit, or packed with what is not read
 */
export async function* unpacked(body: Buffer, limits: UnpackLimits): AsyncGenerator<Uint8Array> {
  const start = body.toString('hex', 0, 8);
  const packing = PACKINGS.find(({ magic }) => start.startsWith(magic));
  const meter = new Meter(body.length, limits);
  if (packing === undefined) {
    meter.count(body);
    yield body;
    return;
  }
  const { name, unpack } = packing;
  if (unpack === null) {
    throw new ArchiveError(`it is packed with ${name}; tar is read, plain or with ${READ_NAMES}`);
  }
  try {
    for await (const chunk of unpack(body, meter)) yield chunk;
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ArchiveError(`it cannot be unpacked with ${name}: ${reason}`);
  }
}

const READ_NAMES = 'gzip, xz, bzip2 or zstd';

async function* gunzipped(body: Buffer, meter: Meter): AsyncGenerator<Uint8Array> {
  const stream = Readable.from([body]).pipe(createGunzip({ chunkSize: 64 * 1024 }));
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    meter.count(chunk);
    yield chunk;
  }
}

/** @kernel lib/xz xz_dec.h enum xz_ret, whose numbers the library passes on */
const XZ_REASONS: Readonly<Record<string, string>> = {
  2: 'its check is of a kind that is not read (CRC32 and CRC64 are)',
  3: 'there is not enough memory',
  4: 'its dictionary is larger than 64 MiB',
  5: 'it is not xz',
  6: 'it uses a filter or a check that is not read (LZMA2 with CRC32 or CRC64 is)',
  7: 'its data is corrupt',
  8: 'it ends too early or is corrupt',
};

async function* unxzed(body: Buffer, meter: Meter): AsyncGenerator<Uint8Array> {
  const packed = new Blob([body]).stream();
  // The types of the two libraries name the same class of Node differently.
  const plain = new XzReadableStream(packed);
  try {
    for await (const chunk of plain as unknown as AsyncIterable<Uint8Array>) {
      meter.count(chunk);
      yield chunk;
    }
  } catch (error) {
    const code = /error code (\d+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? '';
    throw XZ_REASONS[code] === undefined ? error : new Error(XZ_REASONS[code]);
  }
}

/**
 * The library's stream would keep a block as an array of numbers, and 50 bytes can be a block of 46 MB: a process
 * dies of that. Its inner functions hand out byte by byte what they unpack, and it is counted there.
 */
function* bunzipped(body: Buffer, meter: Meter): Generator<Uint8Array> {
  const bits = bitIterator(handedOutOnce(body));
  const sink = new ByteSink(meter);
  while (bits.bytesRead < body.length) {
    const blockBytes = bzip2.header(bits) * BZIP2_UNIT_BYTES;
    const block = new Int32Array(blockBytes);
    let checksum: number | null = 0;
    while (checksum !== null) {
      checksum = bzip2.decompress(bits, sink.put, block, blockBytes, checksum);
      yield* sink.taken();
    }
  }
}

const BZIP2_UNIT_BYTES = 100_000;

function handedOutOnce(body: Buffer): () => Buffer {
  let next: Buffer | undefined = body;
  return () => {
    if (next === undefined) throw new Error('it ends too early');
    const given = next;
    next = undefined;
    return given;
  };
}

/** Gathers single bytes in pieces of 64 KiB. */
class ByteSink {
  private pieces: Buffer[] = [];
  private piece = Buffer.allocUnsafe(SINK_BYTES);
  private used = 0;

  constructor(private readonly meter: Meter) {}

  /** @throws ArchiveError beyond a limit */
  readonly put = (byte: number): void => {
    this.piece[this.used] = byte;
    this.used += 1;
    if (this.used === SINK_BYTES) this.finishPiece();
  };

  /** What came since the last call. */
  taken(): Buffer[] {
    this.finishPiece();
    const pieces = this.pieces;
    this.pieces = [];
    return pieces;
  }

  private finishPiece(): void {
    if (this.used === 0) return;
    const piece = this.piece.subarray(0, this.used);
    this.meter.count(piece);
    this.pieces.push(piece);
    this.piece = Buffer.allocUnsafe(SINK_BYTES);
    this.used = 0;
  }
}

const SINK_BYTES = 64 * 1024;

function* unzstded(body: Buffer, meter: Meter): Generator<Uint8Array> {
  const windowBytes = largestZstdWindow(body);
  if (windowBytes > MAX_WINDOW_BYTES) {
    throw new ArchiveError(`its window of ${windowBytes} bytes is over ${MAX_WINDOW_BYTES}`);
  }
  let chunks: Uint8Array[] = [];
  const stream = new Decompress((chunk) => {
    meter.count(chunk);
    chunks.push(chunk);
  });
  let left = body.length;
  for (const slice of slicesOf(body)) {
    left -= slice.length;
    stream.push(slice, left === 0);
    yield* chunks;
    chunks = [];
  }
}

function* slicesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += SLICE_BYTES) yield body.subarray(at, at + SLICE_BYTES);
}
