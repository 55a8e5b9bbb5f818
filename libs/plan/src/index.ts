export * from './guest-spec';
export * from './plan-request';
export * from './residency';
