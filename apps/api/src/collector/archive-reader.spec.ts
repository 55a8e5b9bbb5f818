import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProblemException } from '../http/problem';
import { ArchiveReader, DEFAULT_READER_LIMITS, type ReaderLimits } from './archive-reader';

const SOSREPORT = readFileSync(
  join(__dirname, '../../../../test/fixtures/archives/sosreport.tar.xz'),
);

async function withReader<T>(
  limits: Partial<ReaderLimits>,
  use: (reader: ArchiveReader) => Promise<T>,
): Promise<T> {
  const reader = new ArchiveReader({ ...DEFAULT_READER_LIMITS, ...limits });
  try {
    return await use(reader);
  } finally {
    await reader.beforeApplicationShutdown();
  }
}

async function refusal(reader: ArchiveReader, body: Buffer): Promise<string> {
  try {
    await reader.read(body);
  } catch (error) {
    if (error instanceof ProblemException) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('ArchiveReader', () => {
  it('reads archives one after the other, and refuses broken ones as malformed', () =>
    withReader({}, async (reader) => {
      const [first, second, broken] = await Promise.all([
        reader.read(SOSREPORT),
        reader.read(SOSREPORT),
        refusal(reader, SOSREPORT.subarray(0, 1000)),
      ]);
      expect(first.hostName).toBe('numa-host-1');
      expect(second).toEqual(first);
      expect(broken).toBe(
        'malformed-archive: The archive is refused: it cannot be unpacked with xz: it ends too early or is corrupt.',
      );
    }));

  it('ends what takes too long', () =>
    withReader({ timeMs: 1 }, async (reader) => {
      expect(await refusal(reader, SOSREPORT)).toBe(
        'malformed-archive: The archive is refused: it takes longer than 1 ms to read.',
      );
    }));

  it('refuses more than may wait', () =>
    withReader({ maxWaiting: 1 }, async (reader) => {
      const outcomes = await Promise.all([1, 2, 3, 4].map(() => refusal(reader, SOSREPORT)));
      expect(outcomes).toContain('accepted');
      expect(outcomes.some((outcome) => outcome.startsWith('queue-full'))).toBe(true);
    }));
});
