import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Collection, Provenance } from '@zonewise/host-facts';
import { runtimePlacement } from '@zonewise/libvirt-xml';
import { hostPlacement } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { EntityManager } from 'typeorm';
import { Domain } from '../database/entities/domain.entity';
import { Host } from '../database/entities/host.entity';
import { isUniqueViolation, Transactions } from '../database/transactions';
import { Page, pageOf } from '../http/cursor';
import { requireIfMatch } from '../http/etag';
import { ProblemException } from '../http/problem';
import { CreateHostDto, ImportHostDto, UpdateHostDto } from './host-requests.dto';
import { hostSummary } from './host-views';
import { readGuests, type GuestDomain } from './collected-guests';
import {
  readCollected,
  readHost,
  requireValidModel,
  sourcesOf,
  type ImportTexts,
} from './read-host';

type HostContent = Pick<
  Host,
  'model' | 'provenance' | 'differences' | 'caveats' | 'sources' | 'sourceTexts'
>;

const GIVEN: Provenance = {
  path: '',
  source: 'request',
  kind: 'read',
  note: 'The model was given as it is.',
};

function givenContent(model: HostModel): HostContent {
  const nothing = { differences: [], caveats: [], sources: [], sourceTexts: {} };
  return { model, provenance: [GIVEN], ...nothing };
}

/** Stored hosts. Every change is one transaction; a refused one leaves nothing behind. */
@Injectable()
export class HostsService {
  constructor(private readonly transactions: Transactions) {}

  /** @throws ProblemException invalid-host-model, name-taken */
  create({ name, description, model }: CreateHostDto): Promise<Host> {
    requireValidModel(model);
    return this.insert(name, description, givenContent(model));
  }

  /**
   * Stores a host with the guests that came in its archive. Texts of the request go before the archive's.
   * @throws ProblemException malformed-xml, invalid-capabilities, invalid-facts, name-taken
   */
  import(
    { name, description, ...texts }: ImportHostDto,
    collection: Collection | undefined,
  ): Promise<Host> {
    const { content, guests } = importedContent(texts, collection);
    return this.insert(name, description, content, guests);
  }

  /** Hosts without their models, oldest first. */
  list(page: { cursor?: string; limit: number }): Promise<Page<Host>> {
    const columns = ['id', 'name', 'description', 'summary', 'version', 'createdAt', 'updatedAt'];
    return this.transactions.read((manager) =>
      pageOf(
        manager.createQueryBuilder(Host, 'host').select(columns.map((column) => `host.${column}`)),
        page,
      ),
    );
  }

  /** @throws ProblemException host-not-found */
  get(hostId: string): Promise<Host> {
    return this.transactions.read((manager) => this.find(manager, hostId));
  }

  /** @throws ProblemException host-not-found, stale-etag, invalid-host-model, unknown-host-node, name-taken */
  async update(hostId: string, changes: UpdateHostDto, ifMatch?: string): Promise<Host> {
    const { name, description, model } = changes;
    if (model !== undefined) requireValidModel(model);
    return this.refusingTakenName(name ?? '', () =>
      this.transactions.run(async (manager) => {
        const host = await this.find(manager, hostId, this.transactions.rowLock);
        requireIfMatch(ifMatch, host.version);
        if (model !== undefined) {
          await requireDomainsFit(manager, hostId, model);
          Object.assign(host, givenContent(model), { summary: hostSummary(model) });
        }
        if (name !== undefined) host.name = name;
        if (description !== undefined) host.description = description;
        host.version += 1;
        host.updatedAt = new Date().toISOString();
        return manager.save(Host, host);
      }),
    );
  }

  /**
   * Removes a host with its domains and everything computed for it.
   * @throws ProblemException host-not-found, stale-etag
   */
  async remove(hostId: string, ifMatch?: string): Promise<void> {
    await this.transactions.run(async (manager) => {
      const host = await this.find(manager, hostId, this.transactions.rowLock);
      requireIfMatch(ifMatch, host.version);
      await manager.delete(Host, { id: hostId });
    });
  }

  /** @throws ProblemException host-not-found */
  async find(
    manager: EntityManager,
    hostId: string,
    options: Transactions['rowLock'] = {},
  ): Promise<Host> {
    const host = isId(hostId)
      ? await manager.findOne(Host, { where: { id: hostId }, ...options })
      : null;
    if (host === null) {
      throw new ProblemException(
        'host-not-found',
        `No host has the id ${JSON.stringify(hostId)}.`,
        {
          path: 'hostId',
        },
      );
    }
    return host;
  }

  private insert(
    name: string,
    description: string | null | undefined,
    content: HostContent,
    guests: GuestDomain[] = [],
  ) {
    const now = new Date().toISOString();
    const host: Host = {
      id: randomUUID(),
      name,
      description: description ?? null,
      summary: hostSummary(content.model),
      ...content,
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    return this.refusingTakenName(name, () =>
      this.transactions.run(async (manager) => {
        await manager.insert(Host, host);
        for (const guest of guests) await manager.insert(Domain, domainRow(host, guest));
        return host;
      }),
    );
  }

  private async refusingTakenName<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new ProblemException('name-taken', `There is already a host named "${name}".`, {
        path: 'name',
      });
    }
  }
}

function importedContent(
  texts: ImportTexts,
  collection: Collection | undefined,
): { content: HostContent; guests: GuestDomain[] } {
  if (collection === undefined) {
    const { model, provenance, differences, caveats } = readHost(texts);
    const content = { model, provenance, differences, caveats, ...sourcesOf(texts) };
    return { content, guests: [] };
  }
  const { capabilities, guests, unread } = collection;
  const all = { ...collection.texts, ...(capabilities ? { capabilities } : {}), ...given(texts) };
  const { host, texts: used } = readCollected(all);
  const { model, provenance, differences } = host;
  const { domains, caveats } = readGuests(guests, model);
  const notes = unread.map((message) => ({ code: 'not-collected', message }));
  const caveatsOfAll = [...host.caveats, ...caveats, ...notes];
  const content = { model, provenance, differences, caveats: caveatsOfAll, ...sourcesOf(used) };
  return { content, guests: domains };
}

/** Without the fields that are not there. */
function given<T extends object>(fields: T): Partial<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}

function domainRow({ id: hostId, createdAt }: Host, guest: GuestDomain): Domain {
  return { ...guest, id: randomUUID(), hostId, version: 1, createdAt, updatedAt: createdAt };
}

/** What can be an id at all; PostgreSQL refuses a NUL in a parameter. */
const isId = (id: string): boolean => /^[0-9a-f-]{36}$/i.test(id);

async function requireDomainsFit(
  manager: EntityManager,
  hostId: string,
  model: HostModel,
): Promise<void> {
  const placement = hostPlacement(model);
  for (const domain of await manager.find(Domain, { where: { hostId } })) {
    const outcome = runtimePlacement(domain.view, placement);
    if (outcome.ok) continue;
    const detail = `The stored domain "${domain.name}" does not fit the new model: ${outcome.problems[0]?.message ?? ''}`;
    throw new ProblemException('unknown-host-node', detail, { path: 'model.nodes' });
  }
}
