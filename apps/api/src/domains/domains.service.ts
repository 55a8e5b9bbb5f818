import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { parseDomain, parseDomains, runtimePlacement } from '@zonewise/libvirt-xml';
import type { DomainView, ReadOptions, RuntimePlacement } from '@zonewise/libvirt-xml';
import { hostPlacement, ResidencyTexts } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { EntityManager } from 'typeorm';
import { Domain, DomainState } from '../database/entities/domain.entity';
import { isForeignKeyViolation, isUniqueViolation, Transactions } from '../database/transactions';
import { Page, pageOf } from '../http/cursor';
import { requireIfMatch } from '../http/etag';
import { ProblemException } from '../http/problem';
import { xmlProblem } from '../http/xml-problems';
import { HostsService } from '../hosts/hosts.service';
import type { PutDomainDto, UpdateDomainDto } from './domain-requests.dto';
import { namePosition } from './name-position';
import { hasTexts, NO_RESIDENCY, ResidencyColumns, residencyOf } from './residency';

/** What a change is made conditional on. */
export interface Preconditions {
  ifMatch?: string;
  ifNoneMatch?: string;
}

export interface PutOutcome {
  domain: Domain;
  created: boolean;
}

/** @throws ProblemException malformed-xml, body-too-large, invalid-domain */
export function readDomain(xml: string): DomainView {
  const outcome = parseDomain(xml);
  if (outcome.ok) return outcome.value;
  throw xmlProblem(outcome.problems, 'invalid-domain', 'The domain document');
}

/** Every domain of an upload. @throws ProblemException malformed-xml, body-too-large, invalid-domain */
export function readDomains(xml: string, options: ReadOptions): DomainView[] {
  const outcome = parseDomains(xml, options);
  if (outcome.ok) return outcome.value;
  throw xmlProblem(outcome.problems, 'invalid-domain', 'The domain document');
}

/** What a domain becomes on a host. @throws ProblemException unknown-host-node, invalid-domain */
export function placeDomain(view: DomainView, model: HostModel): RuntimePlacement {
  const outcome = runtimePlacement(view, hostPlacement(model));
  if (outcome.ok) return outcome.value;
  throw xmlProblem(outcome.problems, 'invalid-domain', 'The domain document');
}

/** Stored domains of a host. A refused document leaves the stored one as it was. */
@Injectable()
export class DomainsService {
  constructor(
    private readonly transactions: Transactions,
    private readonly hosts: HostsService,
  ) {}

  /**
   * Stores a document under its name, or replaces the one that is there.
   * @throws ProblemException host-not-found, malformed-xml, invalid-domain, name-mismatch,
   *   unknown-host-node, invalid-residency, stale-etag
   */
  async put(
    hostId: string,
    name: string,
    { xml, ...texts }: PutDomainDto,
    state: DomainState | undefined,
    preconditions: Preconditions,
  ): Promise<PutOutcome> {
    const { model } = await this.hosts.get(hostId);
    const view = readDomain(xml);
    requireSameName(name, view, xml);
    requireAddress(name, xml);
    placeDomain(view, model);
    const write = () =>
      this.transactions.run(async (manager) => {
        const stored = await this.lookUp(manager, hostId, name);
        requirePreconditions(preconditions, stored);
        const residency = residencyAfter(stored, state, texts, view, model);
        return this.save(manager, stored, { hostId, name, xml, view, ...residency });
      });
    try {
      return await write();
    } catch (error) {
      if (isForeignKeyViolation(error)) return this.hosts.get(hostId).then(() => write());
      // Somebody stored the first one of this name meanwhile: this one replaces it.
      if (isUniqueViolation(error)) return write();
      throw error;
    }
  }

  /** Domains of a host, oldest first. @throws ProblemException host-not-found */
  list(hostId: string, page: { cursor?: string; limit: number }): Promise<Page<Domain>> {
    return this.transactions.read(async (manager) => {
      await this.hosts.find(manager, hostId);
      const query = manager.createQueryBuilder(Domain, 'domain');
      return pageOf(query.where('domain.hostId = :hostId', { hostId }), page);
    });
  }

  /** @throws ProblemException host-not-found, domain-not-found */
  get(hostId: string, name: string): Promise<Domain> {
    return this.transactions.read((manager) => this.find(manager, hostId, name));
  }

  /** What a stored domain becomes on its host as the host is described now. */
  async placement(domain: Domain): Promise<RuntimePlacement> {
    const { model } = await this.hosts.get(domain.hostId);
    return placeDomain(domain.view, model);
  }

  /** @throws ProblemException host-not-found, domain-not-found, stale-etag, invalid-residency */
  async update(
    hostId: string,
    name: string,
    { state, ...texts }: UpdateDomainDto,
    ifMatch: string | undefined,
  ): Promise<Domain> {
    const { model } = await this.hosts.get(hostId);
    return this.transactions.run(async (manager) => {
      const stored = await this.find(manager, hostId, name, this.transactions.rowLock);
      requireIfMatch(ifMatch, stored.version);
      const residency = residencyAfter(stored, state, texts, stored.view, model);
      const { domain } = await this.save(manager, stored, { ...stored, ...residency });
      return domain;
    });
  }

  /** @throws ProblemException host-not-found, domain-not-found, stale-etag */
  async remove(hostId: string, name: string, ifMatch: string | undefined): Promise<void> {
    await this.transactions.run(async (manager) => {
      const stored = await this.find(manager, hostId, name, this.transactions.rowLock);
      requireIfMatch(ifMatch, stored.version);
      await manager.delete(Domain, { id: stored.id });
    });
  }

  private async find(
    manager: EntityManager,
    hostId: string,
    name: string,
    options: Transactions['rowLock'] = {},
  ): Promise<Domain> {
    await this.hosts.find(manager, hostId);
    const domain = isName(name)
      ? await manager.findOne(Domain, { where: { hostId, name }, ...options })
      : null;
    if (domain !== null) return domain;
    throw new ProblemException(
      'domain-not-found',
      `The host has no domain named ${JSON.stringify(name)}.`,
      { path: 'name' },
    );
  }

  private lookUp(manager: EntityManager, hostId: string, name: string): Promise<Domain | null> {
    return manager.findOne(Domain, { where: { hostId, name }, ...this.transactions.rowLock });
  }

  private async save(
    manager: EntityManager,
    stored: Domain | null,
    content: Omit<Domain, 'id' | 'version' | 'createdAt' | 'updatedAt' | 'host'>,
  ): Promise<PutOutcome> {
    const now = new Date().toISOString();
    const domain: Domain = {
      ...content,
      id: stored?.id ?? randomUUID(),
      version: (stored?.version ?? 0) + 1,
      createdAt: stored?.createdAt ?? now,
      updatedAt: now,
    };
    if (stored === null) await manager.insert(Domain, domain);
    else await manager.save(Domain, domain);
    return { domain, created: stored === null };
  }
}

/** What can be a name at all; PostgreSQL refuses a NUL in a parameter. */
const isName = (name: string): boolean => name.length <= 255 && !name.includes('\0');

function requireSameName(name: string, view: DomainView, xml: string): void {
  if (view.name === name && isName(name)) return;
  throw new ProblemException(
    'name-mismatch',
    `The address says ${JSON.stringify(name)}, the document's <name> says ${JSON.stringify(view.name)}.`,
    {
      errors: [
        {
          code: 'name-mismatch',
          path: '/domain/name',
          message: 'The name in the address and in the document must be the same.',
          ...namePosition(xml),
          expected: name,
          found: view.name,
        },
      ],
    },
  );
}

/**
 * A client that asks for `domains/..` sends a request for the host: such a domain could not be read, and
 * deleting it would delete the host.
 */
function requireAddress(name: string, xml: string): void {
  if (name !== '.' && name !== '..') return;
  const message = `A domain named "${name}" has no address of its own, because clients shorten such addresses.`;
  const error = { code: 'invalid-field', path: '/domain/name', message, ...namePosition(xml) };
  throw new ProblemException('invalid-domain', message, { errors: [error] });
}

function requirePreconditions(
  { ifMatch, ifNoneMatch }: Preconditions,
  stored: Domain | null,
): void {
  if (stored !== null) requireIfMatch(ifMatch, stored.version);
  else if (ifMatch !== undefined) {
    throw new ProblemException('stale-etag', 'If-Match is given, but nothing is stored here yet.', {
      path: 'If-Match',
    });
  }
  if (ifNoneMatch?.trim() === '*' && stored !== null) {
    throw new ProblemException(
      'stale-etag',
      'If-None-Match is *, but there is already a domain with this name.',
      { path: 'If-None-Match' },
    );
  }
}

/**
 * State and residency after a change. Measured residency stays with a domain that goes on running until
 * new texts come; an estimate is made again, because the document or the host may have changed.
 */
function residencyAfter(
  stored: Domain | null,
  wanted: DomainState | undefined,
  texts: ResidencyTexts,
  view: DomainView,
  model: HostModel,
): ResidencyColumns & Pick<Domain, 'state'> {
  const state = wanted ?? stored?.state ?? 'planned';
  if (state === 'planned') {
    if (!hasTexts(texts)) return { state, ...NO_RESIDENCY };
    throw new ProblemException(
      'invalid-residency',
      'A planned domain has no memory yet; give state=running with numaMaps or numastat.',
      { path: 'state' },
    );
  }
  const measured =
    stored?.state === 'running' && stored.residencySource !== 'estimated' && !hasTexts(texts);
  if (!measured) return { state, ...residencyOf(texts, view, model) };
  const { residency, residencySource, residencyNotes, swapPages } = stored;
  return { state, residency, residencySource, residencyNotes, swapPages };
}
