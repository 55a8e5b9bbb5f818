import { ProblemException } from './problem';

/** The ETag of a stored thing: its version, quoted. */
export const etagOf = (version: number): string => `"${version}"`;

/**
 * Refuses a change made on top of another version than the stored one. Without If-Match the change is
 * made unconditionally: last writer wins.
 * @throws ProblemException stale-etag (412)
 */
export function requireIfMatch(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined) return;
  const tags = listOf(ifMatch);
  if (tags.includes('*') || tags.includes(etagOf(version))) return;
  throw new ProblemException(
    'stale-etag',
    `If-Match is ${ifMatch}, but the stored version is ${etagOf(version)}: read it again first.`,
    {
      path: 'If-Match',
      headers: { ETag: etagOf(version) },
    },
  );
}

/** Whether If-None-Match names the stored version, so that 304 is the answer (weak comparison). */
export function isNotModified(ifNoneMatch: string | undefined, version: number): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = listOf(ifNoneMatch).map((tag) => tag.replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etagOf(version));
}

const listOf = (header: string): string[] => header.split(',').map((tag) => tag.trim());
