import { ApiProperty } from '@nestjs/swagger';
import { compareHosts } from '@zonewise/host-facts';
import { ComparisonDto } from '../hosts/snapshots.dto';
import { ageSeconds, driftText } from './drift';
import type { Drift } from './recommendations.service';

export class DriftDto {
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'The snapshot that the recommendation rests on.',
  })
  snapshot: number | null;

  @ApiProperty({ type: 'integer', nullable: true, description: 'Of that snapshot.' })
  ageSeconds: number | null;

  @ApiProperty({ type: 'integer' })
  latestSnapshot: number;

  @ApiProperty({ type: [String], description: 'Domains that were stored anew or are gone.' })
  changedDomains: string[];

  @ApiProperty({ example: 'node 0 free -512 MiB, page cache +500 MiB' })
  summary: string;

  @ApiProperty({
    type: ComparisonDto,
    nullable: true,
    description: 'null: the host was not described anew.',
  })
  comparison: ComparisonDto | null;

  constructor({ taken, latest, changedDomains }: Drift, now: string) {
    this.snapshot = taken?.number ?? null;
    this.ageSeconds = taken === null ? null : ageSeconds(taken.createdAt, now);
    this.latestSnapshot = latest.number;
    this.changedDomains = changedDomains;
    const drift =
      taken === null || taken.number === latest.number ? null : compareHosts(taken, latest);
    this.summary = drift === null ? 'The host was not described anew.' : driftText(drift);
    this.comparison =
      drift === null || taken === null
        ? null
        : new ComparisonDto({ from: taken, to: latest, ...drift });
  }
}
