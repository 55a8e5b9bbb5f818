export * from './types';
export { ADVICE_PROFILES, THP_FILES, WEIGHTED_FIGURES } from './advice-types';
export { AdvisorInputError, ADVISOR_ERROR_CODES, type AdvisorErrorCode } from './errors';
export { NUMATUNE_PATH, PIN_PATH } from './operations';
export { compileReplay, type CompiledReplay } from './compile';
export { condense } from './outcome';
export { applyPlacement, homeNodes, type Note } from './placement';
export { simulate, type Simulation } from './simulate';
export { checkPlan, verdictOf } from './check-plan';
export { grown } from './growth';
export { formatNodeset } from './host-nodes';
export { advise, type AdviceControl } from './advise';
export { evaluate, type Evaluated } from './evaluator';
export { checkAdvisable, overcommitted } from './constraints';
export { configurations, hostGrid, placements, settingsOf, spaceOf, type Space } from './space';
export { resolveDemand, type ResolvedDemand } from './demand';
export { paretoFront } from './pareto';
export {
  compareOutcomes,
  judgeOf,
  scoreOf,
  tolerances,
  type Judge,
  type Objective,
  type Score,
} from './objective';
export { NO_CHANGE, changeCount, normalise, withChange } from './change';
export { RIVAL_RULES, rivals, type RivalRule } from './rivals';
export { rollbackSysctlFile, sysctlFile } from './sysctl-file';
export { changeText, pinText, settingText } from './explain';
export { lossesOf, type Losses } from './losses';
export { summarize } from './summary';
export {
  TOLERANCE_PERCENT,
  verifyPrediction,
  type Compared,
  type Observation,
  type ObservedGuest,
  type VerificationResult,
  type VerificationVerdict,
} from './evidence/verification';
export type { ComparedSetting, ObservedDocument } from './evidence/applied-settings';
export type { Impact, ImpactMeasure } from './evidence/impact';
export type { ReplayEvidence } from './evidence/explanation';
export type { Cause, CauseCode } from './evidence/causes';
export type { Counters, TracePoint } from './evidence/trace';
export type { Risk } from './evidence/risks';
export { domainWord, quoted, type GuestRoutes, type Route } from './evidence/routes';
export type { Shortfall } from './evidence/shortfall';
