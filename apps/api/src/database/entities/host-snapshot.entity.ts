import type { GuestMoment } from '@zonewise/host-facts';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { HostDescription } from './host-description';
import { Host } from './host.entity';

/** A host as it was described once, with its guests then. It never changes, and goes when its host goes. */
@Entity('host_snapshots')
@Index('host_snapshots_hostId_number_key', ['hostId', 'number'], { unique: true })
export class HostSnapshot extends HostDescription {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  hostId: string;

  @ManyToOne(() => Host, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'hostId', foreignKeyConstraintName: 'host_snapshots_hostId_fkey' })
  host?: Relation<Host>;

  /** 1, 2, ... within its host. */
  @Column('integer')
  number: number;

  @Column('simple-json')
  guests: GuestMoment[];

  @Column('varchar', { length: 24 })
  createdAt: string;
}
