import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { HostDescription } from './host-description';

/** A host as it was last described. */
@Entity('hosts')
export class Host extends HostDescription {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Index('hosts_name_key', { unique: true })
  @Column('varchar', { length: 128 })
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  /** The imported texts by source name, so that a later reader can read them again. Not loaded unless asked for. */
  @Column('simple-json', { select: false })
  sourceTexts: Record<string, string>;

  /** Counts the changes; the ETag is made of it. */
  @Column('integer')
  version: number;

  /** ISO 8601, UTC, milliseconds: sorts as text on both databases. */
  @Column('varchar', { length: 24 })
  createdAt: string;

  @Column('varchar', { length: 24 })
  updatedAt: string;
}
