import type { VerificationResult, VerificationVerdict } from '@zonewise/advisor';
import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import type { HostSource } from '../database/entities/host-description';
import { Recommendation, RecommendationState } from './recommendation.entity';

/** A recommendation held against a host after the change. It never changes, and goes with its recommendation. */
@Entity('verifications')
@Index('verifications_recommendationId_createdAt_id', ['recommendationId', 'createdAt', 'id'])
export class Verification {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  recommendationId: string;

  @ManyToOne(() => Recommendation, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({
    name: 'recommendationId',
    foreignKeyConstraintName: 'verifications_recommendationId_fkey',
  })
  recommendation?: Relation<Recommendation>;

  @Column('varchar', { length: 16 })
  verdict: VerificationVerdict;

  @Column('simple-json')
  result: VerificationResult;

  /** The texts that the host was read from. */
  @Column('simple-json')
  sources: HostSource[];

  /** The state that it moved the recommendation to; null: none was asked for, or there is nothing to conclude. */
  @Column('varchar', { length: 16, nullable: true })
  concludedState: RecommendationState | null;

  @Column('varchar', { length: 24 })
  createdAt: string;
}
