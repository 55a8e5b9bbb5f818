import type { Difference, Provenance } from '@zonewise/host-facts';
import type { HostModel } from '@zonewise/simulator';
import { Column } from 'typeorm';

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

/** The columns that a host and each of its snapshots have alike. JSON columns are text on both databases. */
export abstract class HostDescription {
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
}
