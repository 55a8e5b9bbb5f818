/** When events happen: what `at` says, where it says a time. */
import type { PlanProblem } from './plan-request';
import { isDay } from './waivers';

/** A date, or a date and a time of day with or without an offset; without one it is UTC. */
const ISO_TIME =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:[Zz]|([+-]\d{2})(?::?(\d{2}))?)?)?$/;

type Time = { kind: 'number' | 'time'; value: number };

/** @returns null for what is no time but a label, NaN as the value for a time that no calendar has */
function timeOf(at: string | number | undefined): Time | null {
  if (typeof at === 'number') return { kind: 'number', value: at };
  const found = ISO_TIME.exec(at ?? '');
  if (found === null) return null;
  const [, day = '', hour = '00', minute = '00', second = '00', fraction = ''] = found;
  const [, , , , , , zoneHours, zoneMinutes = '00'] = found;
  if (!isDay(day)) return { kind: 'time', value: NaN };
  const zone = zoneHours === undefined ? 'Z' : `${zoneHours}:${zoneMinutes}`;
  const millis = fraction.slice(0, 3).padEnd(3, '0');
  const value = Date.parse(`${day}T${hour}:${minute}:${second}.${millis}${zone}`);
  return { kind: 'time', value };
}

/**
 * Events happen in the order in which they are written; where they say when, that has to be their order too. Texts that
 * are no ISO 8601 date or time with a date are labels and may stand anywhere.
 * @param events with JSON pointers as `/events/3`
 */
export function timeProblems(events: { at?: string | number }[]): PlanProblem[] {
  let last: (Time & { at: string | number; index: number }) | undefined;
  return events.flatMap(({ at }, index): PlanProblem[] => {
    const time = timeOf(at);
    if (at === undefined || time === null) return [];
    const problem = (message: string, expected: string): PlanProblem[] => [
      { code: 'plan-event', path: `/events/${index}/at`, message, expected, found: String(at) },
    ];
    if (Number.isNaN(time.value)) {
      return problem('There is no such time.', 'a time such as 2027-03-31T22:00Z');
    }
    const before = last;
    last = { ...time, at, index };
    if (before === undefined) return [];
    if (before.kind !== time.kind) {
      const message = `Numbers and times cannot be put in order: event ${before.index + 1} is at ${before.at}. Write all of them in one way.`;
      return problem(message, before.kind === 'number' ? 'a number' : 'a time with its date');
    }
    if (time.value >= before.value) return [];
    const message = `Events are written in the order in which they happen, and event ${before.index + 1} is later: at ${before.at}. Move this one before it, or correct one of the two.`;
    return problem(message, `${before.at} or later`);
  });
}
