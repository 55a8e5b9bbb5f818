import type { Difference, Provenance } from '@zonewise/host-facts';
import type { HostModel } from '@zonewise/simulator';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A text that a host was imported from. */
export interface HostSource {
  /** Field name of the import, e.g. `zoneinfo` or `node0.meminfo`. */
  name: string;
  bytes: number;
  sha256: string;
}

/** What a list shows of a host without reading its whole model. */
export interface HostSummary {
  kernelRelease: string | null;
  nodes: number;
  cpus: number;
  memoryMib: number;
  freeMib: number;
}

/** A host as it was last described. JSON columns are text on both databases. */
@Entity('hosts')
export class Host {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Index('hosts_name_key', { unique: true })
  @Column('varchar', { length: 128 })
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('simple-json')
  model: HostModel;

  @Column('simple-json')
  summary: HostSummary;

  @Column('simple-json')
  provenance: Provenance[];

  @Column('simple-json')
  differences: Difference[];

  @Column('simple-json')
  caveats: { code: string; message: string }[];

  @Column('simple-json')
  sources: HostSource[];

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
