import { isUtf8 } from 'node:buffer';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { IncomingMessage } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import { asProblem, TOO_LARGE_ERROR } from './problem.filter';
import { refuseReservedNames } from './reserved-names';

/** No document of the API nests deeper; what reads a body recurses, and a hostile one can nest a million deep. */
const MAX_JSON_DEPTH = 64;

/** Archives of a host: tar, plain or packed. What it is packed with is told by its first bytes, not by the type. */
export const ARCHIVE_TYPES = [
  ...['application/x-tar', 'application/gzip', 'application/x-gzip', 'application/x-xz'],
  ...['application/x-bzip2', 'application/zstd', 'application/octet-stream'],
];

const BYTE_TYPES = ['application/xml', 'text/xml', ...ARCHIVE_TYPES];
/** How long a client whose body was refused may take to read the answer. */
const GRACE_MS = 1000;

/** Reads JSON, and XML and archives (as bytes) up to the limit, and turns what goes wrong there into problems. */
export function useBodyParsers(app: NestExpressApplication, limitBytes: number): void {
  app.use((request: Request, _response: Response, next: NextFunction) => {
    if (typeof request.is(['json', ...BYTE_TYPES]) !== 'string') next();
    else refuseEarly(request, limitBytes, next);
  });
  app.useBodyParser('json', { limit: limitBytes, verify: refuseUnreadable });
  app.useBodyParser('raw', { limit: limitBytes, type: BYTE_TYPES });
  app.use((request: Request, _response: Response, next: NextFunction) => {
    refuseReservedNames(request.query);
    if (!Buffer.isBuffer(request.body)) refuseReservedNames(request.body);
    next();
  });
  // Before Nest sees them: it would take every SyntaxError for a plain bad request.
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (!response.headersSent) next(asProblem(error, request));
  });
}

/**
 * Answers as soon as a body is known to be over the limit. The parsers would first read all of it, and a
 * stream without end would never get an answer.
 */
function refuseEarly(request: Request, limitBytes: number, next: NextFunction): void {
  const refuse = (): void => {
    request.off('data', count);
    next({ type: TOO_LARGE_ERROR, limit: limitBytes });
    // Behind the parser, which goes on reading. The rest stays where it is until the client has its answer.
    setImmediate(() => request.pause());
    setTimeout(() => {
      if (!request.complete) request.destroy();
    }, GRACE_MS).unref();
  };
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > limitBytes) refuse();
  };
  request.on('data', count);
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) refuse();
  else next();
}

function refuseUnreadable(
  _request: IncomingMessage,
  _response: unknown,
  body: Buffer,
  encoding: string,
): void {
  // A decoder would put U+FFFD in the place of what it cannot read.
  if (/^utf-?8$/i.test(encoding) && !isUtf8(body)) throw new Error('The body is not UTF-8 text');
  if (jsonDepthExceeds(body, MAX_JSON_DEPTH)) {
    throw new Error(`The JSON body nests deeper than ${MAX_JSON_DEPTH} levels`);
  }
}

/** Whether brackets outside of strings nest deeper than `limit`; one pass, allocates nothing. */
export function jsonDepthExceeds(json: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > limit) return true;
    } else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}
