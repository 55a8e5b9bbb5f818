import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Root of the installed package: the nearest folder above with our package.json. */
export function packageRoot(): string {
  let folder = __dirname;
  for (;;) {
    const parent = join(folder, '..');
    try {
      const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      if ((manifest as { name?: unknown }).name === 'zonewise') return folder;
    } catch {
      // Not this folder; go on upwards.
    }
    if (parent === folder) throw new Error('package.json of zonewise not found');
    folder = parent;
  }
}

export function version(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
