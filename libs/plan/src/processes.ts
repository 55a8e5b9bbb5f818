/** Guests that come back to a host have several processes in its replay; a verdict is about guests. */
import type { Outcome } from '@zonewise/advisor';
import type { HostReplays } from './judge-host';

type GuestOutcome = Outcome['guests'][number];

/** A guest's processes in the order in which they came: it is where and what the last one is, and has waited in all. */
function together(before: GuestOutcome, last: GuestOutcome): GuestOutcome {
  return {
    ...last,
    oomKilled: before.oomKilled || last.oomKilled,
    stallNs: before.stallNs + last.stallNs,
  };
}

/** The replays with one entry for each guest, where several processes have its name. */
export function asGuests(replays: HostReplays): HostReplays {
  const { outcome } = replays.verdict;
  const guests = new Map<string, GuestOutcome>();
  for (const guest of outcome.guests) {
    const before = guests.get(guest.name);
    guests.set(guest.name, before === undefined ? guest : together(before, guest));
  }
  if (guests.size === outcome.guests.length) return replays;
  const failedStarts = [...new Set(outcome.failedStarts)];
  const verdict = {
    ...replays.verdict,
    outcome: { ...outcome, guests: [...guests.values()], failedStarts },
  };
  return { ...replays, verdict };
}
