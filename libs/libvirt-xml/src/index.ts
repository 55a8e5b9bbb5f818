export * from './types';
export { parseDomain } from './domain';
export { parseCapabilities } from './capabilities';
