import {
  applyDecorators,
  CallHandler,
  ExecutionContext,
  Injectable,
  NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { AnyFilesInterceptor } from '@nestjs/platform-express';
import type { Request } from 'express';
import { ProblemException } from './problem';

type Fields = Record<string, unknown>;

/** `node0.meminfo` is the entry "0" of `nodeMeminfo`. */
const NODE_FIELD = /^node(\d{1,5})\.(meminfo|numastat|cpulist|distance)$/;

/**
 * Reads a multipart body as the same fields that the JSON body has: a file is the text of the field
 * that it is named after. Validation then sees no difference.
 */
export const MultipartFields = () =>
  applyDecorators(UseInterceptors(AnyFilesInterceptor(), FilesToFields));

/** Reads a bare XML body as the field `xml`. */
export const XmlAsField = () => applyDecorators(UseInterceptors(XmlToField));

@Injectable()
class FilesToFields implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<Request>();
    if (typeof request.is('multipart/form-data') === 'string') {
      request.body = fieldsOf((request.body ?? {}) as Fields, filesOf(request));
    }
    return next.handle();
  }
}

@Injectable()
class XmlToField implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<Request>();
    if (typeof request.body === 'string') request.body = { xml: request.body };
    return next.handle();
  }
}

/** What multer leaves on a request; files are held in memory. */
interface Upload {
  fieldname: string;
  buffer: Buffer;
}

function filesOf(request: Request): Upload[] {
  const { files } = request as { files?: unknown };
  return Array.isArray(files) ? (files as Upload[]) : [];
}

/** @throws ProblemException malformed-multipart when a name comes twice */
function fieldsOf(body: Fields, files: Upload[]): Fields {
  const parts: [string, unknown][] = Object.entries(body);
  for (const file of files) parts.push([file.fieldname, file.buffer.toString('utf8')]);
  const fields: Fields = {};
  for (const [name, value] of parts) {
    const match = NODE_FIELD.exec(name);
    if (match === null) put(fields, name, name, value);
    else {
      const [, nodeId = '', kind = ''] = match;
      const group = `node${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
      const texts = (fields[group] ??= {}) as Fields;
      put(texts, nodeId, name, value);
    }
  }
  return fields;
}

function put(target: Fields, key: string, name: string, value: unknown): void {
  if (Object.hasOwn(target, key)) {
    throw new ProblemException('malformed-multipart', `The part "${name}" comes twice.`, {
      path: name,
    });
  }
  Object.defineProperty(target, key, { value, enumerable: true, writable: true });
}
