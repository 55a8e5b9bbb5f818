export * from './types';
export { FACT_CODES, type FactCode } from './errors';
export { importHost } from './import-host';
