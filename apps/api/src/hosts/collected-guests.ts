/** Guests that came with a host's archive, as domains to store. Pure but for ids and the clock given to it. */
import type { CollectedGuest } from '@zonewise/host-facts';
import { parseDomain, runtimePlacement } from '@zonewise/libvirt-xml';
import { hostPlacement, readResidency } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { Domain } from '../database/entities/domain.entity';

/** A running domain without what a database row has besides. */
export type GuestDomain = Pick<
  Domain,
  | 'name'
  | 'state'
  | 'xml'
  | 'view'
  | 'residency'
  | 'residencySource'
  | 'residencyNotes'
  | 'swapPages'
>;

export interface ReadGuests {
  domains: GuestDomain[];
  /** Guests that could not be read: the host is imported without them. */
  caveats: { code: string; message: string }[];
}

/** Reads what it can; a guest that cannot be read is a caveat and no reason to refuse the host. */
export function readGuests(guests: readonly CollectedGuest[], model: HostModel): ReadGuests {
  const read: ReadGuests = { domains: [], caveats: [] };
  const leaveOut = (name: string, reason: string): void => {
    const message = `Guest "${name.slice(0, 255)}" is left out: ${reason}`;
    read.caveats.push({ code: 'guest-left-out', message });
  };
  for (const guest of guests) {
    const { name, xml, numaMaps, smapsRollup } = guest;
    if (xml === undefined) {
      leaveOut(name, 'the archive has no XML of it.');
      continue;
    }
    const parsed = parseDomain(xml);
    if (!parsed.ok) {
      leaveOut(name, parsed.problems[0]?.message ?? 'its XML is refused.');
      continue;
    }
    const view = parsed.value;
    const placed = runtimePlacement(view, hostPlacement(model));
    if (!placed.ok) {
      leaveOut(name, placed.problems[0]?.message ?? 'it does not fit the host.');
      continue;
    }
    if (read.domains.some((domain) => domain.name === view.name)) {
      leaveOut(name, 'another guest has the same name.');
      continue;
    }
    const texts = {
      ...(numaMaps === undefined ? {} : { numaMaps }),
      ...(smapsRollup === undefined ? {} : { smapsRollup }),
    };
    const measured = readResidency(texts, view, model);
    const residency = measured.ok ? measured : readResidency({}, view, model);
    if (!residency.ok) {
      leaveOut(name, residency.problems[0]?.message ?? 'its memory cannot be told.');
      continue;
    }
    const { notes, ...columns } = residency.value;
    const refused = measured.ok ? [] : measured.problems.slice(0, 1);
    const residencyNotes = [
      ...refused.map(({ message }) => ({ code: 'residency-refused', message })),
      ...notes,
    ];
    read.domains.push({ name: view.name, state: 'running', xml, view, ...columns, residencyNotes });
  }
  return read;
}
