import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { ProblemException } from './problem';

export const MAX_PAGE_LIMIT = 100;

/** Query of every list. */
export class PageQuery {
  @ApiPropertyOptional({ description: '`nextCursor` of the page before; absent: the first page.' })
  @IsOptional()
  @IsString()
  @MaxLength(512)
  cursor?: string;

  @ApiPropertyOptional({ minimum: 1, maximum: MAX_PAGE_LIMIT, default: 50 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(MAX_PAGE_LIMIT)
  limit: number = 50;
}

export interface Page<T> {
  items: T[];
  /** null on the last page. */
  nextCursor: string | null;
}

/** Base of the list responses' documentation; `items` is declared by each. */
export class PageDto {
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Give it as `cursor` for the next page; null on the last one.',
  })
  nextCursor: string | null;
}

interface Position {
  createdAt: string;
  id: string;
}

/**
 * One page of a query, oldest first, by `createdAt` and `id`: rows added or deleted meanwhile neither
 * repeat nor hide others.
 * @param query selects an entity that has `createdAt` (ISO 8601 text) and `id`
 * @throws ProblemException invalid-cursor (400)
 */
export async function pageOf<T extends ObjectLiteral & Position>(
  query: SelectQueryBuilder<T>,
  { cursor, limit }: { cursor?: string; limit: number },
): Promise<Page<T>> {
  const alias = query.alias;
  if (cursor !== undefined) {
    const after = decodeCursor(cursor);
    query.andWhere(
      `(${alias}.createdAt > :afterTime OR (${alias}.createdAt = :afterTime AND ${alias}.id > :afterId))`,
      { afterTime: after.createdAt, afterId: after.id },
    );
  }
  const rows = await query
    .orderBy(`${alias}.createdAt`, 'ASC')
    .addOrderBy(`${alias}.id`, 'ASC')
    .limit(limit + 1)
    .getMany();
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items, nextCursor: more ? encodeCursor(last) : null };
}

export function encodeCursor({ createdAt, id }: Position): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString('base64url');
}

/** @throws ProblemException invalid-cursor (400) */
export function decodeCursor(cursor: string): Position {
  try {
    const [createdAt, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    if (isKey(createdAt) && isKey(id)) return { createdAt, id };
  } catch {
    // Anything unreadable is answered the same way below.
  }
  throw new ProblemException('invalid-cursor', 'Take `cursor` from `nextCursor` of a list.', {
    path: 'cursor',
  });
}

/** Printable only: PostgreSQL refuses NUL in a text parameter. */
const isKey = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x20-\x7e]{1,64}$/.test(value);
