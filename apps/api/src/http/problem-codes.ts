/**
 * Every code that the service answers in a problem of its own, with its HTTP status and title.
 * The set is closed: a code stands here and in apps/api/errors.md, and a test compares the two.
 * The entries of a problem's `errors` carry the codes of the library that found them
 * (libs/libvirt-xml/errors.md, libs/host-facts/errors.md, ...) or of the validation listed in errors.md.
 */
export const PROBLEM_CODES = {
  // 400: the request cannot be read, or its fields are not of the documented shape
  'malformed-json': [400, 'The body is not JSON'],
  'malformed-request': [400, 'The request cannot be read'],
  'malformed-multipart': [400, 'The multipart body cannot be read'],
  'malformed-archive': [400, 'The archive cannot be read'],
  'validation-failed': [400, 'The request does not have the documented shape'],
  'invalid-parameter': [400, 'A parameter is not valid'],
  'invalid-cursor': [400, 'The cursor is not one that this service gave'],
  'malformed-xml': [400, 'The document is not well-formed XML'],
  // 404
  'route-not-found': [404, 'There is nothing at this address'],
  'host-not-found': [404, 'There is no such host'],
  'snapshot-not-found': [404, 'There is no such snapshot'],
  'domain-not-found': [404, 'There is no such domain'],
  'job-not-found': [404, 'There is no such job'],
  'simulation-not-found': [404, 'There is no such simulation'],
  'recommendation-not-found': [404, 'There is no such recommendation'],
  'headroom-not-found': [404, 'There is no such headroom'],
  'placement-not-found': [404, 'There is no such placement'],
  'verdict-not-found': [404, 'There is no such verdict'],
  'verification-not-found': [404, 'There is no such verification'],
  'file-not-found': [404, 'There is no such file'],
  // 405..415
  'not-acceptable': [406, 'None of the accepted media types can be answered'],
  'name-taken': [409, 'The name is taken'],
  'job-final': [409, 'The job has already ended'],
  'alternative-claimed': [409, 'An alternative of the recommendation is claimed'],
  'invalid-state-transition': [409, 'The state cannot be changed that way'],
  'idempotency-key-in-use': [409, 'A request with this Idempotency-Key is still being answered'],
  'length-required': [411, 'The length of the body must be given'],
  'stale-etag': [412, 'The stored version is another one'],
  'body-too-large': [413, 'The body is larger than the limit'],
  'unsupported-media-type': [415, 'The body has a media type that is not read here'],
  'if-match-required': [428, 'The change must name the version that it is based on'],
  // 422: readable, but means something that cannot be
  'invalid-domain': [422, 'The domain document is not valid'],
  'name-mismatch': [422, 'The name in the address differs from the name in the document'],
  'unknown-host-node': [422, 'The document names a NUMA node that the host does not have'],
  'invalid-facts': [422, 'The host facts cannot be read'],
  'invalid-capabilities': [422, 'The capabilities document is not valid'],
  'invalid-host-model': [422, 'The host model contradicts itself'],
  'invalid-residency': [422, 'The residency of the running domain cannot be read'],
  'invalid-simulation-request': [422, 'The replay cannot be set up as asked'],
  'advice-not-possible': [422, 'There is nothing that advice could be about'],
  'plan-not-judgeable': [422, 'The plan cannot be judged'],
  'placement-not-readable': [422, 'The placement cannot be worked out as asked'],
  'idempotency-key-reused': [422, 'The Idempotency-Key was used for another request'],
  // 5xx
  'internal-error': [500, 'The service failed'],
  'replay-failed': [500, 'The replay failed'],
  'attempts-exhausted': [500, 'The job was tried too often'],
  'not-ready': [503, 'The service is not ready'],
  'queue-full': [503, 'Too much work is waiting'],
  'time-limit': [503, 'The work took longer than its limit'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof PROBLEM_CODES;

/** Codes of single fields in `errors` that the service's own validation gives. */
export const FIELD_CODES = ['unknown-field', 'invalid-field'] as const;
