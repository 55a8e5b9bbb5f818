/** What a host is stored with, read from texts, from an archive, or given as a model. */
import type { Collection, Provenance } from '@zonewise/host-facts';
import type { HostModel } from '@zonewise/simulator';
import type { Host } from '../database/entities/host.entity';
import { readGuests, type GuestDomain } from './collected-guests';
import { hostSummary } from './host-views';
import { readCollected, readHost, sourcesOf, type ImportTexts } from './read-host';

/** The columns of a host that describe it. */
export type HostContent = Pick<
  Host,
  'model' | 'summary' | 'provenance' | 'differences' | 'caveats' | 'sources' | 'sourceTexts'
>;

const GIVEN: Provenance = {
  path: '',
  source: 'request',
  kind: 'read',
  note: 'The model was given as it is.',
};

/** A model that came as it is. */
export function givenContent(model: HostModel): HostContent {
  const nothing = { differences: [], caveats: [], sources: [], sourceTexts: {} };
  return { model, summary: hostSummary(model), provenance: [GIVEN], ...nothing };
}

/** What was read of a host, with the guests that came along. */
export interface ImportedContent {
  content: HostContent;
  guests: GuestDomain[];
}

/**
 * Texts of the request go before those of the archive.
 * @throws ProblemException malformed-xml, invalid-capabilities, invalid-facts
 */
export function importedContent(
  texts: ImportTexts,
  collection: Collection | undefined,
): ImportedContent {
  if (collection === undefined) {
    const { model, provenance, differences, caveats } = readHost(texts);
    const summary = hostSummary(model);
    const content = { model, summary, provenance, differences, caveats, ...sourcesOf(texts) };
    return { content, guests: [] };
  }
  const { capabilities, guests, unread } = collection;
  const all = { ...collection.texts, ...(capabilities ? { capabilities } : {}), ...given(texts) };
  const { host, texts: used } = readCollected(all);
  const { model, provenance, differences } = host;
  const { domains, caveats } = readGuests(guests, model);
  const notes = unread.map((message) => ({ code: 'not-collected', message }));
  const caveatsOfAll = [...host.caveats, ...caveats, ...notes];
  const content = {
    ...{ model, summary: hostSummary(model), provenance, differences },
    ...{ caveats: caveatsOfAll, ...sourcesOf(used) },
  };
  return { content, guests: domains };
}

/** Without the fields that are not there. */
function given<T extends object>(fields: T): Partial<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
