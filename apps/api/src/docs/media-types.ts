import type { OpenAPIObject } from '@nestjs/swagger';
import { ARCHIVE_TYPES } from '../http/body-parsers';

type Content = NonNullable<
  Extract<NonNullable<OperationLike['requestBody']>, { content: unknown }>['content']
>;
type PathItem = OpenAPIObject['paths'][string];
type OperationLike = NonNullable<PathItem['post']>;

/**
 * The decorators give every media type of a body the same schema and examples. XML is text, and a
 * multipart form has no example that could be sent as it stands: its parts are files. An archive is bytes.
 */
export function withBodyPerMediaType(document: OpenAPIObject): OpenAPIObject {
  for (const item of Object.values(document.paths)) {
    for (const operation of [item.post, item.put, item.patch]) {
      const body = operation?.requestBody;
      if (body !== undefined && 'content' in body) splitContent(body.content);
    }
  }
  return document;
}

function splitContent(content: Content): void {
  for (const [mediaType, media] of Object.entries(content)) {
    if (mediaType === 'multipart/form-data') {
      delete media.examples;
      delete media.example;
    } else if (ARCHIVE_TYPES.includes(mediaType)) {
      content[mediaType] = { schema: { type: 'string', format: 'binary' } };
    } else if (mediaType.endsWith('/xml')) {
      media.schema = { type: 'string', description: 'A libvirt domain document.' };
    }
  }
}
