import { LIBRARY, fuzz, newRun } from './harness';
import type { Run } from './harness';
import { main } from './long';

const tried = (documents: number, subject = LIBRARY, seed = 1): Run => {
  const run = newRun();
  fuzz(seed, documents, run, { subject });
  return run;
};

describe('mutated documents', () => {
  it('are read or refused, never worse', () => {
    const run = tried(500);
    expect(run.failure).toBeNull();
    expect(run.documents).toBe(500);
    expect(run.accepted).toBeGreaterThan(30);
    expect(run.patched).toBeGreaterThan(10);
    expect(run.codes.size).toBeGreaterThan(15);
  });

  it('are the same from the same seed, and others from another', () => {
    const hash = (seed: number): number => tried(50, LIBRARY, seed).hash;
    expect(hash(7)).toBe(hash(7));
    expect(hash(7)).not.toBe(hash(8));
  });

  it.each([
    [
      'a thrown error',
      () => {
        throw new TypeError('planted');
      },
      /^thrown: TypeError: planted/,
    ],
    ['a code of no list', () => refusal({ code: 'planted' }), /^unknown code planted$/],
    ['a place outside', () => refusal({ line: 100_000 }), /^xml-syntax at \/, line 100000/],
    ['a refusal of nothing', () => ({ ok: false as const, problems: [] }), /^refused without/],
    [
      'a view with NaN',
      () => ({ ok: true as const, value: { memoryKib: NaN } }),
      /^a number that is none/,
    ],
  ])('%s would be found', (_, parseDomain, why) => {
    expect(tried(10, { ...LIBRARY, parseDomain }).failure?.why).toMatch(why);
  });

  it('a patch that goes on changing would be found', () => {
    const patchDomain = (xml: string) => ({ ok: true as const, value: { xml: `${xml} ` } });
    const failure = tried(600, { ...LIBRARY, patchDomain }).failure;
    expect(failure?.why).toBe('a second patch changed something');
  });

  it('can be asked for from the command line', () => {
    const write = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const complain = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(main(['--seed', '3', '--docs', '20'])).toBe(0);
    expect(String(write.mock.calls.at(-1)?.[0])).toMatch(/^fuzz:xml: 20 documents,.* 0 failures/);
    expect(main(['--docs', 'many'])).toBe(2);
    expect(String(complain.mock.calls.at(-1)?.[0])).toContain("--docs is 'many'");
    write.mockRestore();
    complain.mockRestore();
  });
});

function refusal(more: { code?: string; line?: number }) {
  const problem = { code: 'xml-syntax', path: '/', message: 'planted', line: 1, column: 1 };
  return { ok: false as const, problems: [{ ...problem, ...more }] };
}
