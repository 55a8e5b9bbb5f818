import { ValidateIf } from 'class-validator';

/** The field may be left out; null is not the same as left out and is refused by its other rules. */
export const WhenGiven = (): PropertyDecorator =>
  ValidateIf((_object: unknown, value: unknown) => value !== undefined);
