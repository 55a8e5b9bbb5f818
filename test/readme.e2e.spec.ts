import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { demo } from '../apps/cli/src/demo/demo';
import { createTestApp, type TestApp } from './support/app';

const root = join(__dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The fenced block between the markers of that name. */
function block(name: string): string {
  const found = new RegExp(
    `<!-- ${name} -->\\s*\`\`\`\\w+\\n([^]*?)\`\`\`\\s*<!-- /${name} -->`,
  ).exec(readme);
  if (found?.[1] === undefined) throw new Error(`README.md has no block ${name}`);
  return found[1];
}

const hasCurl = (() => {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('README.md', () => {
  it('shows what npm run demo prints (npm run readme brings it up to date)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zonewise-readme-'));
    let printed = '';
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
    const quiet = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      expect(await demo({ keep: false, outFolder: folder })).toBe(0);
    } finally {
      write.mockRestore();
      quiet.mockRestore();
    }
    expect(readdirSync(folder)).toContain('apply.sh');
    rmSync(folder, { recursive: true, force: true });
    expect(printed.replace(folder, 'out')).toBe(block('demo'));
  });

  if (!hasCurl) console.log('The curl tour of README.md is not run: curl is not installed.');
  const run = hasCurl ? describe : describe.skip;
  run('its tour with curl', () => {
    let test: TestApp;
    let address: string;

    beforeAll(async () => {
      test = await createTestApp();
      await test.app.listen(0, '127.0.0.1');
      const { port } = test.server.address() as AddressInfo;
      address = `http://127.0.0.1:${port}/v1`;
    });
    afterAll(() => test.close());

    /** Runs a shell block as the reader would, against the test's service. */
    async function shell(script: string): Promise<string> {
      const moved = script.replace(/^API=.*$/m, '');
      const { stdout } = await promisify(execFile)('bash', ['-ec', `API=${address}\n${moved}`], {
        cwd: root,
      });
      return stdout;
    }

    it('works as it stands', async () => {
      const printed = await shell(block('tour'));
      expect(printed).toContain("name: 'web1'");
      expect(printed.trimEnd().split('\n').at(-1)).toMatch(/\d/);
    });

    it('gets a problem document with line and column for a wrong mode', async () => {
      const problem = JSON.parse(await shell(block('error')));
      expect(problem).toMatchObject({ status: 422, code: expect.any(String) });
      expect(JSON.stringify(problem)).toMatch(/"line":1,"column":\d+/);
    });
  });
});
