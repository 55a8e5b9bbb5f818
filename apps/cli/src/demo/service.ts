import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serviceArguments } from '../commands/serve';

/** How long the service may take from process start to answering its readiness probe. */
const START_LIMIT_MS = 60_000;

export interface RunningService {
  address: string;
  /** Ends the service and removes its temporary database. */
  stop(): Promise<void>;
  /** Resolves when the process has ended, by itself or by a signal. */
  ended: Promise<void>;
}

/**
 * Starts the real service as its own process on a free port with a temporary SQLite file.
 * @throws Error with the service's own output when it does not come up.
 */
export async function startService(): Promise<RunningService> {
  const folder = mkdtempSync(join(tmpdir(), 'zonewise-demo-'));
  const child = spawn(process.execPath, serviceArguments(), {
    env: {
      ...process.env,
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      DATABASE_URL: `sqlite:${join(folder, 'demo.sqlite')}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', () => {
    child.kill('SIGKILL');
    removeFolder();
  });
  const address = await readAddress(child);
  return {
    address,
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      removeFolder();
    },
  };
}

/** The service logs one line with its address once it accepts connections. */
function readAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (reason: string) => {
      clearTimeout(limit);
      child.kill('SIGKILL');
      reject(new Error(`${reason}; it printed:\n${output}`));
    };
    const limit = setTimeout(() => fail('the service did not start in time'), START_LIMIT_MS);
    const read = (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const found = /https?:\/\/[\w.:[\]-]+:\d+/.exec(output);
      if (!found) return;
      clearTimeout(limit);
      resolve(found[0]);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => fail(`the service ended with exit code ${String(code)}`));
  });
}
