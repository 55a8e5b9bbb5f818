import schema from './schemas/gate-verdict.schema.json';

/** The JSON Schema (draft 7) of what the gate writes as JSON and the service answers for a plan. */
export const VERDICT_SCHEMA: Readonly<Record<string, unknown>> = schema;
