import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a command has to work in, and what it printed; new for each test. */
export interface Scratch {
  folder: string;
  stdout: string;
  stderr: string;
}

/** Gives each test of the file an empty folder, and keeps what is printed from the terminal. */
export function scratch(): Scratch {
  const its: Scratch = { folder: '', stdout: '', stderr: '' };
  beforeEach(() => {
    Object.assign(its, { stdout: '', stderr: '' });
    its.folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    for (const name of ['stdout', 'stderr'] as const) {
      jest.spyOn(process[name], 'write').mockImplementation((text) => {
        its[name] += String(text);
        return true;
      });
    }
  });
  afterEach(() => {
    jest.restoreAllMocks();
    rmSync(its.folder, { recursive: true, force: true });
  });
  return its;
}
