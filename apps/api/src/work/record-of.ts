import type { ClassConstructor } from 'class-transformer';
import { plainToInstance } from 'class-transformer';
import { registerDecorator, validateSync, ValidationError } from 'class-validator';

function firstProblem(errors: ValidationError[], parent: string): string | null {
  for (const error of errors) {
    const path = `${parent}.${error.property}`;
    const own = Object.values(error.constraints ?? {})[0];
    if (own !== undefined) return `${path}: ${own}`;
    const below = firstProblem(error.children ?? [], path);
    if (below !== null) return below;
  }
  return null;
}

function problemOf<T extends object>(
  value: unknown,
  entryClass: ClassConstructor<T>,
  maxEntries: number,
): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object with one entry per name';
  }
  const entries = Object.entries(value);
  if (entries.length > maxEntries) return `has at most ${maxEntries} entries`;
  for (const [name, entry] of entries) {
    if (name.length === 0 || name.length > 255) return 'has names of 1 to 255 characters';
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      return `${name}: must be an object`;
    }
    const instance = plainToInstance(entryClass, entry as object);
    const errors = validateSync(instance, { whitelist: true, forbidNonWhitelisted: true });
    const problem = firstProblem(errors, name);
    if (problem !== null) return problem;
  }
  return null;
}

/** An object whose names are free (domain names) and whose entries are all of one class. */
export function IsRecordOf<T extends object>(
  entryClass: ClassConstructor<T>,
  maxEntries: number,
): PropertyDecorator {
  return (target, propertyName) => {
    registerDecorator({
      name: 'isRecordOf',
      target: target.constructor,
      propertyName: String(propertyName),
      validator: {
        validate: (value: unknown) => problemOf(value, entryClass, maxEntries) === null,
        defaultMessage: (given) =>
          `${given?.property ?? ''} ${problemOf(given?.value, entryClass, maxEntries) ?? ''}`,
      },
    });
  };
}
