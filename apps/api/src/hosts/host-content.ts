/** What a host is stored with, read from texts, from an archive, or given as a model. */
import { hostOfReport, lastWithZones, onTopOf, parseKernelLog } from '@zonewise/host-facts';
import type { Collection, FactProblem, Provenance } from '@zonewise/host-facts';
import type { HostModel } from '@zonewise/simulator';
import type { Host } from '../database/entities/host.entity';
import { readGuests, type GuestDomain } from './collected-guests';
import { hostSummary } from './host-views';
import {
  readCollected,
  readHost,
  requireValidModel,
  sourcesOf,
  type ImportTexts,
} from './read-host';
import { ProblemException } from '../http/problem';

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

/** @throws ProblemException validation-failed when other texts come with a kernel log */
export function requireAlone(texts: ImportTexts, collection: Collection | undefined): void {
  if (collection === undefined && Object.keys(given(texts)).length === 0) return;
  const message = 'describes the host by itself: give it without other texts';
  const errors = [{ code: 'invalid-field', path: 'kernelLog', message }];
  throw new ProblemException('validation-failed', `kernelLog: ${message}.`, { errors });
}

/**
 * The host at the last report of a log, on top of its stored sizes and settings.
 * @throws ProblemException invalid-facts
 */
export function loggedContent(kernelLog: string, host: HostModel): ImportedContent {
  const refuse = (problems: FactProblem[]): never => {
    const detail = problems[0]?.message ?? 'The log is refused.';
    throw new ProblemException('invalid-facts', detail, { errors: problems });
  };
  const parsed = parseKernelLog(kernelLog, 'kernelLog', host.kernelRelease);
  if (!parsed.ok) return refuse(parsed.problems);
  const report = lastWithZones(parsed.value);
  if (report === undefined) return refuse([]);
  const read = hostOfReport(report, host);
  if (!read.ok) return refuse(read.problems);
  requireValidModel(read.value, 'invalid-facts');
  const provenance: Provenance[] = [
    { path: '', source: 'the description before', kind: 'read' },
    { path: 'nodes', source: 'kernelLog', kind: 'read', note: 'free pages, marks, blocks, use' },
  ];
  const content = {
    ...{ model: read.value, summary: hostSummary(read.value), provenance, differences: [] },
    ...{
      caveats: [{ code: 'from-kernel-log', message: onTopOf(report) }],
      ...sourcesOf({ kernelLog }),
    },
  };
  return { content, guests: [] };
}
