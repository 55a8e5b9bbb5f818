import type { ClassConstructor } from 'class-transformer';
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { fieldProblems, foundOf, HoldsInside, pathBelow } from '../http/field-problems';

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object whose names are free (domain names) and whose entries are all of one class. */
export function IsRecordOf<T extends object>(
  entryClass: ClassConstructor<T>,
  maxEntries: number,
): PropertyDecorator {
  const code = 'invalid-field';
  return HoldsInside('isRecordOf', function* (value) {
    if (!isObject(value)) {
      const message = 'must be an object with one entry per name';
      yield { code, path: '', message, ...foundOf(value) };
      return;
    }
    const entries = Object.entries(value) as [string, unknown][];
    if (entries.length > maxEntries) {
      yield { code, path: '', message: `has at most ${maxEntries} entries` };
      return;
    }
    for (const [name, entry] of entries) {
      const path = pathBelow('', name);
      if (name.length === 0 || name.length > 255) {
        yield { code, path: '', message: 'has names of 1 to 255 characters' };
      } else if (!isObject(entry)) {
        yield { code, path, message: 'must be an object', ...foundOf(entry) };
      } else {
        const instance = plainToInstance(entryClass, entry);
        const errors = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true });
        yield* fieldProblems(errors, path);
      }
    }
  });
}
