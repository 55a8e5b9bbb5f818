export * from './types';
export { AdvisorInputError, ADVISOR_ERROR_CODES, type AdvisorErrorCode } from './errors';
export { compileReplay, type CompiledReplay } from './compile';
export { condense } from './outcome';
export { applyPlacement, homeNodes, type Note } from './placement';
export { simulate, type Simulation } from './simulate';
export { checkPlan } from './check-plan';
export { formatNodeset } from './host-nodes';
