/** A request whose body is an archive of a host, or has one as its part `archive`. */
import {
  applyDecorators,
  CallHandler,
  createParamDecorator,
  ExecutionContext,
  Injectable,
  NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { AnyFilesInterceptor } from '@nestjs/platform-express';
import type { Collection } from '@zonewise/host-facts';
import type { Request } from 'express';
import { ArchiveReader } from '../collector/archive-reader';
import { FilesToFields, filesOf } from '../http/multipart';
import { ProblemException } from '../http/problem';

interface ArchiveRequest extends Request {
  collection?: Collection;
  files?: unknown;
}

/**
 * Reads JSON, multipart parts, or an archive. What was in an archive is given by {@link Collected}; the body
 * keeps the other fields, and `name` from the query or from the archive where it does not say one.
 */
export const NamedHostFields = () =>
  applyDecorators(
    UseInterceptors(AnyFilesInterceptor(), ArchiveToCollection, NameFromArchive, FilesToFields),
  );

/** As {@link NamedHostFields}, for a host that has its name already. */
export const HostFields = () =>
  applyDecorators(UseInterceptors(AnyFilesInterceptor(), ArchiveToCollection, FilesToFields));

/** What the archive of this request held; undefined where it had none. */
export const Collected = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Collection | undefined =>
    context.switchToHttp().getRequest<ArchiveRequest>().collection,
);

@Injectable()
class ArchiveToCollection implements NestInterceptor {
  constructor(private readonly reader: ArchiveReader) {}

  async intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<ArchiveRequest>();
    const archive = archiveOf(request);
    if (archive !== undefined) {
      request.collection = await this.reader.read(archive);
      if (Buffer.isBuffer(request.body)) request.body = {};
    }
    return next.handle();
  }
}

@Injectable()
class NameFromArchive implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<ArchiveRequest>();
    const { collection, query } = request;
    if (collection !== undefined) {
      const { name, description } = query;
      const called = typeof name === 'string' ? name : collection.hostName;
      request.body = {
        ...(called === undefined ? {} : { name: called }),
        ...(typeof description === 'string' ? { description } : {}),
        ...(request.body as object),
      };
    }
    return next.handle();
  }
}

/** @throws ProblemException malformed-multipart when there are several */
function archiveOf(request: ArchiveRequest): Buffer | undefined {
  if (Buffer.isBuffer(request.body)) return request.body;
  const files = filesOf(request);
  const archives = files.filter(({ fieldname }) => fieldname === 'archive');
  if (archives.length > 1) {
    throw new ProblemException('malformed-multipart', 'The part "archive" comes twice.', {
      path: 'archive',
    });
  }
  if (archives.length === 1)
    request.files = files.filter(({ fieldname }) => fieldname !== 'archive');
  return archives[0]?.buffer;
}
