/** The examples for build systems are read as those systems read them, and their commands run in a repository. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseDocument } from 'yaml';
import type { Json } from './support/client';

const ROOT = join(__dirname, '..');
const CI = join(ROOT, 'examples', 'ci');
const PLANS = join('examples', 'plans');
/** Few plans are enough: another test judges all of them. */
const KEPT = ['pass-two-hosts.yaml', 'pass-waived.yaml', 'fail-node-full.yaml'];
const CHANGED = join(PLANS, 'pass-two-hosts.yaml');

/** A command with what its system adds to the environment. */
interface Step {
  run: string;
  env?: Record<string, string>;
}

const textOf = (name: string): string => readFileSync(join(CI, name), 'utf8');

function yamlOf(name: string): Json {
  const document = parseDocument(textOf(name), { prettyErrors: true });
  expect([document.errors, document.warnings]).toEqual([[], []]);
  return document.toJS();
}

/** A declarative Jenkinsfile as a tree of blocks; comments and the insides of strings are no syntax. */
interface Block {
  name: string;
  steps: { name: string; text: string }[];
  blocks: Block[];
}

function jenkinsfile(text: string): Block {
  const top: Block = { name: '', steps: [], blocks: [] };
  const open = [top];
  for (const line of text.split('\n').map((one) => one.trim())) {
    const inner = open.at(-1)!;
    const block = /^([a-z]+)(?:\('([^']*)'\))? \{$/.exec(line);
    const step = /^([A-Za-z]+) (?:[a-z]+: )?'((?:[^'\\]|\\.)*)'(?:, [A-Za-z]+: \w+)*$/.exec(line);
    if (line === '' || line.startsWith('//') || line === 'agent any') continue;
    else if (line === '}') open.pop();
    else if (block) {
      const next = { name: block[1]!, steps: [], blocks: [] };
      inner.blocks.push(next);
      open.push(next);
    } else if (step) inner.steps.push({ name: step[1]!, text: step[2]! });
    else throw new Error(`Jenkinsfile: ${line}`);
    if (open.length === 0) throw new Error('Jenkinsfile: a brace too many');
  }
  if (open.length > 1) throw new Error('Jenkinsfile: a brace is not closed');
  return top;
}

const inside = (block: Block, name: string): Block[] => [
  ...(block.name === name ? [block] : []),
  ...block.blocks.flatMap((each) => inside(each, name)),
];

// A dozen processes that each load the command from source.
jest.setTimeout(180_000);

describe('examples/ci', () => {
  let folder: string;
  let base: string;

  const git = (...args: string[]): string => {
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
    return execFileSync('git', ['-C', folder, ...who, ...args], { encoding: 'utf8' }).trim();
  };

  /** A repository with plans, in which `npx zonewise` is the command as it is in the source. */
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-ci-'));
    for (const name of KEPT) {
      cpSync(join(ROOT, PLANS, name), join(folder, PLANS, name), { recursive: true });
    }
    const command = join(folder, 'node_modules', '.bin', 'zonewise');
    mkdirSync(dirname(command), { recursive: true });
    const register = require.resolve('@swc-node/register');
    const main = join(ROOT, 'apps', 'cli', 'src', 'main.ts');
    writeFileSync(
      command,
      `#!/bin/sh\nexec '${process.execPath}' -r '${register}' '${main}' "$@"\n`,
    );
    chmodSync(command, 0o755);
    writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
    writeFileSync(join(folder, '.gitignore'), 'node_modules/\nout/\n');
    git('init', '-q');
    git('add', '.');
    git('commit', '-q', '-m', 'plans that hold');
    base = git('rev-parse', 'HEAD');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function run({ run: command, env = {} }: Step): { code: number | null; stderr: string } {
    const { status, stderr } = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', command], {
      cwd: folder,
      encoding: 'utf8',
      // npm may have something to say about the machine's settings.
      env: { ...process.env, npm_config_loglevel: 'error', ...source, ...env },
    });
    return { code: status, stderr };
  }

  /** A change that a reviewer would want to see: the plan's guests do not fit their hosts any more. */
  function breakPlan(): void {
    const path = join(folder, CHANGED);
    const text = readFileSync(path, 'utf8');
    const larger = text.replace(
      /memoryMib: (\d+)/g,
      (_all, mib) => `memoryMib: ${Number(mib) * 9}`,
    );
    expect(larger).not.toBe(text);
    writeFileSync(path, larger);
    git('commit', '-q', '-a', '-m', 'larger guests');
  }

  const out = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const source = { TS_NODE_PROJECT: join(ROOT, 'tsconfig.json') };
  const compared = /Against the baseline: pass -> (pass|fail)/;

  it('has one for each system', () => {
    expect(readdirSync(CI).sort()).toEqual([
      ...['Jenkinsfile', 'github-actions.yml', 'gitlab-ci.yml', 'pre-commit-config.yaml'],
    ]);
  });

  describe('github-actions.yml', () => {
    const steps = (): (Step & { if?: string })[] =>
      yamlOf('github-actions.yml').jobs.gate.steps.flatMap((step: Json) => {
        const env: Record<string, string> = { GITHUB_STEP_SUMMARY: join(folder, 'summary.md') };
        for (const [name, value] of Object.entries<string>(step.env ?? {})) {
          env[name] = value.replace('${{ github.event.pull_request.base.sha }}', base);
        }
        return step.run === undefined ? [] : [{ run: step.run, env, if: step.if }];
      });

    it('is a workflow: every step runs or uses something, and nothing is left to be filled in', () => {
      const { on, permissions, jobs } = yamlOf('github-actions.yml');
      expect([on, permissions['security-events']]).toEqual(['pull_request', 'write']);
      expect(jobs.gate['runs-on']).toEqual(expect.any(String));
      for (const step of jobs.gate.steps) {
        expect([step.run, step.uses].filter((one) => one !== undefined)).toHaveLength(1);
      }
      const used = jobs.gate.steps.map(({ uses }: Json) => uses ?? '').join(' ');
      expect(used).toMatch(/actions\/checkout@v\d+ .*setup-node@v\d+ .*upload-sarif@v\d+/);
      // The commit to compare with has to be in the clone.
      expect(jobs.gate.steps[0].with['fetch-depth']).toBe(0);
      const uploaded = jobs.gate.steps.at(-1).with.sarif_file;
      expect(steps().some(({ run: command }) => command.includes(`--out ${uploaded}`))).toBe(true);
      for (const { run: command, env } of steps()) {
        expect(command + JSON.stringify(env)).not.toContain('${{');
      }
    });

    const all = (code: number): void =>
      expect(steps().map((step) => run(step))).toEqual(steps().map(() => ({ code, stderr: '' })));

    it('passes plans that hold, in every step', () => {
      all(0);
      expect(out('summary.md').match(compared)?.[1]).toBe('pass');
      // What is found in them is waived.
      const { results } = JSON.parse(out('out/gate.sarif')).runs[0];
      expect(results.filter(({ suppressions = [] }: Json) => suppressions.length === 0)).toEqual(
        [],
      );
    });

    it('fails those of a change that do not, and says what it makes worse and where', () => {
      breakPlan();
      all(2);
      // Steps behind the first have to run all the same.
      expect(steps().map((step) => step.if)).toEqual([undefined, 'always()', 'always()']);
      expect(out('summary.md').match(compared)?.[1]).toBe('fail');
      expect(out('summary.md')).toMatch(/^\| kvm1 \| worse \| pass -> fail/m);
      const log = JSON.parse(out('out/gate.sarif'));
      expect(log.version).toBe('2.1.0');
      const uris = log.runs[0].results.map(
        ({ locations }: Json) => locations[0].physicalLocation.artifactLocation.uri,
      );
      expect(uris).toContain(CHANGED);
    });
  });

  describe('gitlab-ci.yml', () => {
    it('is a job for merge requests whose reports are those that its commands write', () => {
      const { 'packing-plans': job } = yamlOf('gitlab-ci.yml');
      expect(job.rules).toEqual([{ if: '$CI_PIPELINE_SOURCE == "merge_request_event"' }]);
      expect(job.variables.GIT_DEPTH).toBe('0');
      expect(job.artifacts.when).toBe('always');
      const env = { CI_MERGE_REQUEST_DIFF_BASE_SHA: base };
      const all = (code: number) => {
        for (const command of job.script)
          expect(run({ run: command, env })).toEqual({ code, stderr: '' });
        // What it ends with does not decide about the job.
        for (const command of job.after_script) run({ run: command, env });
      };
      all(0);
      expect(out(job.artifacts.reports.junit)).toContain('failures="0"');
      const [markdown] = job.artifacts.paths;
      expect(out(markdown).match(compared)?.[1]).toBe('pass');
      breakPlan();
      all(2);
      expect(out(job.artifacts.reports.junit)).toMatch(/failures="[1-9]/);
      expect(out(markdown).match(compared)?.[1]).toBe('fail');
    });
  });

  describe('Jenkinsfile', () => {
    const pipeline = (): Block => jenkinsfile(textOf('Jenkinsfile'));
    const shells = (blocks: Block[]): string[] =>
      blocks.flatMap(({ steps }) =>
        steps.flatMap(({ name, text }) => (name === 'sh' ? [text] : [])),
      );

    /** Runs the stages up to the first command that fails, and what is to be done then, as Jenkins does. */
    function build(): number {
      const failed = (block: string): number => {
        for (const command of shells(inside(pipeline(), block))) {
          const { code, stderr } = run({ run: command });
          expect(stderr).toBe('');
          if (code !== 0) return code ?? -1;
        }
        return 0;
      };
      const ended = failed('steps');
      expect(failed('always')).toBe(0);
      return ended === 0 ? failed('success') : ended;
    }

    it('publishes what its steps write, and compares with the last build that passed', () => {
      const [always] = inside(pipeline(), 'always');
      const published = always!.steps.filter(({ name }) => name !== 'sh');
      expect(published.map(({ name, text }) => `${name} ${text}`)).toEqual([
        ...['junit out/gate.xml', 'archiveArtifacts out/gate.md'],
      ]);
      expect(build()).toBe(0);
      expect(out('out/gate.xml')).toContain('failures="0"');
      // Of the first build there is nothing to compare with.
      expect(existsSync(join(folder, 'out/gate.md'))).toBe(false);
      const passed = out('out/passed.json');
      breakPlan();
      expect(build()).toBe(2);
      expect(out('out/gate.xml')).toMatch(/failures="[1-9]/);
      expect(out('out/gate.md').match(compared)?.[1]).toBe('fail');
      expect(out('out/passed.json')).toBe(passed);
    });

    it('the reader refuses what is no pipeline', () => {
      expect(inside(pipeline(), 'stage')).toHaveLength(1);
      const text = textOf('Jenkinsfile');
      expect(() => jenkinsfile(text.replace("out/gate.xml'", 'out/gate.xml'))).toThrow(
        'Jenkinsfile',
      );
      expect(() => jenkinsfile(`${text}}`)).toThrow('too many');
      expect(() => jenkinsfile(text.replace(/\}\s*$/, ''))).toThrow('not closed');
    });
  });

  describe('pre-commit-config.yaml', () => {
    it('judges the plans that are staged, and no others', () => {
      const { repos } = yamlOf('pre-commit-config.yaml');
      const [hook, ...others] = repos.flatMap(({ hooks }: Json) => hooks);
      expect(others).toEqual([]);
      expect(hook).toMatchObject({ id: expect.any(String), language: 'system' });
      expect(repos[0].repo).toBe('local');
      /** What pre-commit does: names that match `files` behind the entry; without one the hook is skipped. */
      const commit = () => {
        const staged = git('diff', '--cached', '--name-only', '--diff-filter=ACMRT').split('\n');
        const names = staged.filter((name) => new RegExp(hook.files).test(name));
        if (names.length === 0) return { names };
        const quoted = names.map((name) => `'${name}'`).join(' ');
        return { names, ...run({ run: `${hook.entry} ${quoted}` }) };
      };
      const append = (name: string, text: string) => {
        writeFileSync(join(folder, name), out(name) + text);
        git('add', name);
      };
      // A plan that is meant to fail, and what is no plan, is no business of the hook.
      append(join(PLANS, 'fail-node-full.yaml'), '# more\n');
      append('package.json', '\n');
      expect(commit()).toEqual({ names: [] });
      append(CHANGED, '# more\n');
      append(join(PLANS, 'pass-waived.yaml'), '# more\n');
      const names = [CHANGED, join(PLANS, 'pass-waived.yaml')];
      expect(commit()).toEqual({ names, code: 0, stderr: '' });
      append(join(PLANS, 'pass-waived.yaml'), 'waiver: 1\n');
      expect(commit()).toMatchObject({
        ...{ names, code: 1 },
        stderr: expect.stringMatching(/pass-waived\.yaml:\d+:1: \/waiver: .*did you mean waivers/),
      });
      git('checkout', '-q', 'HEAD', '--', '.');
      breakPlan();
      git('reset', '-q', '--soft', base);
      expect(commit()).toMatchObject({ names: [CHANGED], code: 2 });
    });
  });
});
