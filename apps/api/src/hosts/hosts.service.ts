import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Collection } from '@zonewise/host-facts';
import { runtimePlacement } from '@zonewise/libvirt-xml';
import { hostPlacement } from '@zonewise/plan';
import type { HostModel } from '@zonewise/simulator';
import type { EntityManager } from 'typeorm';
import { Domain } from '../database/entities/domain.entity';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { isUniqueViolation, Transactions } from '../database/transactions';
import { Page, pageOf } from '../http/cursor';
import { requireIfMatch } from '../http/etag';
import { ProblemException } from '../http/problem';
import { IdempotencyKeys } from '../work/idempotency-keys';
import type { GuestDomain } from './collected-guests';
import { hostCreated, snapshotCreated } from './created';
import { storeGuests, storeSnapshot } from './history';
import {
  givenContent,
  importedContent,
  loggedContent,
  requireAlone,
  type HostContent,
} from './host-content';
import type {
  CreateHostDto,
  ImportHostDto,
  SnapshotDescriptionDto,
  UpdateHostDto,
} from './host-requests.dto';
import { requireValidModel } from './read-host';

/** Stored hosts. Every change is one transaction; a refused one leaves nothing behind. */
@Injectable()
export class HostsService {
  constructor(
    private readonly transactions: Transactions,
    private readonly keys: IdempotencyKeys,
  ) {}

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

  /**
   * Describes a stored host anew: what it was stays in its history.
   * @throws ProblemException host-not-found, stale-etag, unknown-host-node, and as {@link import}
   */
  reimport(
    hostId: string,
    { kernelLog, ...texts }: SnapshotDescriptionDto,
    collection: Collection | undefined,
    ifMatch: string | undefined,
  ): Promise<{ host: Host; snapshot: HostSnapshot }> {
    const imported = kernelLog === undefined ? importedContent(texts, collection) : undefined;
    if (kernelLog !== undefined) requireAlone(texts, collection);
    return this.transactions.run(async (manager) => {
      const host = await this.find(manager, hostId, this.transactions.rowLock);
      requireIfMatch(ifMatch, host.version);
      const { content, guests } = imported ?? loggedContent(kernelLog ?? '', host.model);
      await requireDomainsFit(manager, hostId, content.model);
      Object.assign(host, content);
      host.version += 1;
      host.updatedAt = new Date().toISOString();
      await manager.save(Host, host);
      await storeGuests(manager, host, guests);
      const snapshot = await storeSnapshot(manager, host);
      await this.keys.record(manager, () => snapshotCreated(host, snapshot));
      return { host, snapshot };
    });
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

  /** The texts that a host was imported from, by source name. @throws ProblemException host-not-found */
  sourceTexts(hostId: string): Promise<Record<string, string>> {
    return this.transactions.read(async (manager) => {
      await this.find(manager, hostId);
      const select = { id: true, sourceTexts: true };
      const host = await manager.findOne(Host, { select, where: { id: hostId } });
      return host?.sourceTexts ?? {};
    });
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
          Object.assign(host, givenContent(model));
        }
        if (name !== undefined) host.name = name;
        if (description !== undefined) host.description = description;
        host.version += 1;
        host.updatedAt = new Date().toISOString();
        await manager.save(Host, host);
        if (model !== undefined) await storeSnapshot(manager, host);
        return host;
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
      ...content,
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    return this.refusingTakenName(name, () =>
      this.transactions.run(async (manager) => {
        await manager.insert(Host, host);
        await storeGuests(manager, host, guests);
        await storeSnapshot(manager, host);
        await this.keys.record(manager, () => hostCreated(host));
        return host;
      }),
    );
  }

  private async refusingTakenName<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new ProblemException(
        'name-taken',
        `There is already a host named "${name}"; POST /v1/hosts/{hostId}/snapshots describes it anew.`,
        {
          path: 'name',
        },
      );
    }
  }
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
