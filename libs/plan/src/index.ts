export * from './guest-spec';
export * from './plan-request';
export * from './residency';
export { AdviceFileError, adviceFiles, type DomainDocument } from './advice-files';
export type { AdviceFile } from './advice-operations';
export * from './start-host';
export { simulationAnswer, type StepEvent } from './simulation-answer';
export { judgePlan, judging, type JudgeOptions, type JudgeOutcome } from './judge';
export { replayTask, type HostTask, type TaskOutcome } from './judge-host';
export { planRequests, preparePlan, type HostRequest, type PreparedPlan } from './prepare-plan';
export {
  headroom,
  MAX_HEADROOM_FLAVOURS,
  type HeadroomAnswer,
  type HeadroomAsk,
  type HeadroomCount,
  type HeadroomEnd,
  type HeadroomOutcome,
} from './headroom';
export { compareVerdicts } from './compare-verdicts';
export {
  MAX_GUESTS,
  MAX_HOSTS,
  pointerPart,
  resolvePlan,
  type HostPlan,
  type PlanDocument,
  type PlanGuest,
  type PlanHost,
} from './plan-document';
export { EVENT_KINDS, type PlanEvent } from './plan-events';
export { domainXmlOf, type Flavour } from './flavour';
export { effectiveRules, type Policies, type PolicyEntry } from './policies';
export * from './rules';
export { knownHint, nearest } from './suggest';
export { isDay, type Waiver, type WaiverState } from './waivers';
export * from './verdict';
export { VERDICT_SCHEMA } from './verdict-schema';
export { PLAN_SCHEMA, planPartProblems, planSchemaProblems, type PlanPart } from './plan-schema';
export {
  MAX_PLACED_GUESTS,
  MAX_PLACED_HOSTS,
  type PlacementDocument,
  type PlacementGuest,
  type PlacementHost,
  type Resident,
} from './placement-document';
export {
  placeGuests,
  placing,
  type PlaceOutcome,
  type GuestPlacement,
  type GuestRefusal,
  type HostEvidence,
  type HostRefusal,
  type HostsRefusal,
  type PlaceOptions,
  type PlacementAnswer,
} from './placement';
export { inPlace, inThreads, type OnHost, type Replaying } from './replaying';
export type { HostFailure } from './placement-replay';
