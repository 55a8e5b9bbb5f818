/** Findings that somebody has accepted for a while, with the reason. */
import { ruleOf } from './rules';

export interface Waiver {
  /** Id or code of the rule. */
  rule: string;
  /** Only findings of this host, guest; absent: of any. */
  host?: string;
  guest?: string;
  reason: string;
  /** Last day on which it holds, `YYYY-MM-DD`. */
  expires: string;
}

export type WaiverState = 'applied' | 'unused' | 'expired';

const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Whether a text is a day of the calendar, as `YYYY-MM-DD`. */
export function isDay(text: string): boolean {
  const [, year = '', month = '', day = ''] = DAY.exec(text) ?? [];
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return year !== '' && date.toISOString().slice(0, 10) === text;
}

/** What a waiver is matched with. */
export interface Waivable {
  rule: string;
  host: string;
  guest?: string;
}

/**
 * Which waivers hold for which findings on a day. Days compare as texts; the last day still counts.
 * @returns for each finding the index of the first waiver that holds, or -1; and each waiver's state
 */
export function applyWaivers(
  waivers: Waiver[],
  findings: Waivable[],
  today: string,
): { waivedBy: number[]; states: WaiverState[] } {
  const live = waivers.map(({ expires }) => today <= expires);
  const covers = (waiver: Waiver, finding: Waivable): boolean =>
    ruleOf(waiver.rule)?.id === finding.rule &&
    (waiver.host === undefined || waiver.host === finding.host) &&
    (waiver.guest === undefined || waiver.guest === finding.guest);
  const waivedBy = findings.map((finding) =>
    waivers.findIndex((waiver, i) => live[i] === true && covers(waiver, finding)),
  );
  const states = waivers.map((waiver, i): WaiverState => {
    if (live[i] !== true) return 'expired';
    return findings.some((finding) => covers(waiver, finding)) ? 'applied' : 'unused';
  });
  return { waivedBy, states };
}
