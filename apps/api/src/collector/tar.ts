/** Reads tar archives (ustar, pax, GNU long names) as they stream by. Pure: nothing is written anywhere. */

/** What is wrong with an archive, in words. */
export class ArchiveError extends Error {}

export interface TarLimits {
  /** Entries of any kind. */
  entries: number;
  /** Bytes of the unpacked archive as a whole. */
  bytes: number;
  /** Bytes of one file that is kept. */
  fileBytes: number;
  /** Bytes of all files that are kept. */
  keptBytes: number;
}

export interface TarFile {
  path: string;
  data: Buffer;
}

const BLOCK = 512;
const MAX_NAME = 4096;
/** Extended headers hold names and times. */
const MAX_HEADER_BYTES = 64 * 1024;
const REGULAR = new Set(['0', '\0', '7']);

interface Header {
  name: string;
  size: number;
  type: string;
}

/**
 * The regular files that are wanted, in order. Links, devices and folders are passed over.
 * @throws ArchiveError for anything that is no tar archive, ends early, passes a limit, or has a name that leads
 *   out of the archive
 */
export async function readTar(
  chunks: AsyncIterable<Buffer>,
  limits: TarLimits,
  wanted: (path: string) => boolean,
): Promise<TarFile[]> {
  const input = new BlockReader(chunks, limits.bytes);
  try {
    return await readEntries(input, limits, wanted);
  } finally {
    await input.close();
  }
}

async function readEntries(
  input: BlockReader,
  limits: TarLimits,
  wanted: (path: string) => boolean,
): Promise<TarFile[]> {
  const files: TarFile[] = [];
  let keptBytes = 0;
  let longName: string | undefined;
  let pax = new Map<string, string>();
  for (let entries = 0; ; entries += 1) {
    if (entries > limits.entries) {
      throw new ArchiveError(`the archive has more than ${limits.entries} entries`);
    }
    const header = await readHeader(input, entries);
    if (header === null) return files;
    const { type } = header;
    if (type === 'L' || type === 'x' || type === 'g' || type === 'K') {
      const data = await input.take(
        limited(header.size, MAX_HEADER_BYTES, 'a header of the archive'),
      );
      if (type === 'L') longName = textOf(data);
      if (type === 'x') pax = readPax(data);
      continue;
    }
    const path = pax.get('path') ?? longName ?? header.name;
    const size = paxSize(pax) ?? header.size;
    longName = undefined;
    pax = new Map();
    refuseEscape(path);
    if (!REGULAR.has(type) || !wanted(path)) {
      await input.skip(size);
      continue;
    }
    keptBytes += limited(size, limits.fileBytes, path);
    limited(keptBytes, limits.keptBytes, 'what is read of the archive');
    files.push({ path, data: await input.take(size) });
  }
}

function limited(size: number, most: number, what: string): number {
  if (size <= most) return size;
  throw new ArchiveError(`${what} has ${size} bytes, more than ${most}`);
}

function refuseEscape(path: string): void {
  const excerpt = JSON.stringify(path.slice(0, 120));
  if (path.length > MAX_NAME) throw new ArchiveError(`the name ${excerpt} is too long`);
  if (path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw new ArchiveError(`the name ${excerpt} leads out of the archive`);
  }
}

/** @returns null at the end of the archive: a block of zeros, or the end of the input */
async function readHeader(input: BlockReader, entries: number): Promise<Header | null> {
  const block = await input.header();
  if (block === null) {
    if (entries === 0) throw new ArchiveError('the archive is empty');
    return null;
  }
  if (block.every((byte) => byte === 0)) return null;
  let sum = 8 * 0x20;
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte;
  const printed = octal(block.subarray(148, 156));
  if (printed !== sum) throw new ArchiveError('a header of the archive has a wrong checksum');
  const prefix =
    block.toString('latin1', 257, 262) === 'ustar' ? textOf(block.subarray(345, 500)) : '';
  const gnu = block.toString('latin1', 257, 265) === 'ustar  \0';
  const name = textOf(block.subarray(0, 100));
  const size = octal(block.subarray(124, 136));
  if (size === null) throw new ArchiveError('a header of the archive has no size');
  return {
    name: prefix === '' || gnu ? name : `${prefix}/${name}`,
    size,
    type: String.fromCharCode(block[156] ?? 0),
  };
}

/** Octal digits, or for large numbers a set bit and big-endian bytes. */
function octal(field: Buffer): number | null {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    let value = (field[0] ?? 0) & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return Number.isSafeInteger(value) ? value : null;
  }
  const digits = textOf(field).trim();
  return /^[0-7]{1,12}$/.test(digits) ? parseInt(digits, 8) : null;
}

/** Up to the first NUL. */
function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

/** Records of a pax header: `length key=value\n`, of which the length counts itself. */
function readPax(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const length = Number(data.toString('latin1', at, Math.max(space, at)));
    if (space < 0 || !Number.isInteger(length) || length < 5 || at + length > data.length) {
      throw new ArchiveError('an extended header of the archive is broken');
    }
    const record = data.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

function paxSize(pax: Map<string, string>): number | undefined {
  const size = pax.get('size');
  if (size === undefined) return undefined;
  if (!/^\d{1,15}$/.test(size)) throw new ArchiveError('an extended header has no size');
  return Number(size);
}

/** Takes bytes off a stream of chunks. Contents are padded to whole blocks. */
class BlockReader {
  private readonly source: AsyncIterator<Buffer>;
  private chunk: Buffer = Buffer.alloc(0);
  private bytes = 0;

  constructor(
    chunks: AsyncIterable<Buffer>,
    private readonly maxBytes: number,
  ) {
    this.source = chunks[Symbol.asyncIterator]();
  }

  /** Leaves what follows unread. */
  async close(): Promise<void> {
    await this.source.return?.();
  }

  /** One block, or null where the input has ended before it. */
  async header(): Promise<Buffer | null> {
    if (!(await this.fill())) return null;
    return this.exactly(BLOCK);
  }

  async take(size: number): Promise<Buffer> {
    const data = await this.exactly(size);
    await this.pass((BLOCK - (size % BLOCK)) % BLOCK);
    return data;
  }

  skip(size: number): Promise<void> {
    return this.pass(Math.ceil(size / BLOCK) * BLOCK);
  }

  private async exactly(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let left = size;
    while (left > 0) {
      if (!(await this.fill())) throw new ArchiveError('the archive ends inside a file');
      const part = this.chunk.subarray(0, left);
      parts.push(part);
      left -= part.length;
      this.chunk = this.chunk.subarray(part.length);
    }
    return Buffer.concat(parts);
  }

  private async pass(size: number): Promise<void> {
    let left = size;
    while (left > 0) {
      if (!(await this.fill())) throw new ArchiveError('the archive ends inside a file');
      const passed = Math.min(left, this.chunk.length);
      left -= passed;
      this.chunk = this.chunk.subarray(passed);
    }
  }

  private async fill(): Promise<boolean> {
    while (this.chunk.length === 0) {
      const next = await this.source.next();
      if (next.done === true) return false;
      this.chunk = next.value;
      this.bytes += next.value.length;
      if (this.bytes > this.maxBytes) {
        throw new ArchiveError(`the archive unpacks to more than ${this.maxBytes} bytes`);
      }
    }
    return true;
  }
}
