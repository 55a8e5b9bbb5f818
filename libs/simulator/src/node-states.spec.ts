import type { ArchitectureZone } from './architecture';
import { isUma, nodeStates } from './node-states';

const node = (nodeId: number, cpus: number[], ...zones: ArchitectureZone[]) => ({
  nodeId,
  cpus,
  zones: zones.map((name) => ({ name, presentPages: 1000 })),
});

describe('node states (T6)', () => {
  it('tells nodes without memory and nodes without CPUs apart', () => {
    const states = nodeStates([
      node(0, [0, 1], 'DMA', 'DMA32', 'Normal'),
      node(1, [2, 3]),
      node(2, [], 'Normal'),
    ]);
    expect(states).toEqual({
      N_POSSIBLE: [0, 1, 2],
      N_ONLINE: [0, 1, 2],
      N_NORMAL_MEMORY: [0, 2],
      N_HIGH_MEMORY: [0, 2],
      N_MEMORY: [0, 2],
      N_CPU: [0, 1],
    });
  });

  it('counts movable memory as memory only, and HighMem as high memory only', () => {
    const states = nodeStates([
      node(0, [0], 'DMA', 'Normal', 'HighMem'),
      node(1, [1], 'HighMem'),
      node(2, [2], 'Movable'),
      node(3, [], 'Device'),
    ]);
    expect(states.N_NORMAL_MEMORY).toEqual([0]);
    expect(states.N_HIGH_MEMORY).toEqual([0, 1]);
    expect(states.N_MEMORY).toEqual([0, 1, 2]);
    expect(states.N_ONLINE).toEqual([0, 1, 2, 3]);
  });

  it('adds nodes that firmware announced to those that are possible', () => {
    const states = nodeStates([node(0, [0], 'Normal')], [0, 1, 5]);
    expect(states.N_POSSIBLE).toEqual([0, 1, 5]);
    expect(states.N_ONLINE).toEqual([0]);
  });

  it('takes a zone without pages for none', () => {
    const empty = { nodeId: 0, cpus: [], zones: [{ name: 'Normal' as const, presentPages: 0 }] };
    expect(nodeStates([empty]).N_MEMORY).toEqual([]);
  });

  it('calls one node UMA (T5)', () => {
    expect(isUma([node(0, [0], 'DMA')])).toBe(true);
    expect(isUma([node(0, [0], 'DMA'), node(1, [1])])).toBe(false);
  });
});
