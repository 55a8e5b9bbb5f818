/** Archives that hosts are imported from: what the collector writes, and sosreports. */
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { types } from 'node:util';
import { createGunzip } from 'node:zlib';
import { collectionOf, isCollected, type Collection } from '@zonewise/host-facts';
import { ProblemException } from '../http/problem';
import { ArchiveError, readTar, type TarLimits } from './tar';

const MIB = 1024 * 1024;

/** A sosreport has tens of thousands of files, of which few are read. */
export const ARCHIVE_LIMITS: TarLimits = {
  entries: 200_000,
  bytes: 512 * MIB,
  fileBytes: 16 * MIB,
  keptBytes: 64 * MIB,
};

/** Other ways to pack, by their first bytes. */
const OTHERS: readonly (readonly [start: string, name: string])[] = [
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['28b52ffd', 'zstd'],
  ['504b0304', 'zip'],
];

/**
 * Sorts the files of a tar archive, packed with gzip or not.
 * @throws ProblemException malformed-archive
 */
export async function readArchive(
  body: Buffer,
  limits: TarLimits = ARCHIVE_LIMITS,
): Promise<Collection> {
  const packed = body.length > 1 && body[0] === 0x1f && body[1] === 0x8b;
  const start = body.toString('hex', 0, 6);
  const other = OTHERS.find(([bytes]) => start.startsWith(bytes));
  if (other !== undefined) {
    const [, name] = other;
    throw malformed(
      `the archive is packed with ${name}; it is read plain or packed with gzip, such as by "${name} -dc FILE | gzip"`,
    );
  }
  const plain = Readable.from([body]);
  const chunks: AsyncIterable<Buffer> = packed ? plain.pipe(createGunzip()) : plain;
  try {
    const files = await readTar(chunks, limits, isCollected);
    const texts = files.filter(({ data }) => isUtf8(data));
    const others = files.filter((file) => !texts.includes(file));
    const collection = collectionOf(
      texts.map(({ path, data }) => ({ path, text: data.toString('utf8') })),
    );
    collection.unread.push(...others.map(({ path }) => `${path}: it is not UTF-8 text`));
    return collection;
  } catch (error) {
    if (error instanceof ArchiveError) throw malformed(error.message);
    if (isZlibError(error)) throw malformed(`the archive cannot be unpacked: ${error.message}`);
    throw error;
  }
}

function malformed(reason: string): ProblemException {
  return new ProblemException('malformed-archive', `The archive is refused: ${reason}.`, {
    path: 'archive',
  });
}

const isZlibError = (error: unknown): error is Error =>
  types.isNativeError(error) && 'code' in error && /^Z_|^ERR_/.test(String(error.code));
