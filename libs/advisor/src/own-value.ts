/** What a record has under a guest's name. Its own entry only: a guest may be called `constructor` or `__proto__`. */
export function ownValue<T>(
  record: Readonly<Record<string, T>> | undefined,
  name: string,
): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}
