import { createHash } from 'node:crypto';
import {
  CallHandler,
  ExecutionContext,
  Inject,
  Injectable,
  NestInterceptor,
  OnApplicationBootstrap,
} from '@nestjs/common';
import { AnyFilesInterceptor } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import { from, lastValueFrom, Observable, of } from 'rxjs';
import { SETTINGS, Settings } from '../config/settings';
import { Presence } from '../database/presence';
import { ProblemException } from '../http/problem';
import type { IdempotencyKey } from './idempotency-key.entity';
import { IdempotencyKeys, type KeptAnswer, type KeyedRequest } from './idempotency-keys';

/** Headers that are part of an answer's meaning; the others are made anew. */
const KEPT_HEADERS = ['location', 'etag', 'retry-after', 'preference-applied', 'content-type'];

/** Parts of a multipart body that are read. */
const MAX_PARTS = 4200;

const hash = (...parts: string[]): string => {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part).update('\0');
  return sum.digest('hex');
};

const isMultipart = (request: Request): boolean => request.is('multipart/form-data') !== false;

/** What multer leaves on a request; files are held in memory. */
interface Upload {
  fieldname: string;
  buffer: Buffer;
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/**
 * The parts of a multipart body by name. Routes turn files into fields and `node0.meminfo` into the entry
 * 0 of `nodeMeminfo`; before and after that the parts are the same.
 */
function multipartParts(request: Request): string[] {
  const parts = new Map<string, string>();
  const body = (request.body ?? {}) as Record<string, unknown>;
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'string') parts.set(name, value);
    else {
      const kind = name.replace(/^node/, '').toLowerCase();
      for (const [nodeId, text] of Object.entries(value ?? {})) {
        parts.set(`node${nodeId}.${kind}`, textOf(text));
      }
    }
  }
  const files = 'files' in request && Array.isArray(request.files) ? request.files : [];
  for (const { fieldname, buffer } of files as Upload[]) {
    if (!parts.has(fieldname)) parts.set(fieldname, buffer.toString('utf8'));
  }
  return [...parts].map(([name, text]) => `${name}=${hash(text)}`).sort();
}

/** Equal for equal requests; the boundary and the order of a multipart body do not count. */
function fingerprintOf(request: Request): string {
  const body = isMultipart(request)
    ? multipartParts(request)
    : [JSON.stringify((request.body as unknown) ?? null)];
  return hash(request.method, request.originalUrl, ...body);
}

/**
 * `Idempotency-Key` on every POST: the first successful answer is kept for 24 hours and given again to a
 * repetition. The key with another request is refused (422), and while the first is being answered the
 * repetition is (409). What was refused or failed is not kept: it may be tried again with the same key. After a
 * crash a request that was not answered is repeated with what it had made; where it had made nothing it counts as
 * not made.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor, OnApplicationBootstrap {
  private readonly multipart: NestInterceptor;

  constructor(
    private readonly keys: IdempotencyKeys,
    private readonly presence: Presence,
    @Inject(SETTINGS) { bodyLimitBytes: bytes }: Settings,
  ) {
    const limits = { fileSize: bytes, fieldSize: bytes, parts: MAX_PARTS };
    this.multipart = new (AnyFilesInterceptor({ limits }))();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.keys.closeEnded();
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    const header = request.headers['idempotency-key'];
    if (request.method !== 'POST' || header === undefined) return next.handle();
    const key = String(header);
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new ProblemException(
        'invalid-parameter',
        'Idempotency-Key has 1 to 255 printable ASCII characters without spaces.',
        { path: 'Idempotency-Key' },
      );
    }
    return from(this.answer(key, context, next));
  }

  private async answer(
    key: string,
    context: ExecutionContext,
    next: CallHandler,
  ): Promise<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const early = isMultipart(request) ? '' : fingerprintOf(request);
    const { number: processNumber } = this.presence;
    const earlier = await this.keys.claim(key, early, processNumber);
    if (earlier !== null) return this.repeat(earlier, context);
    const fingerprint = () => (early === '' ? fingerprintOf(request) : early);
    const keyed: KeyedRequest = { key, processNumber, fingerprint };
    try {
      const body: unknown = await this.keys.answering(keyed, () =>
        lastValueFrom(next.handle(), { defaultValue: undefined }),
      );
      await this.keys.keep(keyed, answerOf(context, body));
      return body;
    } catch (error) {
      // A problem is an answer. Behind anything else may stand something that was made.
      if (error instanceof ProblemException) await this.keys.forget(keyed);
      else await this.keys.close(keyed);
      throw error;
    }
  }

  private async repeat(earlier: IdempotencyKey, context: ExecutionContext): Promise<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    if (isMultipart(request)) {
      const read = this.multipart.intercept(context, { handle: () => of(null) });
      await lastValueFrom(from(await read));
    }
    if (fingerprintOf(request) !== earlier.fingerprint) {
      throw new ProblemException(
        'idempotency-key-reused',
        'This Idempotency-Key was used with another address or body; use a new key.',
        { path: 'Idempotency-Key' },
      );
    }
    const response = context.switchToHttp().getResponse<Response>();
    for (const [name, value] of Object.entries(earlier.headers ?? {})) {
      response.setHeader(name, value);
    }
    response.setHeader('Idempotent-Replayed', 'true');
    response.status(earlier.status ?? 200);
    return earlier.body === null ? undefined : (JSON.parse(earlier.body) as unknown);
  }
}

function answerOf(context: ExecutionContext, body: unknown): KeptAnswer {
  const response = context.switchToHttp().getResponse<Response>();
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = response.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  return { status: response.statusCode, headers, body };
}
