/** The recorded host of examples/, read and printed again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importHost } from '../import-host';
import { hostTextsOf } from '../text-files';
import {
  carriedCounts,
  printBuddyinfo,
  printedState,
  printMeminfo,
  printNodeMeminfo,
  printNodeNumastat,
  printPagetypeinfo,
  printVmstat,
  printZoneinfo,
} from '.';
import { snapshotOf } from './test/hosts';

const FOLDER = join(__dirname, '../../../../examples/host');
const recorded = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

/** Node 1's 384 huge pages are no part of a host model: they belong to its guest. */
const ANON_HUGEPAGES = new Map([[1, 384]]);

const texts = hostTextsOf(readdirSync(FOLDER), recorded);
const imported = importHost(texts);
if (!imported.ok) throw new Error('examples/host cannot be imported');
const { model } = imported.value;
const snapshot = snapshotOf(model);
for (const node of snapshot.nodes)
  node.anonTransparentHugepages = ANON_HUGEPAGES.get(node.nodeId) ?? 0;
const state = printedState({ host: model, snapshot, carried: carriedCounts(texts) });

describe('a recorded host printed again', () => {
  it.each([
    ['zoneinfo', printZoneinfo],
    ['buddyinfo', printBuddyinfo],
    ['pagetypeinfo', printPagetypeinfo],
    ['vmstat', printVmstat],
    ['meminfo', printMeminfo],
  ])('%s is the recorded text, byte for byte', (file, print) => {
    expect(print(state)).toBe(recorded(file));
  });

  it.each(state.nodes)('node$nodeId has the recorded texts', (node) => {
    expect(printNodeMeminfo(node)).toBe(recorded(`node${node.nodeId}.meminfo`));
    expect(printNodeNumastat(node)).toBe(recorded(`node${node.nodeId}.numastat`));
  });

  it('without its texts has 0 where the model knows nothing, and the lines of a Debian kernel', () => {
    const bare = printedState({ host: model, snapshot });
    const meminfo = printMeminfo(bare);
    expect(meminfo).toContain('KernelStack:           0 kB\n');
    expect(meminfo).toContain('SwapFree:              0 kB\nZswap:                 0 kB\n');
    expect(meminfo).toContain('Percpu:                0 kB\nHardwareCorrupted:     0 kB\n');
    expect(meminfo).toContain('VmallocTotal:   34359738367 kB\n');
    expect(printVmstat(bare)).toContain('cow_ksm 0\nzswpin 0\nzswpout 0\n');
    expect(printVmstat(bare)).toContain('\npgfault 0\n');
  });
});
