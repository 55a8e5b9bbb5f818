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

/**
 * As {@link requireIfMatch}, but a change without If-Match is refused (RFC 6585, section 3): of two tools that act
 * on what they read, only one may go on. `*` says that any version will do.
 * @throws ProblemException if-match-required (428), stale-etag (412)
 */
export function demandIfMatch(ifMatch: string | undefined, version: number): void {
  if (ifMatch === undefined) {
    const detail = `Send If-Match with the ETag that was read (now ${etagOf(version)}), or * for any version.`;
    throw new ProblemException('if-match-required', detail, {
      path: 'If-Match',
      headers: { ETag: etagOf(version) },
    });
  }
  requireIfMatch(ifMatch, version);
}

/** Whether If-None-Match names the stored version, so that 304 is the answer (weak comparison). */
export function isNotModified(ifNoneMatch: string | undefined, version: number): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = listOf(ifNoneMatch).map((tag) => tag.replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etagOf(version));
}

const listOf = (header: string): string[] => header.split(',').map((tag) => tag.trim());
