/** Who is lost in a host's replay. */
import type { Outcome } from '@zonewise/advisor';

/** Names, each once. */
export interface Losses {
  /** Guests and other processes that the OOM killer took, and guests that died otherwise. */
  killed: string[];
  /** Guests that did not come up although nobody killed them: no huge page, no reservation. */
  notStarted: string[];
}

/** @param outcome of this version or of an earlier one, which did not tell failed starts from kills */
export function lossesOf({
  guests,
  oomKills,
  failedStarts = [],
}: Pick<Outcome, 'guests' | 'oomKills'> & Partial<Pick<Outcome, 'failedStarts'>>): Losses {
  const dead = guests.filter(({ oomKilled }) => oomKilled).map(({ name }) => name);
  const notStarted = new Set(failedStarts);
  return {
    killed: [...new Set([...oomKills, ...dead])].filter((name) => !notStarted.has(name)),
    notStarted: [...notStarted],
  };
}
