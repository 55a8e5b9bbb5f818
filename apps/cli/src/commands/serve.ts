import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../version';

export interface ServeOptions {
  host?: string;
  port?: string;
  database?: string;
}

/** The service's entry: compiled, or the source where this file runs from source. */
export function serviceArguments(): string[] {
  const root = packageRoot();
  return __filename.endsWith('.ts')
    ? ['-r', '@swc-node/register', join(root, 'apps', 'api', 'src', 'main.ts')]
    : [join(root, 'dist', 'apps', 'api', 'src', 'main.js')];
}

/** Runs the HTTP service until it is told to stop; options go before the environment. */
export function serve({ host, port, database }: ServeOptions = {}): Promise<number> {
  const env = {
    ...process.env,
    ...(host === undefined ? {} : { HOST: host }),
    ...(port === undefined ? {} : { PORT: port }),
    ...(database === undefined ? {} : { DATABASE_URL: database }),
  };
  const child = spawn(process.execPath, serviceArguments(), { env, stdio: 'inherit' });
  const stop = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
