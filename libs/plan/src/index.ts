export * from './guest-spec';
export * from './plan-request';
export * from './residency';
export * from './start-host';
