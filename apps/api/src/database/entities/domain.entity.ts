import type { DomainView } from '@zonewise/libvirt-xml';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { Host } from './host.entity';

export const DOMAIN_STATES = ['running', 'planned'] as const;
export type DomainState = (typeof DOMAIN_STATES)[number];

export const RESIDENCY_SOURCES = ['numa_maps', 'numastat', 'estimated'] as const;
export type ResidencySource = (typeof RESIDENCY_SOURCES)[number];

/** Resident guest memory on one host node; `hugePages` of 2 MiB are contained in `pages`. */
export interface StoredResidency {
  nodeId: number;
  pages: number;
  hugePages: number;
  /** libvirt cell, where the source tells it. */
  cell?: number;
}

/** A libvirt domain (VM) stored under a host. It goes when its host goes. */
@Entity('domains')
@Index('domains_hostId_name_key', ['hostId', 'name'], { unique: true })
export class Domain {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  hostId: string;

  @ManyToOne(() => Host, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'hostId', foreignKeyConstraintName: 'domains_hostId_fkey' })
  host?: Relation<Host>;

  @Column('varchar', { length: 255 })
  name: string;

  @Column('varchar', { length: 16 })
  state: DomainState;

  /** The document exactly as it came. */
  @Column('text')
  xml: string;

  @Column('simple-json')
  view: DomainView;

  /** Guest memory that a running domain holds per host node; null for a planned one. */
  @Column('simple-json', { nullable: true })
  residency: StoredResidency[] | null;

  @Column('varchar', { length: 16, nullable: true })
  residencySource: ResidencySource | null;

  /** Rules and gaps behind the residency, for people. */
  @Column('simple-json')
  residencyNotes: { code: string; message: string }[];

  @Column('integer')
  swapPages: number;

  @Column('integer')
  version: number;

  @Column('varchar', { length: 24 })
  createdAt: string;

  @Column('varchar', { length: 24 })
  updatedAt: string;
}
