import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { readCases } from './read-cases';

const recorded = (id: string) => JSON.stringify({ format: 'kernel-truth', id });

describe('reading case files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-cases-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const put = (name: string, content: string | Buffer) =>
    writeFileSync(join(folder, name), content);
  const ids = () => [...readCases(folder)].map(({ id }) => id);

  it('takes plain and compressed ones in the order of their names, and passes over the rest', () => {
    put('B02.json', recorded('B02'));
    put('A01.json.br', brotliCompressSync(recorded('A01')));
    put('classes.json', '{"about":"something else"}');
    put('README.md', 'not a case');
    expect(ids()).toEqual(['A01', 'B02']);
  });

  it('names the file that is no JSON or no brotli', () => {
    put('B02.json', '{');
    expect(ids).toThrow(/B02\.json: not JSON/);
    put('A01.json.br', recorded('A01'));
    expect(ids).toThrow(/A01\.json\.br: not a brotli file of at most 16777216 bytes of text/);
  });

  it('stops at a few bytes that stand for too much text', () => {
    const bomb = brotliCompressSync(Buffer.alloc(17 * 2 ** 20, ' '));
    expect(bomb.length).toBeLessThan(1_000);
    put('A01.json.br', bomb);
    expect(ids).toThrow(/A01\.json\.br: not a brotli file of at most 16777216 bytes of text/);
  });
});
