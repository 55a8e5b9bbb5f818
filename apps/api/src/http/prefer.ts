/** The longest that a request may wait for its result. */
export const MAX_WAIT_SECONDS = 60;

/** Whether the client asks for an answer before the work is done: `Prefer: respond-async` (RFC 7240). */
export function prefersAsync(prefer: string | string[] | undefined): boolean {
  const header = Array.isArray(prefer) ? prefer.join(',') : (prefer ?? '');
  return header.split(',').some((preference) => /^\s*respond-async\s*(;.*)?$/i.test(preference));
}

/**
 * Reads `Prefer: wait=N` (RFC 7240). A preference that cannot be honoured is ignored, as the RFC asks;
 * longer waits are cut to {@link MAX_WAIT_SECONDS}.
 * @returns seconds to wait, 0 when none is asked for
 */
export function waitSecondsOf(prefer: string | string[] | undefined): number {
  const header = Array.isArray(prefer) ? prefer.join(',') : (prefer ?? '');
  for (const preference of header.split(',')) {
    const match = /^\s*wait\s*=\s*"?(\d{1,6})"?\s*(;.*)?$/i.exec(preference);
    if (match) return Math.min(Number(match[1]), MAX_WAIT_SECONDS);
  }
  return 0;
}
