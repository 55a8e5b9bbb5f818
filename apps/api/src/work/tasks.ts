/** What crosses the border to a worker thread and back. Structured-cloneable data only. */
import type { MessagePort } from 'node:worker_threads';
import type {
  AdviceRequest,
  Outcome,
  RecommendationContent,
  ReplayResult,
  SimulationRequest,
} from '@zonewise/advisor';
import type {
  AdviceFile,
  DomainDocument,
  GateVerdict,
  HeadroomAnswer,
  HeadroomAsk,
  JudgeOptions,
  PlacementAnswer,
  PlacementDocument,
  PlanDocument,
  PlanProblem,
} from '@zonewise/plan';

export type { AdviceFile, DomainDocument };

export interface SimulationTask {
  kind: 'simulation';
  request: SimulationRequest;
}
export interface RecommendationTask {
  kind: 'recommendation';
  request: AdviceRequest;
  documents: DomainDocument[];
}
export interface PlanTask {
  kind: 'plan';
  document: PlanDocument;
  options: Pick<JudgeOptions, 'today' | 'modelVersion' | 'failLevel'>;
}
export interface HeadroomTask {
  kind: 'headroom';
  request: SimulationRequest;
  ask: HeadroomAsk;
}
export interface PlacementTask {
  kind: 'placement';
  document: PlacementDocument;
}
export type WorkTask =
  SimulationTask | RecommendationTask | PlanTask | HeadroomTask | PlacementTask;

export interface SimulationOutput {
  result: ReplayResult;
  outcome: Outcome;
  assumptions: { code: string; message: string }[];
}

/** A recommendation to store, with its files. */
export interface Advice {
  content: RecommendationContent;
  files: AdviceFile[];
}

export interface RecommendationOutput {
  advice: Advice;
  /** The best alternatives that exclude the advice and each other, best first. */
  alternatives: Advice[];
}

/** Why a task has no result: `input` is the caller's to mend, `internal` is a defect of ours. */
export interface WorkError {
  kind: 'input' | 'internal';
  code: string;
  message: string;
  path?: string;
  problems?: PlanProblem[];
}

export interface WorkOutputs {
  simulation: SimulationOutput;
  recommendation: RecommendationOutput;
  plan: GateVerdict;
  headroom: HeadroomAnswer;
  placement: PlacementAnswer;
}
export type WorkKind = keyof WorkOutputs;
export type WorkOutcome<K extends WorkKind = WorkKind> =
  { ok: true; value: WorkOutputs[K] } | { ok: false; error: WorkError };

/** What the pool posts to a worker. */
export interface WorkMessage {
  task: WorkTask;
  /** Receives `WorkProgress`. */
  port: MessagePort;
  /** Threads that the hosts of a plan or a placement are replayed in while this one waits. */
  threads: number;
}
export interface WorkProgress {
  /** 0..1, never falling. */
  fraction: number;
  message: string;
}
