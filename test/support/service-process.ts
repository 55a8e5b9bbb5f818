import { ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = join(__dirname, '../..');

/** The real process, from its sources, in no environment but this one. */
export function startProcess(
  env: Record<string, string>,
  options: { command?: string[]; stderr?: 'inherit' | 'pipe' } = {},
): ChildProcess {
  const { command = ['apps/api/src/main.ts'], stderr = 'inherit' } = options;
  return spawn(process.execPath, ['-r', '@swc-node/register', ...command], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', stderr],
  });
}

/** The address that a starting service prints. What it prints later is not read. */
export async function addressOf({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('The process has no output.');
  for await (const line of createInterface({ input: stdout })) {
    const { msg, address } = JSON.parse(line) as { msg?: string; address?: string };
    if (msg === 'listening' && address !== undefined) {
      stdout.resume();
      return address;
    }
  }
  throw new Error('The process ended without listening.');
}
