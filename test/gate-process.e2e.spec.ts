import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GateVerdict } from '@zonewise/plan';

const ROOT = join(__dirname, '..');
const MAIN = join(ROOT, 'apps', 'cli', 'src', 'main.ts');

/** The command in a process of its own. */
function zonewise(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const command = ['-r', '@swc-node/register', MAIN, ...args];
  return spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' });
}

it('a verdict is the same, bit for bit, whichever process finds it', () => {
  const plan = 'examples/plans/pass-migration.yaml';
  const run = () => zonewise('gate', plan, '--output', 'json', '--today', '2027-01-01');
  const [first, second] = [run(), run()];
  expect([first.status, first.stderr]).toEqual([0, '']);
  expect(second).toEqual({ ...first, pid: expect.any(Number) });
  const { planSha256, modelVersion, seed, today } = JSON.parse(first.stdout) as GateVerdict;
  expect(planSha256).toMatch(/^[0-9a-f]{64}$/);
  expect([modelVersion, seed, today]).toEqual(['0.1.0', 1, '2027-01-01']);
});

it('exit codes of the process: 2 where a plan fails, 1 where it cannot be judged or asked for', () => {
  expect(zonewise('gate', 'examples/plans/fail-host-lost.yaml').status).toBe(2);
  expect(zonewise('gate', 'examples/plans/none.yaml').status).toBe(1);
  const unknown = zonewise('gate', 'examples/plan.yaml', '--outptu', 'json');
  expect([unknown.status, unknown.stderr]).toEqual([1, expect.stringContaining('--output')]);
});

it('waivers expire: the plan passes on their last day and fails on the next', () => {
  const on = (day: string) =>
    zonewise('gate', 'examples/plans/pass-waived.yaml', '--output', 'json', '--today', day);
  const [last, after] = [on('2099-12-31'), on('2100-01-01')];
  expect([last.status, after.status]).toEqual([0, 2]);
  const codes = ({ stdout }: { stdout: string }) =>
    (JSON.parse(stdout) as GateVerdict).findings.map(({ code }) => code);
  expect(codes(after).length).toBeGreaterThan(0);
});

it('help of every command has an example of it, with files that are there', () => {
  const { stdout } = zonewise('--help');
  const list = stdout.slice(stdout.indexOf('Commands:'));
  const names = [...list.matchAll(/^  ([a-z]+) /gm)].flatMap(([, name]) => name ?? []);
  const commands = names.filter((name) => name !== 'help');
  expect(commands.length).toBeGreaterThan(7);
  for (const name of commands) {
    const help = zonewise(name, '--help');
    expect([name, help.status]).toEqual([name, 0]);
    const [, examples = ''] = help.stdout.split(/^Examples?:\n/m);
    expect(examples).toMatch(new RegExp(`^  (.*; )?zonewise ${name} `, 'm'));
    const files = examples.match(/examples\/[\w./-]+/g) ?? [];
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  }
});

it("headroom's example answers", () => {
  const [, plan = ''] =
    /^  zonewise headroom (\S+)/m.exec(zonewise('headroom', '--help').stdout) ?? [];
  const { status, stdout } = zonewise('headroom', plan);
  expect(status).toBe(0);
  expect((JSON.parse(stdout) as { items: object[] }).items).toHaveLength(2);
});

it('help names every command', () => {
  const { status, stdout } = zonewise('--help');
  expect(status).toBe(0);
  for (const name of ['gate', 'simulate', 'advise', 'headroom', 'import', 'diagnose', 'serve']) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  }
});
