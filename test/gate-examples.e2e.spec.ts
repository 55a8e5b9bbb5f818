import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTestApp, type TestApp } from './support/app';

const root = join(__dirname, '..');

function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { cwd: root, env: { ...process.env, ...env } };
  try {
    return { code: 0, ...(await promisify(execFile)(program, args, options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('examples/api', () => {
  let test: TestApp;
  let url: string;
  const scratch = mkdtempSync(join(tmpdir(), 'zonewise-api-'));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  beforeAll(async () => {
    test = await createTestApp();
    await test.app.listen(0, '127.0.0.1');
    url = await test.app.getUrl();
  });
  afterAll(() => test.close());

  const [curl, python] = [has('curl'), has('python3')];
  if (!curl) console.log('examples/api/check-plan.sh is not run: curl is not installed.');
  if (!python) console.log('examples/api/check_plan.py is not run: python3 is not installed.');
  if (!curl) console.log('examples/api/place.sh is not run: curl is not installed.');
  if (!python) console.log('examples/api/place_guests.py is not run: python3 is not installed.');

  (curl ? it : it.skip)('place.sh: a guest that fits, one that does not, no host', async () => {
    const env = { ZONEWISE_URL: url };
    const script = join(root, 'examples', 'api', 'place.sh');
    expect(await run(script, [], env)).toMatchObject({ code: 0, stdout: 'examples/host 0\n' });
    const large = join(scratch, 'large.xml');
    const text = readFileSync(join(root, 'examples', 'web1.xml'), 'utf8');
    writeFileSync(large, text.replace(/>1048576</g, '>99999999<'));
    const refused = await run(script, [large], env);
    expect([refused.code, refused.stdout]).toEqual([2, expect.stringContaining('pages more than')]);
    const broken = await run(script, ['examples/host/zoneinfo'], env);
    expect([broken.code, broken.stderr]).toEqual([
      1,
      expect.stringContaining('"placement-not-readable"'),
    ]);
  });

  (python ? it : it.skip)('place_guests.py: guests on two hosts, and a host emptied', async () => {
    const env = { ZONEWISE_URL: url };
    const script = join(root, 'examples', 'api', 'place_guests.py');
    const hosts = ['kvm1=examples/host', 'kvm2=examples/host'];
    const guests = ['examples/web1.xml', 'examples/job1.xml'];
    const placed = await run('python3', [script, ...hosts, '--', ...guests], env);
    expect([placed.code, placed.stderr]).toEqual([0, '']);
    expect(placed.stdout).toMatch(/^web1 kvm[12] strict [01]\njob1 kvm[12] strict [01]\n$/);
    const emptied = await run('python3', [script, '--evacuate', 'kvm1', ...hosts], env);
    expect(emptied).toMatchObject({ code: 0, stdout: expect.stringMatching(/^db1 kvm2 strict /) });
  });

  (curl ? it : it.skip)(
    'check-plan.sh: a guest that fits, and a folder that is no host',
    async () => {
      const env = { ZONEWISE_URL: url };
      const script = join(root, 'examples', 'api', 'check-plan.sh');
      expect(await run(script, [], env)).toMatchObject({ code: 0, stdout: 'pass\n' });
      const broken = await run(script, ['examples/host', 'examples/host/zoneinfo'], env);
      expect(broken).toMatchObject({ code: 1, stdout: 'unjudged\n' });
      expect(broken.stderr).toContain('"plan-not-judgeable"');
    },
  );

  (python ? it : it.skip)('check_plan.py: two guests, the second of them remote', async () => {
    const { code, stdout } = await run(
      'python3',
      [join(root, 'examples', 'api', 'check_plan.py')],
      {
        ZONEWISE_URL: url,
      },
    );
    expect(code).toBe(2);
    expect(stdout).toMatch(/^ZW004 error web1 [^]*ZW004 error web2 [^]*\nfail\n$/);
  });
});
