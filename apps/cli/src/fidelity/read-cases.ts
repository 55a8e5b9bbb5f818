import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { packageRoot } from '../version';
import { isRecordedCase, type RecordedCase } from './case-file';

/** The recorded cases that are part of this repository. */
export function ownCases(): string {
  return join(packageRoot(), 'test', 'fixtures', 'kernel');
}

/** Largest case file, as text; the largest one recorded so far has 0.4 MB. */
const MAX_CASE_BYTES = 16 * 2 ** 20;

function caseText(path: string): string {
  const { size } = statSync(path);
  if (size > MAX_CASE_BYTES) {
    throw new Error(`${path}: ${size} bytes; a case file has at most ${MAX_CASE_BYTES}`);
  }
  const bytes = readFileSync(path);
  if (!path.endsWith('.br')) return bytes.toString('utf8');
  try {
    // Bounded, because a few bytes of a damaged or hostile file can stand for any amount of text.
    return brotliDecompressSync(bytes, { maxOutputLength: MAX_CASE_BYTES }).toString('utf8');
  } catch (error) {
    throw new Error(
      `${path}: not a brotli file of at most ${MAX_CASE_BYTES} bytes of text (${(error as Error).message})`,
    );
  }
}

function parsed(path: string): unknown {
  const text = caseText(path);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Error(`${path}: not JSON (${(error as Error).message})`);
  }
}

/**
 * Recorded cases of a folder in the order of their file names, one read at a time: `.json`, and `.json.br` (the same
 * compressed by brotli). Other JSON is passed over.
 * @throws Error when the folder cannot be read, or a file is too large or damaged
 */
export function* readCases(folder: string): Generator<RecordedCase> {
  for (const name of readdirSync(folder).sort()) {
    if (!/\.json(\.br)?$/.test(name)) continue;
    const value = parsed(join(folder, name));
    if (isRecordedCase(value)) yield value;
  }
}
