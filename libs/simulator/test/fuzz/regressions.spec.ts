/** What the long comparison found once: the machine and the operations that it printed, one file of `found/` each. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineConfig, MachineOp } from '../machine';
import { productionMachine } from '../production-machine';
import { report } from './compare';
import { runBoth } from './harness';

interface Found {
  title: string;
  config: MachineConfig;
  ops: MachineOp[];
}

const folder = join(__dirname, 'found');
const found = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Found,
);

describe('once different', () => {
  it.each(found)('$title', ({ config, ops }) => {
    const difference = runBoth(productionMachine, { config, ops });
    expect(difference && report(difference, 'simulator', 'reference')).toBeNull();
  });
});
