import { Injectable } from '@nestjs/common';
import { compareHosts, type HostDrift } from '@zonewise/host-facts';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Transactions } from '../database/transactions';
import { Page, pageOf } from '../http/cursor';
import { ProblemException } from '../http/problem';
import { HostsService } from './hosts.service';

/** Two snapshots and what drifted between them. */
export interface Comparison extends HostDrift {
  from: HostSnapshot;
  to: HostSnapshot;
}

/** What hosts were before. */
@Injectable()
export class SnapshotsService {
  constructor(
    private readonly transactions: Transactions,
    private readonly hosts: HostsService,
  ) {}

  /** Without the models, oldest first. @throws ProblemException host-not-found */
  list(hostId: string, page: { cursor?: string; limit: number }): Promise<Page<HostSnapshot>> {
    const columns = ['id', 'hostId', 'number', 'summary', 'sources', 'guests', 'createdAt'];
    return this.transactions.read(async (manager) => {
      await this.hosts.find(manager, hostId);
      const query = manager
        .createQueryBuilder(HostSnapshot, 'snapshot')
        .select(columns.map((column) => `snapshot.${column}`));
      return pageOf(query.where('snapshot.hostId = :hostId', { hostId }), page);
    });
  }

  /** @throws ProblemException host-not-found, snapshot-not-found */
  get(hostId: string, number: number): Promise<HostSnapshot> {
    return this.transactions.read(async (manager) => {
      await this.hosts.find(manager, hostId);
      const snapshot = await manager.findOne(HostSnapshot, { where: { hostId, number } });
      if (snapshot !== null) return snapshot;
      throw new ProblemException('snapshot-not-found', `The host has no snapshot ${number}.`, {
        path: 'number',
      });
    });
  }

  /**
   * @param to absent: the latest one
   * @param from absent: the one before `to`
   * @throws ProblemException host-not-found, snapshot-not-found
   */
  async compare(hostId: string, from?: number, to?: number): Promise<Comparison> {
    const last = to ?? (await this.latest(hostId));
    const later = await this.get(hostId, last);
    const earlier = await this.get(hostId, from ?? last - 1);
    return { from: earlier, to: later, ...compareHosts(earlier, later) };
  }

  private latest(hostId: string): Promise<number> {
    return this.transactions.read(async (manager) => {
      await this.hosts.find(manager, hostId);
      return (await manager.maximum(HostSnapshot, 'number', { hostId })) ?? 0;
    });
  }
}
