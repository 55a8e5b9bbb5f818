/** Archives that hosts are imported from: what the collector writes, and sosreports. Pure: nothing is written anywhere. */
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { collectionOf, isCollected, type Collection } from '@zonewise/host-facts';
import { extract, type Header } from 'tar-stream';
import { ArchiveError, unpacked, type UnpackLimits } from './unpack';

export { ArchiveError } from './unpack';

export interface ArchiveLimits extends UnpackLimits {
  /** Entries of any kind. */
  entries: number;
  /** Bytes of one file that is kept. */
  fileBytes: number;
  /** Bytes of all files that are kept. */
  keptBytes: number;
}

const MIB = 1024 * 1024;
const MAX_NAME = 4096;

/** A sosreport has tens of thousands of files, of which few are read. */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  entries: 200_000,
  bytes: 512 * MIB,
  ratio: 200,
  ratioFromBytes: 16 * MIB,
  fileBytes: 16 * MIB,
  keptBytes: 64 * MIB,
};

/** tar of before ustar too: an option that the library's own types leave out. */
const ANY_FORMAT: Parameters<typeof extract>[0] & { allowUnknownFormat: boolean } = {
  allowUnknownFormat: true,
};

interface ArchiveFile {
  path: string;
  data: Buffer;
}

/**
 * Sorts the files of a tar archive, plain or packed with gzip, xz, bzip2 or zstd. Links, devices and folders are
 * passed over.
 * @throws ArchiveError for anything that is no tar archive, ends early, passes a limit, or has a name that leads
 *   out of the archive
 */
export async function readArchive(
  body: Buffer,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): Promise<Collection> {
  const files = await wantedFiles(body, limits);
  const texts = files.filter(({ data }) => isUtf8(data));
  const others = files.filter((file) => !texts.includes(file));
  const collection = collectionOf(
    texts.map(({ path, data }) => ({ path, text: data.toString('utf8') })),
  );
  collection.unread.push(...others.map(({ path }) => `${path}: it is not UTF-8 text`));
  return collection;
}

async function wantedFiles(body: Buffer, limits: ArchiveLimits): Promise<ArchiveFile[]> {
  const plain = Readable.from(unpacked(body, limits));
  const entries = extract(ANY_FORMAT);
  plain.on('error', (error) => entries.destroy(error));
  const files: ArchiveFile[] = [];
  let count = 0;
  let keptBytes = 0;
  try {
    // A stream of streamx, which Node's types do not know.
    plain.pipe(entries);
    for await (const entry of entries) {
      const { header } = entry;
      count += 1;
      limited(count, limits.entries, 'entries', 'it');
      refuseEscape(header.name);
      if (!isWanted(header)) {
        entry.resume();
        continue;
      }
      const { name: path, size } = header;
      keptBytes += limited(size, limits.fileBytes, 'bytes', JSON.stringify(path.slice(0, 120)));
      limited(keptBytes, limits.keptBytes, 'bytes', 'what is read of it');
      const chunks: Buffer[] = [];
      for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
      files.push({ path, data: Buffer.concat(chunks) });
    }
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ArchiveError(`it cannot be read as a tar archive: ${reason}`);
  } finally {
    plain.destroy();
  }
  if (count === 0) throw new ArchiveError('it is empty');
  return files;
}

function isWanted({ type, name }: Header): boolean {
  return (type === 'file' || type === 'contiguous-file') && isCollected(name);
}

function limited(found: number, most: number, unit: string, what: string): number {
  if (found <= most) return found;
  throw new ArchiveError(`${what} has ${found} ${unit}, more than ${most}`);
}

function refuseEscape(path: string): void {
  const excerpt = JSON.stringify(path.slice(0, 120));
  if (path.length > MAX_NAME) throw new ArchiveError(`its name ${excerpt} is too long`);
  if (path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw new ArchiveError(`its name ${excerpt} leads out of the archive`);
  }
}
