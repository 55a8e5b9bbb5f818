import { existsSync } from 'node:fs';

/** From dist the built file runs in a thread; from the sources (tests, development) the TypeScript one. */
export function threadEntry(path: string): { filename: string; execArgv: string[] } {
  const built = `${path}.js`;
  if (existsSync(built)) return { filename: built, execArgv: [] };
  return { filename: `${path}.ts`, execArgv: ['-r', '@swc-node/register'] };
}

/** Whether the thread runs a built file. */
export function isBuilt({ filename }: { filename: string }): boolean {
  return filename.endsWith('.js');
}
