import type { Outcome, ReplayResult } from '@zonewise/advisor';
import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import type { ResultBasis } from '../jobs/job-kinds';

/**
 * A replay that was done. It holds what it was computed from and never changes. It goes with its host;
 * deleting a domain leaves it, because it is the record of what was known then.
 */
@Entity('simulations')
export class Simulation {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  hostId: string;

  @ManyToOne(() => Host, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'hostId', foreignKeyConstraintName: 'simulations_hostId_fkey' })
  host?: Relation<Host>;

  @Column('varchar', { length: 36 })
  jobId: string;

  @Column('simple-json')
  basis: ResultBasis;

  @Column('simple-json')
  outcome: Outcome;

  @Column('simple-json')
  assumptions: { code: string; message: string }[];

  /** Large; not loaded unless asked for. */
  @Column('simple-json', { select: false })
  result: ReplayResult;

  @Column('varchar', { length: 24 })
  createdAt: string;
}
