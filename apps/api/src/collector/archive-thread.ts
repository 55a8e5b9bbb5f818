/** Entry of the thread that archives are read in. */
import type { Collection } from '@zonewise/host-facts';
import { ArchiveError, readArchive, type ArchiveLimits } from './archive';

export interface ArchiveTask {
  body: Uint8Array;
  limits: ArchiveLimits;
}
export type ArchiveOutcome = { ok: true; collection: Collection } | { ok: false; reason: string };

export default async function read({ body, limits }: ArchiveTask): Promise<ArchiveOutcome> {
  try {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    return { ok: true, collection: await readArchive(bytes, limits) };
  } catch (error) {
    if (error instanceof ArchiveError) return { ok: false, reason: error.message };
    throw error;
  }
}
