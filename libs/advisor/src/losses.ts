/** Who is lost in a replay: killed by the OOM killer, or never started; the two are told apart in every sentence. */
import { formatList } from './format';
import type { Outcome } from './types';

/** Names, each once; who was killed in the order of the kills. */
export interface Losses {
  /** Guests and other processes that the OOM killer took, and guests that died otherwise. */
  killed: string[];
  /** Guests that did not come up although nobody killed them: no huge page, no reservation. */
  notStarted: string[];
}

type Lost = Pick<Outcome, 'guests' | 'oomKills'> & Partial<Pick<Outcome, 'failedStarts'>>;

/** @param outcome of this version or of an earlier one, which did not tell failed starts from kills */
export function lossesOf({ guests, oomKills, failedStarts = [] }: Lost): Losses {
  const dead = guests.filter(({ oomKilled }) => oomKilled).map(({ name }) => name);
  const notStarted = new Set(failedStarts);
  return {
    killed: [...new Set([...oomKills, ...dead])].filter((name) => !notStarted.has(name)),
    notStarted: [...notStarted],
  };
}

/** Names of everybody who is lost, the killed first. */
export function lostNames(outcome: Lost): string[] {
  const { killed, notStarted } = lossesOf(outcome);
  return [...killed, ...notStarted];
}

/** `a and b would be killed and c would not start`; empty where nobody is lost. */
export function wouldLose(outcome: Lost): string {
  const { killed, notStarted } = lossesOf(outcome);
  return [
    ...(killed.length > 0 ? [`${formatList(killed)} would be killed`] : []),
    ...(notStarted.length > 0 ? [`${formatList(notStarted)} would not start`] : []),
  ].join(' and ');
}

/** `c does not start`, `c and d do not start`. */
export function notStarting(names: string[]): string {
  return `${formatList(names)} ${names.length === 1 ? 'does' : 'do'} not start`;
}

/**
 * `Kills a and b, and c does not start`: the beginning of a sentence.
 * @param kill what is told of the kill, behind it
 */
export function losesText(outcome: Lost, kill = ''): string {
  const { killed, notStarted } = lossesOf(outcome);
  if (killed.length === 0) return notStarting(notStarted);
  const rest = notStarted.length === 0 ? '' : `, and ${notStarting(notStarted)}`;
  return `Kills ${formatList(killed)}${kill}${rest}`;
}

/** What becomes of those whom another outcome loses: `nobody is killed`, `everybody starts`, or who is lost all the same. */
export function sparedText(outcome: Lost, than: Lost): string {
  const { killed, notStarted } = lossesOf(outcome);
  const other = lossesOf(than);
  const parts = [
    ...(killed.length > 0
      ? [`${formatList(killed)} ${killed.length === 1 ? 'is' : 'are'} killed`]
      : other.killed.length > 0
        ? ['nobody is killed']
        : []),
    ...(notStarted.length > 0
      ? [notStarting(notStarted)]
      : other.notStarted.length > 0
        ? ['everybody starts']
        : []),
  ];
  return parts.join(' and ');
}

/** `2 killed`, `0 killed, 1 not started`. */
export function lossCounts(outcome: Lost): string {
  const { killed, notStarted } = lossesOf(outcome);
  return `${killed.length} killed${notStarted.length > 0 ? `, ${notStarted.length} not started` : ''}`;
}

/** What the number of those who are lost counts, in these outcomes. */
export function lossLabel(...outcomes: Lost[]): string {
  const losses = outcomes.map(lossesOf);
  if (losses.every(({ notStarted }) => notStarted.length === 0)) return 'guests killed';
  return losses.every(({ killed }) => killed.length === 0)
    ? 'guests that do not start'
    : 'guests killed or not started';
}
