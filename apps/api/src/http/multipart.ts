import { isUtf8 } from 'node:buffer';
import {
  applyDecorators,
  CallHandler,
  ExecutionContext,
  Injectable,
  NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { AnyFilesInterceptor } from '@nestjs/platform-express';
import { nodeTextOf } from '@zonewise/host-facts';
import { textOf } from '@zonewise/libvirt-xml';
import type { Request } from 'express';
import { ProblemException } from './problem';
import { isReservedName } from './reserved-names';
import { xmlProblem } from './xml-problems';

type Fields = Record<string, unknown>;

/**
 * Reads a multipart body as the same fields that the JSON body has: a file is the text of the field
 * that it is named after. Validation then sees no difference.
 */
export const MultipartFields = () =>
  applyDecorators(UseInterceptors(AnyFilesInterceptor(), FilesToFields));

class XmlToField implements NestInterceptor {
  constructor(private readonly field: string) {}

  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<Request>();
    if (Buffer.isBuffer(request.body)) request.body = { [this.field]: xmlText(request) };
    return next.handle();
  }
}

/** Reads a bare XML body as a field of this name. */
export const XmlAsField = (field = 'xml') =>
  applyDecorators(UseInterceptors(new XmlToField(field)));

/** Puts the text of each file where a field of its name would be. */
@Injectable()
export class FilesToFields implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest<Request>();
    if (typeof request.is('multipart/form-data') === 'string') {
      request.body = fieldsOf((request.body ?? {}) as Fields, filesOf(request));
    }
    return next.handle();
  }
}

/**
 * The document as it was sent, a byte order mark included.
 * @throws ProblemException unsupported-media-type, malformed-xml (another encoding than UTF-8), body-too-large
 */
function xmlText(request: Request): string {
  const contentType = request.headers['content-type'] ?? '';
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  if (!/^(utf-?8|us-ascii)$/i.test(charset)) {
    const detail = `The document comes as ${charset}; only UTF-8 is read.`;
    throw new ProblemException('unsupported-media-type', detail, { path: 'Content-Type' });
  }
  const outcome = textOf(request.body as Buffer);
  if (outcome.ok) return outcome.value;
  throw xmlProblem(outcome.problems, 'malformed-xml');
}

/** What multer leaves on a request; files are held in memory. */
export interface Upload {
  fieldname: string;
  buffer: Buffer;
}

/** Files of a multipart body. */
export function filesOf(request: Request): Upload[] {
  const { files } = request as { files?: unknown };
  return Array.isArray(files) ? (files as Upload[]) : [];
}

/** @throws ProblemException malformed-multipart when a name comes twice, or a file is no UTF-8 text */
function fieldsOf(body: Fields, files: Upload[]): Fields {
  const parts: [string, unknown][] = Object.entries(body);
  for (const { fieldname, buffer } of files) {
    if (!isUtf8(buffer)) throw malformed(fieldname, 'is not UTF-8 text');
    parts.push([fieldname, buffer.toString('utf8')]);
  }
  const fields: Fields = {};
  for (const [name, value] of parts) {
    const node = nodeTextOf(name);
    if (node === null) put(fields, name, name, value);
    else {
      const texts = (fields[node.field] ??= {}) as Fields;
      put(texts, node.nodeId, name, value);
    }
  }
  return fields;
}

function put(target: Fields, key: string, name: string, value: unknown): void {
  if (isReservedName(key)) throw malformed(name, 'is not read here');
  if (Object.hasOwn(target, key)) throw malformed(name, 'comes twice');
  target[key] = value;
}

const malformed = (name: string, what: string): ProblemException =>
  new ProblemException('malformed-multipart', `The part "${name}" ${what}.`, { path: name });
