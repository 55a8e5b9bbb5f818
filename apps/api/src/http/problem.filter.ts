import {
  ArgumentsHost,
  Catch,
  ExceptionFilter,
  HttpException,
  Logger,
  NotFoundException,
  PayloadTooLargeException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { ProblemException } from './problem';

/** Turns whatever was thrown into problem+json. What was not meant for the caller stays in the log. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<Request>();
    const response = http.getResponse<Response>();
    const exception = asProblem(error, request);
    if (exception.getStatus() >= 500) this.logger.error(error);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(exception.headers)) response.setHeader(name, value);
    response
      .status(exception.getStatus())
      .type('application/problem+json')
      .send(JSON.stringify({ ...exception.problem, instance: request.originalUrl }));
  }
}

/** `type` of the body parsers' refusal of what is over their limit. */
export const TOO_LARGE_ERROR = 'entity.too.large';

/** Errors of Express's body parsers (http-errors) carry a `type`. */
interface ParserError {
  type?: unknown;
  status?: unknown;
  limit?: unknown;
  message?: unknown;
}

/** What was thrown, as the problem to answer. */
export function asProblem(error: unknown, request: Request): ProblemException {
  if (error instanceof ProblemException) return error;
  if (error instanceof HttpException) return ofHttpException(error, request);
  const parser: ParserError = typeof error === 'object' && error !== null ? error : {};
  switch (parser.type) {
    case 'entity.parse.failed':
      return new ProblemException('malformed-json', `The body is not JSON: ${text(parser)}.`);
    case TOO_LARGE_ERROR:
      return tooLarge(request, typeof parser.limit === 'number' ? parser.limit : undefined);
    case 'entity.verify.failed':
      return new ProblemException('malformed-json', `${text(parser)}.`);
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return new ProblemException('unsupported-media-type', `${text(parser)}.`);
  }
  if (error instanceof URIError || isClientStatus(parser.status)) {
    return new ProblemException('malformed-request', `${text(parser)}.`);
  }
  return internal();
}

function ofHttpException(error: HttpException, request: Request): ProblemException {
  if (error instanceof NotFoundException) {
    return new ProblemException(
      'route-not-found',
      `${request.method} ${request.path} is not an address of this service; see /docs.`,
    );
  }
  if (error instanceof PayloadTooLargeException) return tooLarge(request);
  const status = error.getStatus();
  if (status === 503) return new ProblemException('not-ready', 'A dependency does not answer.');
  if (!isClientStatus(status)) return internal();
  const multipart = typeof request.is('multipart/form-data') === 'string';
  return new ProblemException(
    multipart ? 'malformed-multipart' : 'malformed-request',
    `${error.message.replace(/\.$/, '')}.`,
  );
}

/** What may be left out of a body that is too large, by the address that it was sent to. */
const SMALLER: readonly [address: RegExp, advice: string][] = [
  [
    /^\/v1\/(packing-plans\/check|placements)\b/,
    'give guests that are alike as a flavour with a count, and hosts that are stored by their hostId',
  ],
  [/^\/v1\/hosts\/import\b/, 'send the archive of the collector packed (gzip, xz, bzip2 or zstd)'],
];

/** @param limitBytes absent where a parser does not tell */
export function tooLarge(request: Request, limitBytes?: number): ProblemException {
  const declared = request.headers['content-length'];
  const [, advice = 'send less'] = SMALLER.find(([address]) => address.test(request.path)) ?? [];
  const doing = `${advice}, or raise BODY_LIMIT of the service.`;
  if (limitBytes === undefined) {
    return new ProblemException('body-too-large', `A part of the body is over the limit: ${doing}`);
  }
  // A length that was not said, or is that of a packed body, tells nothing.
  const found = Number(declared) > limitBytes ? declared : `more than ${limitBytes}`;
  const detail = `The body has ${found} bytes; at most ${limitBytes} are read: ${doing}`;
  return new ProblemException('body-too-large', detail);
}

function internal(): ProblemException {
  return new ProblemException(
    'internal-error',
    'Something failed inside the service; its log says what. Nothing was stored in part.',
  );
}

const isClientStatus = (status: unknown): boolean =>
  typeof status === 'number' && status >= 400 && status < 500;

const text = (error: ParserError): string =>
  typeof error.message === 'string' ? error.message.replace(/\.$/, '') : 'no more is known';
