import { plainToInstance } from 'class-transformer';
import { IsInt, validateSync } from 'class-validator';
import { IsRecordOf } from './record-of';

class Entry {
  @IsInt() size: number;
}
class Holder {
  @IsRecordOf(Entry, 2) entries: Record<string, Entry>;
}

const messageOf = (entries: unknown): string | undefined => {
  const [error] = validateSync(plainToInstance(Holder, { entries }));
  return error?.constraints?.isRecordOf;
};

describe('IsRecordOf', () => {
  it.each([[{}], [{ a: { size: 1 } }], [{ a: { size: 1 }, b: { size: 2 } }]])(
    'accepts %j',
    (entries) => {
      expect(messageOf(entries)).toBeUndefined();
    },
  );

  it.each([
    [null, 'must be an object'],
    [[], 'must be an object'],
    ['text', 'must be an object'],
    [{ a: 1 }, 'a: must be an object'],
    [{ a: null }, 'a: must be an object'],
    [{ a: { size: 'x' } }, 'a.size: '],
    [{ a: { size: 1, other: 2 } }, 'a.other: '],
    [{ a: { size: 1 }, b: { size: 1 }, c: { size: 1 } }, 'at most 2 entries'],
    [{ '': { size: 1 } }, 'names of 1 to 255 characters'],
  ])('refuses %j and says where', (entries, message) => {
    expect(messageOf(entries)).toContain(message);
  });
});
