import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gate, type GateOptions } from '../gate/gate';
import type { Scratch } from './scratch';

/** Writes plans into a test's folder and runs the gate on them, on the first day of 2027 unless told otherwise. */
export function gateRuns(its: Scratch) {
  return {
    write(this: void, name: string, text: string): string {
      const path = join(its.folder, name);
      writeFileSync(path, text);
      return path;
    },
    async run(
      this: void,
      plans: string[],
      options: GateOptions,
    ): Promise<{ code: number; text: string }> {
      its.stdout = '';
      const code = await gate(plans, { today: '2027-01-01', ...options });
      return { code, text: its.stdout };
    },
  };
}
