#!/usr/bin/env node
/**
 * The entry of every npm script: makes sure that what the task needs is there, then runs it.
 *
 * Plain Node without packages, because on a fresh clone nothing is installed yet.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage } from './check-package.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [task, ...args] = process.argv.slice(2);
const isWindows = process.platform === 'win32';

const BUILD_INPUTS = [
  'apps',
  'libs',
  'migrations',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'nest-cli.json',
];
const BUILT_STAMP = join(root, 'dist', '.inputs-sha256');
const INSTALLED_STAMP = join(root, 'node_modules', '.zonewise-lock-sha256');
const JEST_RESULTS = join(root, 'out', 'jest-results.json');

function run(command, commandArgs, options = {}) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd: root,
    stdio: 'inherit',
    shell: isWindows,
    ...options,
  });
  if (error) {
    console.error(`zonewise: could not run ${command}: ${error.message}`);
    return 1;
  }
  return status ?? 1;
}

/** Runs a tool that is installed in node_modules. */
function tool(name, toolArgs, options) {
  return run(join(root, 'node_modules', '.bin', name), toolArgs, options);
}

function orExit(status) {
  if (status !== 0) process.exit(status);
}

function filesUnder(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => filesUnder(join(path, entry.name)));
}

function sha256Of(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(filesUnder)) {
    hash.update(path.slice(root.length)).update('\0').update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

function stampSays(stamp, wanted) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function ensureNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`zonewise: found Node ${process.versions.node}; Node 20.19 or later is needed.`);
  process.exit(1);
}

function ensureInstalled() {
  const wanted = sha256Of([join(root, 'package-lock.json')]);
  if (stampSays(INSTALLED_STAMP, wanted)) return;
  console.error(
    'zonewise: installing dependencies (npm ci; sqlite3 is compiled, about two minutes)',
  );
  orExit(run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']));
  writeFileSync(INSTALLED_STAMP, wanted);
}

function build() {
  const wanted = sha256Of(BUILD_INPUTS.map((input) => join(root, input)));
  orExit(tool('nest', ['build', 'api']));
  writeFileSync(BUILT_STAMP, wanted);
}

function ensureBuilt() {
  const wanted = sha256Of(BUILD_INPUTS.map((input) => join(root, input)));
  if (stampSays(BUILT_STAMP, wanted)) return;
  console.error('zonewise: building');
  build();
}

function runBuilt(entry, entryArgs) {
  return run(process.execPath, ['--enable-source-maps', join(root, 'dist', entry), ...entryArgs]);
}

function runSource(entry) {
  return run(process.execPath, ['-r', '@swc-node/register', join(root, entry), ...args]);
}

function test() {
  mkdirSync(dirname(JEST_RESULTS), { recursive: true });
  const status = tool('jest', ['--json', '--outputFile', JEST_RESULTS, ...args], {
    // jest prints its report on stderr and, with --json, the whole result on stdout: only the first is for people.
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  testSummary();
  return status;
}

/** Prints the totals of the last test run in the one-line form that build servers read. */
function testSummary() {
  if (!existsSync(JEST_RESULTS)) {
    console.error('zonewise: no test run has left its results yet; run npm test');
    process.exit(1);
  }
  const results = JSON.parse(readFileSync(JEST_RESULTS, 'utf8'));
  const skipped = results.numPendingTests > 0 ? `, ${results.numPendingTests} skipped` : '';
  console.log(
    `Test Suites: ${results.numFailedTestSuites} failed, ${results.numPassedTestSuites} passed, ${results.numTotalTestSuites} total`,
  );
  // A suite that could not even be loaded holds no failed test of its own, so it is counted here.
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  console.log(`${results.numPassedTests} passed, ${failed} failed${skipped}`);
}

function check() {
  const steps = [
    ['format', () => tool('prettier', ['--check', '--log-level', 'warn', '.'])],
    ['lint and import rules', () => tool('eslint', ['--max-warnings', '0', '.'])],
    ['types', () => tool('tsc', ['--noEmit', '-p', 'tsconfig.json'])],
    ['packed command', () => (ensureBuilt(), checkPackage(root))],
  ];
  let worst = 0;
  for (const [name, step] of steps) {
    const status = step();
    console.log(`${status === 0 ? 'ok  ' : 'FAIL'}  ${name}`);
    worst ||= status;
  }
  return worst;
}

/** Puts the real output of commands into README.md and docs/ADVICE.md, between their markers. */
function readme() {
  const path = join(root, 'README.md');
  const outputs = {
    demo: [join(root, 'dist', 'apps', 'cli', 'src', 'main.js'), 'demo'],
    test: [fileURLToPath(import.meta.url), 'test-summary'],
  };
  let text = readFileSync(path, 'utf8');
  for (const [name, command] of Object.entries(outputs)) {
    const { status, stdout } = spawnSync(process.execPath, command, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    orExit(status ?? 1);
    const block = `<!-- ${name} -->\n\`\`\`text\n${stdout.trimEnd()}\n\`\`\`\n<!-- /${name} -->`;
    text = text.replace(new RegExp(`<!-- ${name} -->[^]*<!-- /${name} -->`), () => block);
  }
  writeFileSync(path, text);
  adviceCases();
  return 0;
}

/** Puts what `zonewise advise` prints for the worked cases into docs/ADVICE.md. */
function adviceCases() {
  const path = join(root, 'docs', 'ADVICE.md');
  const main = join(root, 'dist', 'apps', 'cli', 'src', 'main.js');
  const text = readFileSync(path, 'utf8').replace(
    /<!-- advise (.*?) -->[^]*?<!-- \/advise -->/g,
    (_block, words) => {
      const { status, stdout } = spawnSync(
        process.execPath,
        [main, 'advise', ...words.split(' ')],
        { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
      );
      orExit(status ?? 1);
      return `<!-- advise ${words} -->\n\`\`\`text\n${stdout.trimEnd()}\n\`\`\`\n<!-- /advise -->`;
    },
  );
  writeFileSync(path, text);
}

/** Groups of the readers; the others are the simulator's, which says so when a name is wrong. */
const READER_BENCHES = {
  facts: 'libs/host-facts/bench/main.ts',
  xml: 'libs/libvirt-xml/bench/main.ts',
};

function bench() {
  const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : undefined;
  if (Object.hasOwn(READER_BENCHES, only ?? '')) return runSource(READER_BENCHES[only]);
  // The command as it is installed, its start included.
  if (only === 'gate') return (ensureBuilt(), runSource('apps/cli/bench/gate.ts'));
  const status = runSource('libs/simulator/bench/main.ts');
  if (only !== undefined) return status;
  return Object.values(READER_BENCHES).reduce((worst, entry) => runSource(entry) || worst, status);
}

const TASKS = {
  demo: () => (
    ensureInstalled(),
    ensureBuilt(),
    runBuilt('apps/cli/src/main.js', ['demo', ...args])
  ),
  start: () => (ensureInstalled(), ensureBuilt(), runBuilt('apps/api/src/main.js', args)),
  fidelity: () => (
    ensureInstalled(),
    ensureBuilt(),
    runBuilt('apps/cli/src/fidelity/main.js', args)
  ),
  /** Sources that are no part of the service: run as they are. */
  fuzz: () => (ensureInstalled(), runSource('libs/simulator/test/fuzz/long.ts')),
  'fuzz:xml': () => (ensureInstalled(), runSource('libs/libvirt-xml/test/fuzz/long.ts')),
  'fuzz:facts': () => (ensureInstalled(), runSource('libs/host-facts/test/fuzz/long.ts')),
  bench: () => (ensureInstalled(), bench()),
  'bench:advice': () => (ensureInstalled(), runSource('libs/advisor/bench/main.ts')),
  'bench:placement': () => (ensureInstalled(), runSource('libs/placement/bench/main.ts')),
  build: () => (ensureInstalled(), build(), 0),
  /** What `bin/zonewise.js` asks for before it starts. */
  ready: () => (ensureInstalled(), ensureBuilt(), 0),
  test: () => (ensureInstalled(), test()),
  readme: () => (ensureInstalled(), ensureBuilt(), readme()),
  'test-summary': () => (testSummary(), 0),
  check: () => (ensureInstalled(), check()),
  format: () => (ensureInstalled(), tool('prettier', ['--write', '--log-level', 'warn', '.'])),
};

if (!Object.hasOwn(TASKS, task ?? '')) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(TASKS).join(' | ')}`);
  process.exit(1);
}
ensureNode();
process.exit(TASKS[task]());
