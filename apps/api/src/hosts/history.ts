/** Rows of a host's history and of the guests that came with it. Each runs in the caller's transaction. */
import { randomUUID } from 'node:crypto';
import type { GuestMoment } from '@zonewise/host-facts';
import type { EntityManager } from 'typeorm';
import { Domain } from '../database/entities/domain.entity';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import type { Host } from '../database/entities/host.entity';
import type { GuestDomain } from './collected-guests';

/** Stores running guests: new ones, and the present state of those that are known. */
export async function storeGuests(
  manager: EntityManager,
  { id: hostId, updatedAt }: Host,
  guests: readonly GuestDomain[],
): Promise<void> {
  for (const guest of guests) {
    const stored = await manager.findOne(Domain, { where: { hostId, name: guest.name } });
    const row: Domain = {
      ...{ ...guest, hostId, updatedAt },
      id: stored?.id ?? randomUUID(),
      version: (stored?.version ?? 0) + 1,
      createdAt: stored?.createdAt ?? updatedAt,
    };
    if (stored === null) await manager.insert(Domain, row);
    else await manager.save(Domain, row);
  }
}

/** Adds what the host and its guests are now to its history. The caller holds the host's row. */
export async function storeSnapshot(manager: EntityManager, host: Host): Promise<HostSnapshot> {
  const { id: hostId, model, summary, provenance, differences, caveats, sources } = host;
  const before = await manager.maximum(HostSnapshot, 'number', { hostId });
  const snapshot: HostSnapshot = {
    ...{ id: randomUUID(), hostId, number: (before ?? 0) + 1 },
    ...{ model, summary, provenance, differences, caveats, sources },
    guests: await guestsOf(manager, hostId),
    createdAt: host.updatedAt,
  };
  await manager.insert(HostSnapshot, snapshot);
  return snapshot;
}

async function guestsOf(manager: EntityManager, hostId: string): Promise<GuestMoment[]> {
  const domains = await manager.find(Domain, {
    select: { id: true, name: true, residency: true },
    where: { hostId },
    order: { name: 'ASC' },
  });
  return domains.map(({ name, residency }) => ({
    name,
    residency: residency?.map(({ nodeId, pages }) => ({ nodeId, pages })) ?? null,
  }));
}
