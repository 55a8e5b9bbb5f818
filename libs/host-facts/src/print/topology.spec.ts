import { exampleTexts, fixture, imported } from '../../test/fixtures';
import {
  printExtfragIndex,
  printFallbackOrder,
  printNodeStates,
  printUnusableIndex,
  printZoneRanges,
} from './topology';
import { smallHost, smallNode, smallZone } from './test/hosts';

const zoneWith = (freeBlocks: number[]) => {
  const zone = smallZone('Normal');
  return { ...zone, freeBlocks: [...freeBlocks, ...new Array<number>(11).fill(0)].slice(0, 11) };
};
const recorded = () => imported(exampleTexts()).model;

describe('the layout of a host, as a kernel prints it', () => {
  it('extfrag_index and unusable_index have a line per populated zone, with signs on both parts', () => {
    const host = smallHost([smallNode(0, [zoneWith([13])]), smallNode(3, [zoneWith([0, 0, 1])])]);
    // 13 single pages, order 1: 1000 - (1000 + 6500) / 13 = 424. One block of 4: memory is short.
    expect(printExtfragIndex(host)).toBe(
      'Node 0, zone   Normal -1.000  0.424  0.674  0.799  0.861  0.892  0.908  0.916  0.920  0.922  0.923 \n' +
        'Node 3, zone   Normal -1.000 -1.000 -1.000  0.-500  0.-250  0.-125  0.-62  0.-31  0.-15  0.-07  0.-03 \n',
    );
    expect(printUnusableIndex(host)).toBe(
      'Node 0, zone   Normal 0.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 \n' +
        'Node 3, zone   Normal 0.000 0.000 0.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 1.000 \n',
    );
  });

  it('zonelists are announced nearest node first; equals by number from the node on', () => {
    expect(printFallbackOrder(recorded())).toBe(
      'Fallback order for Node 0: 0 1 \nFallback order for Node 1: 1 0 \n',
    );
    const far = imported({ numactlHardware: fixture('numactl-4nodes.txt') }).model;
    expect(printFallbackOrder(far)).toBe(
      [
        'Fallback order for Node 0: 0 1 2 3 \n',
        'Fallback order for Node 1: 1 0 2 3 \n',
        'Fallback order for Node 2: 2 3 1 0 \n',
        'Fallback order for Node 3: 3 2 1 0 \n',
      ].join(''),
    );
  });

  it('node states are lists of ranges; zone ranges end where memory does', () => {
    const host = smallHost([
      smallNode(0, [smallZone('DMA', { startPfn: 1, spannedPages: 4095 })]),
      smallNode(1, []),
      smallNode(2, [smallZone('Normal', { startPfn: 1_048_576 })], { cpus: [] }),
    ]);
    expect(printNodeStates(host)).toBe(
      'possible:0-2\nonline:0-2\nhas_normal_memory:0,2\nhas_memory:0,2\nhas_cpu:0\n',
    );
    expect(printZoneRanges(host)).toBe(
      [
        'Zone ranges:',
        '  DMA      [mem 0x0000000000001000-0x0000000000ffffff]',
        '  DMA32    [mem 0x0000000001000000-0x00000000ffffffff]',
        '  Normal   [mem 0x0000000100000000-0x0000000107ffffff]',
        '  Device   empty',
        'Initmem setup node 0 [mem 0x0000000000001000-0x0000000000ffffff]',
        'Initmem setup node 1 as memoryless',
        'Initmem setup node 2 [mem 0x0000000100000000-0x0000000107ffffff]',
        '',
      ].join('\n'),
    );
  });
});
