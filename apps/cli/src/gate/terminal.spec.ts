/** Progress is for a terminal that stderr is, colour for one that stdout is; whoever reads a pipe or a file gets neither. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gateRuns } from '../test/gate-runs';
import { scratch } from '../test/scratch';
import { plan } from '../test/two-host-plan';
import { FORMATS, type FormatName } from './formats';
import type { GateOptions } from './gate';

const ESCAPE = '\u001b';
const ERASE = `\r${ESCAPE}[K`;

const its = scratch();
const { write, run } = gateRuns(its);

const { isTTY: stdoutIs } = process.stdout;
const { isTTY: stderrIs } = process.stderr;
const { NO_COLOR } = process.env;
beforeEach(() => {
  delete process.env.NO_COLOR;
});
afterEach(() => {
  process.stdout.isTTY = stdoutIs;
  process.stderr.isTTY = stderrIs;
  if (NO_COLOR === undefined) delete process.env.NO_COLOR;
  else process.env.NO_COLOR = NO_COLOR;
});

type Stream = 'stdout' | 'stderr';

/** Runs the gate where these streams are terminals and the others are not. */
async function on(
  terminals: Stream[],
  text: string,
  options: GateOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  process.stdout.isTTY = terminals.includes('stdout');
  process.stderr.isTTY = terminals.includes('stderr');
  its.stderr = '';
  const { code } = await run([write('plan.yaml', text)], options);
  return { code, stdout: its.stdout, stderr: its.stderr };
}

/** What a terminal shows in the end of a line that is erased and written again. */
const shown = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.split(ERASE).at(-1))
    .join('\n');

describe('progress', () => {
  it('is told on stderr host by host, and is gone in the end', async () => {
    const { stdout, stderr } = await on(['stderr'], plan(3));
    const told = stderr.split(ERASE);
    expect(told[0]).toBe('');
    expect(told.slice(1, -1).map((line) => line.replace(/^.*plan\.yaml: /, ''))).toEqual([
      '1 of 2 hosts replayed',
      '2 of 2 hosts replayed',
    ]);
    expect(shown(stderr)).toBe('');
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).not.toContain('hosts replayed');
  });

  it('stays away where stderr is no terminal, though stdout is one', async () => {
    expect((await on(['stdout'], plan(3))).stderr).toBe('');
    expect((await on([], plan(3))).stderr).toBe('');
  });

  it('changes nothing of the report', async () => {
    const quiet = await on([], plan(3));
    const told = await on(['stderr'], plan(3));
    expect([told.code, told.stdout]).toEqual([quiet.code, quiet.stdout]);
    expect(told.stderr.length).toBeGreaterThan(quiet.stderr.length);
  });

  it('makes room for what is wrong with a plan', async () => {
    const wrong = plan(1).replace('kvm2: [b]', 'kvm2: [c]');
    const { code, stderr } = await on(['stderr'], wrong);
    expect(code).toBe(1);
    expect(shown(stderr)).toBe((await on([], wrong)).stderr);
    expect(stderr).toContain('unknown-guest');
  });

  describe('of a service that takes a while', () => {
    let server: Server;
    let left: { state: string; progress: number; resultUrl: string | null; error: null }[];
    const verdict = {
      ...{ verdict: 'pass', failLevel: 'error', findings: [], hosts: [], idleHosts: [], rules: [] },
      ...{
        waivers: [],
        planSha256: '0'.repeat(64),
        modelVersion: '0',
        seed: 1,
        today: '2027-01-01',
      },
    };
    beforeEach(async () => {
      const at = (state: string, progress: number) => ({
        ...{ state, progress, error: null },
        resultUrl: state === 'succeeded' ? '/verdict' : null,
      });
      left = [at('queued', 0), at('running', 0.256), at('succeeded', 1)];
      server = createServer((request, response) => {
        const isNew = request.method === 'POST';
        const body = request.url === '/verdict' ? verdict : isNew ? {} : left.shift();
        response.writeHead(isNew ? 202 : 200, {
          ...{ 'content-type': 'application/json', connection: 'close' },
          ...(isNew ? { location: '/v1/jobs/1' } : {}),
        });
        response.end(JSON.stringify(body));
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    afterEach(() => server.close());
    const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    it('is told in percent', async () => {
      const { code, stderr } = await on(['stderr'], plan(1), { server: address() });
      expect([code, left]).toEqual([0, []]);
      const told = stderr.split(ERASE).slice(1, -1);
      expect(told.map((line) => line.replace(/^.*plan\.yaml: /, ''))).toEqual(['0 %', '25 %']);
      expect(shown(stderr)).toBe('');
    });

    it('is not told where nobody looks', async () => {
      const { code, stderr } = await on([], plan(1), { server: address() });
      expect([code, left, stderr]).toEqual([0, [], '']);
    });
  });
});

describe('colour', () => {
  it.each<[string, string, string]>([
    ['green', plan(1), '[32mPASS'],
    ['red', plan(3), '[31mFAIL'],
  ])('is %s for the verdict on stdout', async (_what, text, start) => {
    const { stdout } = await on(['stdout'], text);
    expect(stdout.startsWith(`${ESCAPE}${start}`)).toBe(true);
    const plain = await on(['stderr'], text);
    expect(plain.stdout).not.toContain(ESCAPE);
    expect(stdout.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain.stdout);
  });

  it.each<[string, boolean]>([
    ['1', false],
    ['0', false],
    ['', true],
  ])('NO_COLOR=%j', async (value, isColoured) => {
    process.env.NO_COLOR = value;
    const { stdout } = await on(['stdout', 'stderr'], plan(1));
    expect(stdout.includes(ESCAPE)).toBe(isColoured);
  });

  it.each(Object.keys(FORMATS) as FormatName[])('%s in a file has none', async (output) => {
    const out = join(its.folder, 'report');
    const { stdout } = await on(['stdout', 'stderr'], plan(3), { output, out });
    expect(stdout).toBe('');
    expect(readFileSync(out, 'utf8').length).toBeGreaterThan(0);
    expect(readFileSync(out, 'utf8')).not.toContain(ESCAPE);
  });

  it.each(Object.keys(FORMATS).filter((name) => name !== 'table') as FormatName[])(
    '%s is for tools and has none on a terminal',
    async (output) => {
      const { stdout } = await on(['stdout', 'stderr'], plan(3), { output });
      expect(stdout.length).toBeGreaterThan(0);
      expect(stdout).not.toContain(ESCAPE);
    },
  );
});
