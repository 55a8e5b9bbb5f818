import type { RecommendationContent } from '@zonewise/advisor';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import type { ResultBasis } from '../jobs/job-kinds';
import type { AdviceFile } from '../work/tasks';

export const RECOMMENDATION_STATES = [
  'ACTIVE',
  'CLAIMED',
  'SUCCEEDED',
  'FAILED',
  'DISMISSED',
] as const;
export type RecommendationState = (typeof RECOMMENDATION_STATES)[number];

/** What may follow a state; the rest is refused. */
export const NEXT_STATES: Record<RecommendationState, readonly RecommendationState[]> = {
  ACTIVE: ['CLAIMED', 'DISMISSED'],
  CLAIMED: ['SUCCEEDED', 'FAILED'],
  DISMISSED: ['ACTIVE'],
  SUCCEEDED: [],
  FAILED: [],
};

/** States in which a recommendation keeps the others of its group from being claimed. */
export const EXCLUDING_STATES: readonly RecommendationState[] = ['CLAIMED', 'SUCCEEDED'];

/**
 * Advice with its evidence and its files. Only its state changes. It goes with its host; deleting a
 * domain leaves it, because its files and its evidence are complete without the domain.
 */
@Entity('recommendations')
export class Recommendation {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  hostId: string;

  @ManyToOne(() => Host, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'hostId', foreignKeyConstraintName: 'recommendations_hostId_fkey' })
  host?: Relation<Host>;

  @Column('varchar', { length: 36 })
  jobId: string;

  /** `hosts/HOST/recommendations/ID`. */
  @Column('varchar', { length: 128 })
  name: string;

  @Column('simple-json')
  basis: ResultBasis;

  @Column('simple-json')
  content: RecommendationContent;

  /** Not loaded unless asked for. */
  @Column('simple-json', { select: false })
  files: AdviceFile[];

  @Column('varchar', { length: 16 })
  state: RecommendationState;

  /** Recommendations of one group exclude each other; null: this one excludes nothing. */
  @Index('recommendations_xorGroupId')
  @Column('varchar', { length: 36, nullable: true })
  xorGroupId: string | null;

  /** Notes of whoever changed the state. */
  @Column('simple-json')
  stateMetadata: Record<string, string>;

  /** Counts the changes of state; the ETag is made of it. */
  @Column('integer')
  version: number;

  /** When the advice was computed. */
  @Column('varchar', { length: 24 })
  lastRefreshTime: string;

  @Column('varchar', { length: 24 })
  createdAt: string;

  @Column('varchar', { length: 24 })
  updatedAt: string;
}
