import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { verifyPrediction } from '@zonewise/advisor';
import type {
  GuestSpec,
  ObservedDocument,
  ObservedGuest,
  VerificationResult,
} from '@zonewise/advisor';
import type { Collection } from '@zonewise/host-facts';
import { parseDomain } from '@zonewise/libvirt-xml';
import type { DomainView } from '@zonewise/libvirt-xml';
import { buildGuestSpec, hostPlacement, readResidency } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { EntityManager, QueryDeepPartialEntity } from 'typeorm';
import { Transactions } from '../database/transactions';
import type { GuestDomain } from '../hosts/collected-guests';
import { importedContent } from '../hosts/host-content';
import { Page, PageQuery, pageOf } from '../http/cursor';
import { demandIfMatch, requireIfMatch } from '../http/etag';
import { ProblemError, ProblemException } from '../http/problem';
import type { JobRequest } from '../jobs/job-kinds';
import { Job } from '../jobs/job.entity';
import { IdempotencyKeys } from '../work/idempotency-keys';
import type { DomainDocument } from '../work/tasks';
import type { Recommendation, RecommendationState } from './recommendation.entity';
import { RecommendationsService } from './recommendations.service';
import {
  type GuestTextsDto,
  verificationCreated,
  type Verified,
  type VerifyDto,
  type VerifyQuery,
} from './verification.dto';
import { Verification } from './verification.entity';

/** What a verdict makes of a claimed recommendation; the others conclude nothing. */
const CONCLUSIONS: Partial<Record<VerificationResult['verdict'], RecommendationState>> = {
  AGREES: 'SUCCEEDED',
  DIFFERS: 'FAILED',
};

/** Recommendations held against what a host became. */
@Injectable()
export class VerificationsService {
  constructor(
    private readonly transactions: Transactions,
    private readonly recommendations: RecommendationsService,
    private readonly keys: IdempotencyKeys,
  ) {}

  /**
   * Compares and stores the comparison; with `conclude` the recommendation's state follows from it.
   * @throws ProblemException recommendation-not-found, invalid-facts, malformed-xml, invalid-capabilities,
   *   invalid-residency, if-match-required, stale-etag, invalid-state-transition
   */
  async verify(
    id: string,
    { guests: texts = {}, ...hostTexts }: VerifyDto,
    collection: Collection | undefined,
    { conclude, tolerancePercent }: VerifyQuery,
    ifMatch: string | undefined,
  ): Promise<Verified> {
    const { content: host, guests: collected } = importedContent(hostTexts, collection);
    const { model, sources, provenance } = host;
    const read = provenance.flatMap(({ kind, path }) => (kind === 'read' ? [path] : []));
    return this.transactions.run(async (manager) => {
      const stored = await this.recommendations.find(manager, id, this.transactions.rowLock);
      if (conclude === 'true') this.requireConcludable(stored, ifMatch);
      else requireIfMatch(ifMatch, stored.version);
      const documents = await documentsOf(manager, stored);
      const guests = [
        ...collected.map((guest) => observedDomain(guest, documents, model)),
        ...Object.entries(texts).map(([name, one]) => observedTexts(name, one, documents, model)),
      ];
      const found = { host: model, read, guests };
      const result = verifyPrediction(stored.content, found, tolerancePercent);
      const concludedState = conclude === 'true' ? (CONCLUSIONS[result.verdict] ?? null) : null;
      const verification: Verification = {
        ...{ id: randomUUID(), recommendationId: id, verdict: result.verdict, result },
        ...{ sources, concludedState, createdAt: new Date().toISOString() },
      };
      await manager.insert(Verification, verification as QueryDeepPartialEntity<Verification>);
      const { version } =
        concludedState === null
          ? stored
          : await this.recommendations.moveTo(manager, stored, concludedState);
      const verified = { verification, version };
      await this.keys.record(manager, () => verificationCreated(verified));
      return verified;
    });
  }

  /** Oldest first. @throws ProblemException recommendation-not-found, invalid-cursor */
  list(id: string, page: PageQuery): Promise<Page<Verification>> {
    return this.transactions.read(async (manager) => {
      await this.recommendations.find(manager, id);
      const query = manager.createQueryBuilder(Verification, 'verification');
      return pageOf(query.where({ recommendationId: id }), page);
    });
  }

  /** @throws ProblemException verification-not-found */
  get(recommendationId: string, id: string): Promise<Verification> {
    return this.transactions.read(async (manager) => {
      const stored = await manager.findOneBy(Verification, { id, recommendationId });
      if (stored !== null) return stored;
      const detail = `The recommendation has no verification with the id ${id}.`;
      throw new ProblemException('verification-not-found', detail, { path: 'verificationId' });
    });
  }

  private requireConcludable(stored: Recommendation, ifMatch: string | undefined): void {
    demandIfMatch(ifMatch, stored.version);
    if (stored.state === 'CLAIMED') return;
    throw new ProblemException(
      'invalid-state-transition',
      `The recommendation is ${stored.state}; only a CLAIMED one is concluded. Verify it without conclude.`,
      { path: 'conclude' },
    );
  }
}

/** The documents that the recommendation was computed from. */
async function documentsOf(
  manager: EntityManager,
  { jobId }: Recommendation,
): Promise<DomainDocument[]> {
  const { request } = await manager.findOneOrFail(Job, {
    where: { id: jobId },
    select: { id: true, request: true },
  });
  return (request as JobRequest).documents;
}

/** A guest of an archive, with the document that libvirt runs it from. */
function observedDomain(
  { name, view, residency, residencySource, swapPages }: GuestDomain,
  documents: DomainDocument[],
  host: HostModel,
): ObservedGuest {
  const use = {
    residency: residency ?? [],
    residencySource: residencySource ?? 'estimated',
    swapPages,
  };
  const spec = buildGuestSpec(view, host, { ...use, state: 'running' });
  if (!spec.ok) return { name };
  const before = documents.find((one) => one.name === name);
  return { ...observed(spec.value), document: observedDocument(view, spec.value, before, host) };
}

/** Where the pins are that advice leaves as they are: those of a document that pins some of its vCPUs only. */
function keptNodesOf(
  { xml }: DomainDocument,
  host: HostModel,
): { cell: number; nodes: number[] }[] {
  const parsed = parseDomain(xml);
  const spec = parsed.ok ? buildGuestSpec(parsed.value, host, { state: 'planned' }) : parsed;
  const cells = (spec.ok && spec.value.partlyPinned?.cells) || [];
  return cells.map(({ cell, pinned }) => ({ cell, nodes: pinned.nodes }));
}

/** A document as it takes effect on the host. @param before the one that the advice is about */
function observedDocument(
  { numatune, disks }: DomainView,
  spec: GuestSpec,
  before: DomainDocument | undefined,
  host: HostModel,
): ObservedDocument {
  const { memory, memnodes } = numatune;
  const { memoryNodes } = hostPlacement(host);
  const tuned = spec.guest.regions.filter(({ cell }) => !spec.ownNodesCells?.includes(cell));
  return {
    numatune: {
      mode: memory?.mode ?? 'none',
      nodeset: memory === null ? [] : (memory.nodeset ?? memoryNodes),
      memnodes,
    },
    cpuNodes: tuned.map(({ cell, cpuNodes }) => ({ cell, nodes: cpuNodes })),
    keptNodes: before ? keptNodesOf(before, host) : [],
    emulatorNodes: spec.emulatorNodes ?? [],
    hugepages: tuned.flatMap(({ cell, hugetlb }) =>
      hugetlb === undefined ? [] : [{ cell, sizeKib: hugetlb.sizeKib }],
    ),
    cachedDisks: disks.flatMap((disk) => (disk.usesHostPageCache ? [disk.target] : [])),
  };
}

/**
 * A guest whose process files were given. Without its document the one that the advice is about says how large it is,
 * and nothing of how it runs.
 * @throws ProblemException invalid-residency
 */
function observedTexts(
  name: string,
  texts: GuestTextsDto,
  documents: DomainDocument[],
  host: HostModel,
): ObservedGuest {
  const path = `guests.${name}`;
  const document = documents.find((one) => one.name === name);
  if (document === undefined) {
    const names = documents.map((one) => one.name).join(', ') || 'none';
    throw residencyProblem([
      {
        code: 'domain-not-found',
        path,
        message: `The recommendation has no domain ${JSON.stringify(name)}; it has: ${names}.`,
      },
    ]);
  }
  const { xml } = texts;
  const parsed = parseDomain(xml ?? document.xml);
  if (!parsed.ok) throw residencyProblem(under(path, parsed.problems));
  if (parsed.value.name !== name) {
    const message = `The document is of ${JSON.stringify(parsed.value.name)}.`;
    throw residencyProblem([{ code: 'name-mismatch', path: `${path}.xml`, message }]);
  }
  const use = readResidency(texts, parsed.value, host);
  if (!use.ok) throw residencyProblem(under(path, use.problems));
  const spec = buildGuestSpec(parsed.value, host, { ...use.value, state: 'running' });
  if (!spec.ok) throw residencyProblem(under(path, spec.problems));
  if (xml === undefined) return observed(spec.value);
  const found = observedDocument(parsed.value, spec.value, document, host);
  return { ...observed(spec.value), document: found };
}

function observed(spec: GuestSpec): ObservedGuest {
  const { name } = spec.guest;
  // An estimate follows from the very numbers that it would be compared with.
  if (spec.state !== 'running' || spec.residencySource === 'estimated') return { name };
  const pagesByNode = spec.guest.residency.map(({ nodeId, pages }) => ({ nodeId, pages }));
  return { name, pagesByNode };
}

const under = (parent: string, problems: ProblemError[]): ProblemError[] =>
  problems.map((problem) => ({ ...problem, path: `${parent}.${problem.path}` }));

function residencyProblem(errors: ProblemError[]): ProblemException {
  const detail = errors[0]?.message ?? 'The residency is refused.';
  return new ProblemException('invalid-residency', detail, { errors });
}
