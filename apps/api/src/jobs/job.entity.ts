import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import type { Problem } from '../http/problem';
import type { JobRequests } from './job-kinds';

export const JOB_KINDS = ['simulation', 'recommendation', 'plan', 'headroom', 'placement'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

const FINAL_STATES: readonly JobState[] = ['succeeded', 'failed', 'cancelled'];
export const isFinal = (state: JobState): boolean => FINAL_STATES.includes(state);

/**
 * Work that was accepted. The row is written before the caller is told so, and holds everything that the
 * work needs: later changes of the host or its domains do not change the result.
 */
@Entity('jobs')
export class Job {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 32 })
  kind: JobKind;

  /** The stored host that it is about, with which it goes; null for a job that brings its hosts along. */
  @Column('varchar', { length: 36, nullable: true })
  hostId: string | null;

  @ManyToOne(() => Host, { onDelete: 'CASCADE', nullable: true })
  @JoinColumn({ name: 'hostId', foreignKeyConstraintName: 'jobs_hostId_fkey' })
  host?: Relation<Host> | null;

  @Index('jobs_state')
  @Column('varchar', { length: 16 })
  state: JobState;

  /** 0..1. */
  @Column('real')
  progress: number;

  @Column('text', { nullable: true })
  message: string | null;

  /** A snapshot of the host's model, the guests and the demand. Not loaded unless asked for. */
  @Column('simple-json', { select: false })
  request: JobRequests[JobKind];

  @Column('varchar', { length: 36, nullable: true })
  resultId: string | null;

  @Column('simple-json', { nullable: true })
  error: Problem | null;

  /** How often the work was begun. */
  @Column('integer')
  attempts: number;

  /** Of the process that runs it, or ran it last ({@link Presence}). */
  @Column('integer', { nullable: true })
  processNumber: number | null;

  @Column('varchar', { length: 24 })
  createdAt: string;

  @Column('varchar', { length: 24 })
  updatedAt: string;

  @Column('varchar', { length: 24, nullable: true })
  startedAt: string | null;

  @Column('varchar', { length: 24, nullable: true })
  finishedAt: string | null;
}
