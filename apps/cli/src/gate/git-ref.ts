import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import type { GateVerdict } from '@zonewise/plan';
import { fail } from './plan-folder';
import type { PlanReport } from './report';

const MAX_ARCHIVE_BYTES = 1024 * 1024 * 1024;

function git(folder: string, args: string[]): Buffer {
  try {
    return execFileSync('git', ['-C', folder, ...args], {
      maxBuffer: MAX_ARCHIVE_BYTES,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    const said = stderr?.toString('utf8').trim().split('\n')[0];
    return fail('git-failed', '--against', said === undefined || said === '' ? message : said);
  }
}

/**
 * Judges plans as they were in a commit, with the files that they named then. The work tree is left alone:
 * the commit is unpacked beside it.
 * @param judge judges the plan at a path, below a root where one is given
 * @returns verdicts by plan path; a plan that was not there or could not be judged has none
 * @throws PlanFileError when git does not know the commit
 */
export async function verdictsAt(
  ref: string,
  planPaths: string[],
  root: string | undefined,
  judge: (path: string, root: string | undefined) => Promise<PlanReport>,
): Promise<Map<string, GateVerdict>> {
  const verdicts = new Map<string, GateVerdict>();
  const copies = new Map<string, string>();
  try {
    for (const path of planPaths) {
      const folder = realpathSync(dirname(resolve(path)));
      const top = git(folder, ['rev-parse', '--show-toplevel']).toString('utf8').trim();
      const copy = copies.get(top) ?? unpack(top, ref);
      copies.set(top, copy);
      const then = (name: string): string => join(copy, relative(top, realpathSync(resolve(name))));
      if (!existsSync(then(path))) continue;
      const report = await judge(then(path), root === undefined ? undefined : then(root));
      if ('verdict' in report) verdicts.set(path, withoutFiles(report.verdict));
      else process.stderr.write(`zonewise: ${path} at ${ref} could not be judged: not compared\n`);
    }
  } finally {
    for (const copy of copies.values()) rmSync(copy, { recursive: true, force: true });
  }
  return verdicts;
}

function unpack(top: string, ref: string): string {
  const commit = git(top, ['rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`]);
  const archive = git(top, ['archive', '--format=tar', commit.toString('utf8').trim()]);
  const copy = mkdtempSync(join(tmpdir(), 'zonewise-against-'));
  execFileSync('tar', ['-xf', '-', '-C', copy], { input: archive });
  return copy;
}

/** The copies are gone when somebody reads the comparison. */
function withoutFiles(verdict: GateVerdict): GateVerdict {
  const findings = verdict.findings.map((finding) => {
    const { path, line, column } = finding.place;
    return { ...finding, place: { path, line, column } };
  });
  return { ...verdict, findings };
}
