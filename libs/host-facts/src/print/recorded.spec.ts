/** Recorded hosts of several kernels, read and printed again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importHost } from '../import-host';
import { hostTextsOf } from '../text-files';
import {
  carriedCounts,
  printBuddyinfo,
  printedState,
  printExtfragIndex,
  printFallbackOrder,
  printMemmap,
  printMeminfo,
  printNodeMeminfo,
  printNodeNumastat,
  printPagetypeinfo,
  printUnusableIndex,
  printVmstat,
  printZoneinfo,
  printZoneRanges,
} from '.';
import { snapshotOf } from './test/hosts';

const EXAMPLE = join(__dirname, '../../../../examples/host');
const FIXTURES = join(__dirname, '../../test/fixtures');

/** Node 1's 384 huge pages are no part of a host model: they belong to its guest. */
const ANON_HUGEPAGES: Record<string, Map<number, number>> = { [EXAMPLE]: new Map([[1, 384]]) };

function recordedHost(folder: string) {
  const recorded = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const texts = hostTextsOf(readdirSync(folder), recorded);
  const imported = importHost(texts);
  if (!imported.ok) throw new Error(`${folder} cannot be imported`);
  const { model } = imported.value;
  const snapshot = snapshotOf(model);
  for (const node of snapshot.nodes)
    node.anonTransparentHugepages = ANON_HUGEPAGES[folder]?.get(node.nodeId) ?? 0;
  const state = printedState({ host: model, snapshot, carried: carriedCounts(texts) });
  return { model, snapshot, state, recorded };
}

const HOSTS = [
  ['6.1, two nodes in use', EXAMPLE],
  ['5.10', join(FIXTURES, '5.10-L07-4n-512-dist')],
  ['6.1, a node without memory', join(FIXTURES, '6.1-L08-2n-memless1')],
  ['6.1, a node without CPUs', join(FIXTURES, '6.1-L09-2n-cpuless1')],
  ['6.12', join(FIXTURES, '6.12-L07-4n-512-dist')],
] as const;

/** Lines about what changed while the texts of a host were read one after the other. */
const MOVED: Record<string, RegExp> = {
  buddyinfo: /^Node 0, zone +Normal/,
  pagetypeinfo: /^Node +0, zone +Normal, type +Movable/,
  'node0.numastat': /^(numa_hit|local_node) /,
};

describe.each(HOSTS)('a recorded host of %s printed again', (name, folder) => {
  const { state, recorded } = recordedHost(folder);
  const settled = (file: string, text: string): string =>
    text
      .split('\n')
      .filter((line) => name !== '5.10' || MOVED[file]?.test(line) !== true)
      .join('\n');
  const isRecorded = (file: string, text: string): void =>
    expect(settled(file, text)).toBe(settled(file, recorded(file)));

  it.each([
    ['zoneinfo', printZoneinfo],
    ['buddyinfo', printBuddyinfo],
    ['pagetypeinfo', printPagetypeinfo],
    ['vmstat', printVmstat],
    ['meminfo', printMeminfo],
  ])('%s is the recorded text, byte for byte', (file, print) => {
    isRecorded(file, print(state));
  });

  it.each(state.nodes)('node$nodeId has the recorded texts', (node) => {
    isRecorded(`node${node.nodeId}.meminfo`, printNodeMeminfo(node, state));
    isRecorded(`node${node.nodeId}.numastat`, printNodeNumastat(node));
  });
});

/** Lines that a kernel has or not by how it was built; Debian's kernels for clouds leave drivers out. */
const BUILT_IN = /^(HardwareCorrupted|Zswap|Zswapped|DirectMap1G|zswpin|zswpout)$/;

describe.each(HOSTS)('without its texts, a host of %s', (_, folder) => {
  const { model, snapshot, recorded } = recordedHost(folder);
  const bare = printedState({ host: model, snapshot });
  const namesIn = (text: string): string[] =>
    text
      .split('\n')
      .map((line) => /^(?:Node \d+ )?\s*([A-Za-z][A-Za-z0-9_()]*)/.exec(line)?.[1] ?? '')
      .filter((name) => !BUILT_IN.test(name));

  it.each([
    ['zoneinfo', printZoneinfo],
    ['vmstat', printVmstat],
    ['meminfo', printMeminfo],
    ['pagetypeinfo', printPagetypeinfo],
    ['node0.meminfo', (state: typeof bare) => printNodeMeminfo(state.nodes[0]!, state)],
  ])('has the lines of its kernel in %s', (file, print) => {
    expect(namesIn(print(bare))).toEqual(namesIn(recorded(file)));
  });
});

describe.each(HOSTS.slice(1))('the boot log of a host of %s', (name, folder) => {
  const { model, recorded } = recordedHost(folder);
  const said = recorded('bootlog')
    .replace(/^[^;]*;/gm, '')
    .split('\n');
  const saidLike = (pattern: RegExp): string =>
    said
      .filter((line) => pattern.test(line))
      .map((line) => `${line}\n`)
      .join('');

  it('has the zone ranges and spans of nodes that are printed', () => {
    const pattern = /^(Zone ranges|Initmem setup)|^ {2}\S+ +(empty|\[mem )/;
    expect(printZoneRanges(model)).toBe(saidLike(pattern));
  });

  // 5.10 does not announce its zonelists, later ones the sizes of zones at a level that was off.
  if (name === '5.10') {
    it('has the pages and memory maps of zones that are printed', () => {
      expect(printMemmap(model)).toBe(
        saidLike(/^On node|zone: \d+ pages( used for memmap|, LIFO)/),
      );
    });
  } else {
    it('has the zonelists that are printed', () => {
      expect(printFallbackOrder(model)).toBe(saidLike(/^Fallback order/));
    });
  }
});

describe('the layout of a host', () => {
  it.each(HOSTS.slice(2))('%s has the recorded indexes of fragmentation', (_, folder) => {
    const { model, recorded } = recordedHost(folder);
    expect(printExtfragIndex(model)).toBe(recorded('extfrag_index'));
    expect(printUnusableIndex(model)).toBe(recorded('unusable_index'));
  });

  it('without texts has 0 where the model knows nothing, and the lines of a Debian kernel', () => {
    const { model, snapshot } = recordedHost(EXAMPLE);
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
