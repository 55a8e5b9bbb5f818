import { CanActivate, ExecutionContext, Inject, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { SETTINGS, Settings } from '../config/settings';
import { ProblemException } from './problem';
import { tooLarge } from './problem.filter';

const CONSUMES = 'zonewise:consumes';

/** Media types that a handler reads; without it `application/json` alone. */
export const Consumes = (...mediaTypes: string[]) => SetMetadata(CONSUMES, mediaTypes);

/**
 * Refuses a body of a type that the handler does not read (415), and a multipart body that is too large
 * as a whole (413) before any of it is kept.
 */
@Injectable()
export class ContentTypeGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    if (!['POST', 'PUT', 'PATCH'].includes(request.method) || !hasBody(request)) return true;
    const accepted = this.reflector.get<string[] | undefined>(CONSUMES, context.getHandler()) ?? [
      'application/json',
    ];
    if (typeof request.is(accepted) !== 'string') {
      const found = request.headers['content-type'] ?? 'no Content-Type';
      throw new ProblemException(
        'unsupported-media-type',
        `The body is ${found}; this address reads ${accepted.join(', ')}.`,
        { path: 'Content-Type' },
      );
    }
    if (typeof request.is('multipart/form-data') === 'string') this.checkLength(request);
    return true;
  }

  private checkLength(request: Request): void {
    const length = request.headers['content-length'];
    if (length === undefined) {
      throw new ProblemException(
        'length-required',
        'A multipart body must come with a Content-Length.',
        { path: 'Content-Length' },
      );
    }
    const { bodyLimitBytes } = this.settings;
    if (Number(length) > bodyLimitBytes) throw tooLarge(request, bodyLimitBytes);
  }
}

function hasBody(request: Request): boolean {
  const length = request.headers['content-length'];
  return (length !== undefined && length !== '0') || 'transfer-encoding' in request.headers;
}
