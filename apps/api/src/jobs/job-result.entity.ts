import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, Relation } from 'typeorm';
import { Job, type JobKind } from './job.entity';

/** What a job answered that is about no stored host. It never changes. */
@Entity('job_results')
export class JobResult {
  @PrimaryColumn('varchar', { length: 36 })
  id: string;

  @Column('varchar', { length: 36 })
  jobId: string;

  @ManyToOne(() => Job, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'jobId', foreignKeyConstraintName: 'job_results_jobId_fkey' })
  job?: Relation<Job>;

  @Column('varchar', { length: 32 })
  kind: JobKind;

  /** As the worker answered, in the shape of the kind. */
  @Column('simple-json')
  content: unknown;

  @Column('varchar', { length: 24 })
  createdAt: string;
}
