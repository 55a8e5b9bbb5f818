import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptions } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsInt,
  IsObject,
  Max,
  Min,
  ValidateBy,
  ValidateNested,
} from 'class-validator';
import { foundOf, HoldsInside, pathBelow, unknownField } from './field-problems';

/** Pages of 16 EiB: far beyond any host, far below 2^53. */
export const MAX_PAGES = 2 ** 52;
export const MAX_NODES = 1024;
export const MAX_CPUS = 65536;

/** A whole number within bounds, documented as such. */
export function Whole(
  options: { min?: number; max?: number; description?: string; required?: boolean } = {},
) {
  const { min = 0, max = MAX_PAGES, description, required = true } = options;
  return applyDecorators(
    ApiProperty({ type: 'integer', minimum: min, maximum: max, description, required }),
    IsInt({ message: `must be a whole number from ${min} to ${max}` }),
    Min(min, { message: `must be at least ${min}` }),
    Max(max, { message: `must be at most ${max}` }),
  );
}

/** A list of whole numbers within bounds. */
export function WholeList(options: {
  min?: number;
  max?: number;
  maxItems: number;
  description?: string;
}) {
  const { min = 0, max = MAX_PAGES, maxItems, description } = options;
  return applyDecorators(
    ApiProperty({ type: 'array', items: { type: 'integer', minimum: min }, maxItems, description }),
    IsArray({ message: 'must be a list of whole numbers' }),
    ArrayMaxSize(maxItems, { message: `must have at most ${maxItems} entries` }),
    IsInt({ each: true, message: 'must hold whole numbers only' }),
    Min(min, { each: true, message: `must hold numbers of at least ${min}` }),
    Max(max, { each: true, message: `must hold numbers of at most ${max}` }),
  );
}

/**
 * A nested object that is validated itself. A list in its place is refused: validation would pass it by.
 * The documentation knows a function that answers the class by its name, `type`: hence the one around it.
 */
export function Nested(type: () => new () => object, api: ApiPropertyOptions = {}) {
  return applyDecorators(
    ApiProperty({ ...api, type: () => type() } as ApiPropertyOptions),
    IsObject({ message: 'must be an object' }),
    ValidateNested(),
    Type(type),
  );
}

/** A list of nested objects that are validated themselves. */
export function NestedList(
  type: () => new () => object,
  maxItems: number,
  api: ApiPropertyOptions = {},
) {
  return applyDecorators(
    ApiProperty({ ...api, type: () => type(), isArray: true, maxItems } as ApiPropertyOptions),
    IsArray({ message: 'must be a list of objects' }),
    ArrayMaxSize(maxItems, { message: `must have at most ${maxItems} entries` }),
    IsObject({ each: true, message: 'must hold objects only' }),
    ValidateNested({ each: true }),
    Type(type),
  );
}

/** An object used as a map from short keys to values of one kind. */
export function MapOf(options: {
  key: RegExp;
  maxEntries: number;
  value: (value: unknown) => boolean;
  message: string;
}) {
  return ValidateBy({
    name: 'mapOf',
    validator: {
      validate: (map) => {
        if (typeof map !== 'object' || map === null || Array.isArray(map)) return false;
        const entries = Object.entries(map as Record<string, unknown>);
        return (
          entries.length <= options.maxEntries &&
          entries.every(([key, value]) => options.key.test(key) && options.value(value))
        );
      },
      defaultMessage: () => options.message,
    },
  });
}

/** SLIT distances between nodes, a row per node. */
export function DistanceMatrix(description?: string) {
  const bounds = { max: 255, maxItems: MAX_NODES };
  return applyDecorators(
    ApiProperty({
      type: 'array',
      items: { type: 'array', items: { type: 'integer' } },
      description,
      example: [
        [10, 21],
        [21, 10],
      ],
    }),
    ValidateBy({
      name: 'wholeMatrix',
      validator: {
        validate: (rows) => isListOf(rows, bounds.maxItems, (row) => isWholes(row, bounds)),
        defaultMessage: () => 'must be a list of lists of whole numbers from 0 to 255',
      },
    }),
  );
}

/** A long list of flat objects with exactly these fields: whole numbers from 0 to each one's maximum. */
export function ListOfRecords(options: { fields: Record<string, number>; maxItems: number }) {
  const { maxItems } = options;
  const fields = Object.entries(options.fields);
  const known = Object.keys(options.fields);
  const isRecord = (item: unknown): item is Record<string, unknown> =>
    typeof item === 'object' &&
    item !== null &&
    Object.keys(item).length === fields.length &&
    fields.every(([name, max]) => isWhole((item as Record<string, unknown>)[name], max));
  const shape = fields.map(([name, max]) => `${name} (0 to ${max})`).join(', ');
  return HoldsInside('listOfRecords', function* (list) {
    if (!isListOf(list, maxItems, () => true)) {
      const message = `must be a list of at most ${maxItems} objects with exactly the fields ${shape}, all whole numbers`;
      yield { code: 'invalid-field', path: '', message };
      return;
    }
    for (const [i, item] of (list as unknown[]).entries()) {
      if (isRecord(item)) continue;
      const unknown = unknownNames(item, known);
      for (const name of unknown) {
        const path = pathBelow(`[${i}]`, name);
        yield { code: 'unknown-field', path, message: unknownField(name, known) };
      }
      if (unknown.length > 0) continue;
      const message = `must have exactly the fields ${shape}, all whole numbers`;
      yield { code: 'invalid-field', path: `[${i}]`, message, ...foundOf(item) };
    }
  });
}

function unknownNames(item: unknown, known: string[]): string[] {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return [];
  return Object.keys(item).filter((name) => !known.includes(name));
}

export function isWholes(value: unknown, { max, maxItems }: { max: number; maxItems: number }) {
  return isListOf(value, maxItems, (item) => isWhole(item, max));
}

const isWhole = (value: unknown, max: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;

function isListOf(value: unknown, maxItems: number, test: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= maxItems && value.every(test);
}
