/**
 * Packs the package as `npm pack` does and uses it where there is no checkout: only what is in the archive, and only the packages
 * that an installation without development brings.
 *
 * Plain Node like `run.mjs`; expects the command to be built.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What a call of the packed command must end with: 0 pass, 2 gate failed. */
const CALLS = [
  { words: ['--help'], status: 0 },
  { words: ['gate', 'examples/plans/pass-migration.yaml'], status: 0 },
  { words: ['gate', 'examples/plans/fail-host-lost.yaml'], status: 2 },
  { words: ['gate', '--explain', 'ZW001'], status: 0 },
];

/** Folders of a checkout that no installed command needs. */
const SOURCES = /^(apps|libs|migrations|scripts|test|out|node_modules)\//;

/**
 * @param {string} root folder of the checkout
 * @returns {number} 0, or 1 after saying what is wrong
 */
export function checkPackage(root) {
  const folder = mkdtempSync(join(tmpdir(), 'zonewise-pack-'));
  try {
    const packed = execFileSync(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', folder],
      { cwd: root, encoding: 'utf8' },
    );
    const [{ filename, files }] = JSON.parse(packed);
    const sources = files.map(({ path }) => path).filter((path) => SOURCES.test(path));
    if (sources.length > 0) return wrong(`holds sources: ${sources.slice(0, 3).join(', ')}`);
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder]);
    const installed = join(folder, 'package');
    linkDependencies(root, installed);
    for (const { words, status } of CALLS) {
      const call = spawnSync(process.execPath, [join(installed, 'bin', 'zonewise.js'), ...words], {
        cwd: installed,
        encoding: 'utf8',
      });
      if (call.status !== status) {
        return wrong(
          `zonewise ${words.join(' ')}: status ${call.status} instead of ${status}\n${call.stderr}`,
        );
      }
    }
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts links to every package that is not for development only where the installed command looks for them. */
function linkDependencies(root, installed) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, { dev, devOptional }] of Object.entries(packages)) {
    const isTop = path.startsWith('node_modules/') && !path.includes('/node_modules/');
    if (!isTop || dev === true || devOptional === true) continue;
    mkdirSync(dirname(join(installed, path)), { recursive: true });
    symlinkSync(join(root, path), join(installed, path), 'junction');
  }
}

function wrong(what) {
  console.error(`the package ${what}`);
  return 1;
}
