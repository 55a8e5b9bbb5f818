import { Injectable } from '@nestjs/common';
import type { AdviceOptions, AdviceRequest, SimulationRequest } from '@zonewise/advisor';
import type { EntityManager } from 'typeorm';
import type {
  DomainDocument,
  HeadroomTask,
  PlacementTask,
  PlanTask,
  WorkOutputs,
} from '../work/tasks';
import type { Job, JobKind } from './job.entity';

/** What a result was computed from, for people; the versions tell whether it is still so. */
export interface ResultBasis {
  hostVersion: number;
  /** The host's latest snapshot then; absent in results of earlier releases. */
  snapshot?: { number: number; createdAt: string };
  domains: { name: string; state: 'running' | 'planned'; version: number }[];
  demand: SimulationRequest['demand'];
  sysctl: NonNullable<SimulationRequest['sysctl']>;
  numatune: NonNullable<SimulationRequest['numatune']>;
  seed: number;
  hardwareProfile?: string;
  /** Of a recommendation, where it was asked with some. */
  options?: AdviceOptions;
}

/** Everything a job about a stored host needs, complete. */
export interface JobRequest {
  simulation: AdviceRequest;
  /** Documents that advice is written into; for recommendations. */
  documents: DomainDocument[];
  basis: ResultBasis;
}

/** What a job of each kind is given. */
export interface JobRequests {
  simulation: JobRequest;
  recommendation: JobRequest;
  plan: Omit<PlanTask, 'kind'>;
  headroom: Omit<HeadroomTask, 'kind'>;
  placement: Omit<PlacementTask, 'kind'>;
}

/** A job of a kind; those that bring their hosts along belong to none. */
export type JobOf<K extends JobKind> = Job & {
  hostId: JobRequests[K] extends JobRequest ? string : null;
};

/** How the output of a kind of job becomes a stored result. */
export interface JobResults<K extends JobKind> {
  /** Stores the output; runs in the transaction that ends the job. */
  store(
    manager: EntityManager,
    job: JobOf<K>,
    request: JobRequests[K],
    output: WorkOutputs[K],
  ): Promise<string>;
}

/** Where results are read; the address is part of a job's answer. */
export const RESULT_PATHS: Record<JobKind, string> = {
  simulation: '/v1/simulations',
  recommendation: '/v1/recommendations',
  plan: '/v1/packing-plans/verdicts',
  headroom: '/v1/headrooms',
  placement: '/v1/placements',
};

/** The modules of the results register here, so that jobs need not know them. */
@Injectable()
export class JobKinds {
  private readonly results: { [K in JobKind]?: JobResults<K> } = {};

  register<K extends JobKind>(kind: K, results: JobResults<K>): void {
    (this.results as Record<JobKind, JobResults<K> | undefined>)[kind] = results;
  }

  resultsOf<K extends JobKind>(kind: K): JobResults<K> {
    const results = this.results[kind];
    if (results === undefined) throw new Error(`No module stores the results of ${kind} jobs.`);
    return results;
  }
}
