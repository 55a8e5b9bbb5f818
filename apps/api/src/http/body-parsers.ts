import { isUtf8 } from 'node:buffer';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { IncomingMessage } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import { asProblem, RESERVED_KEY_ERROR } from './problem.filter';

/** No document of the API nests deeper; what reads a body recurses, and a hostile one can nest a million deep. */
const MAX_JSON_DEPTH = 64;

/** Archives of a host: tar, packed with gzip or not. */
export const ARCHIVE_TYPES = ['application/gzip', 'application/x-gzip', 'application/x-tar'];

/** Reads JSON, and XML and archives (as bytes) up to the limit, and turns what goes wrong there into problems. */
export function useBodyParsers(app: NestExpressApplication, limitBytes: number): void {
  app.useBodyParser('json', { limit: limitBytes, verify: refuseUnreadable });
  app.useBodyParser('raw', {
    limit: limitBytes,
    type: ['application/xml', 'text/xml', ...ARCHIVE_TYPES],
  });
  // Before Nest sees them: it would take every SyntaxError for a plain bad request.
  app.use((error: unknown, request: Request, _response: Response, next: NextFunction) => {
    next(asProblem(error, request));
  });
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
  refuseReservedKeys(body);
}

/** Keys that mean the object itself; Nest's validation drops them, so that what they say would be ignored. */
const RESERVED_KEY = /"(__proto__|constructor|prototype)"\s*:/;

function refuseReservedKeys(body: Buffer): void {
  if (!['"__proto__"', '"constructor"', '"prototype"'].some((key) => body.includes(key))) return;
  const key = RESERVED_KEY.exec(body.toString('latin1'))?.[1];
  if (key === undefined) return;
  const detail = `"${key}" is not read as a field or a name here.`;
  throw Object.assign(new Error(detail), { type: RESERVED_KEY_ERROR });
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
