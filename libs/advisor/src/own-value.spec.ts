import { ownValue } from './own-value';

describe('ownValue', () => {
  it('is the own entry, whatever its name', () => {
    const record: Record<string, number> = JSON.parse('{"web1":1,"toString":2,"__proto__":3}');
    expect(['web1', 'toString', '__proto__'].map((name) => ownValue(record, name))).toEqual([
      1, 2, 3,
    ]);
  });
  it('is nothing where only every object has it', () => {
    for (const name of ['web1', 'toString', 'constructor', '__proto__']) {
      expect(ownValue({}, name)).toBeUndefined();
      expect(ownValue(undefined, name)).toBeUndefined();
    }
  });
});
