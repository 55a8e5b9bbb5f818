import { referenceMachine } from '../reference';
import type { MakeMachine } from './harness';
import { main } from './long';

/** Runs the command and returns its exit code and what it printed. */
function run(argv: string[], make: MakeMachine): { code: number; out: string; err: string } {
  const printed = { out: '', err: '' };
  const catchAll = (to: 'out' | 'err') => (text: string | Uint8Array) => {
    printed[to] += String(text);
    return true;
  };
  const out = jest.spyOn(process.stdout, 'write').mockImplementation(catchAll('out'));
  const err = jest.spyOn(process.stderr, 'write').mockImplementation(catchAll('err'));
  try {
    return { code: main(argv, make), ...printed };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

describe('the long comparison', () => {
  it('ends with its size and a hash that only the seed decides', () => {
    const first = run(['--seed', '3', '--ops', '40'], (config) => referenceMachine(config));
    expect(first.code).toBe(0);
    expect(first.out).toMatch(
      /^fuzz: \d+ operations, \d+ machines, 0 differences, hash [\da-f]{8}\n$/,
    );
    expect(run(['--seed', '3', '--ops', '40'], (config) => referenceMachine(config)).out).toBe(
      first.out,
    );
  });

  it('ends with the smallest operations it finds that show a difference', () => {
    const mutation = 'foreign counted on the serving node';
    const { code, out } = run(['--seed', '3', '--ops', '2000'], (config) =>
      referenceMachine(config, mutation),
    );
    expect(code).toBe(1);
    expect(out).toMatch(/numastat\[2\] is \d+ in the simulator, \d+ in the reference/);
    // One allocation that leaves its node, after at most a few that make it do so.
    expect(out.split('\n').filter((line) => line.startsWith('  {')).length).toBeLessThanOrEqual(4);
  });

  it('refuses numbers that are none', () => {
    const { code, err } = run(['--ops', 'many'], (config) => referenceMachine(config));
    expect(code).toBe(2);
    expect(err).toContain("--ops is 'many', but must be a whole number from 1 on");
  });
});
