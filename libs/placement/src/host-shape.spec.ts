import { hostModel, PAGES_PER_GIB } from '../bench/models';
import { hostCapacity, pageTablePages } from './index';

const type = { nodes: 2, cpus: 4, gib: 16 };
const empty = { anonPages: 0, hugePages: 0 };

describe('hostCapacity', () => {
  it('is what is free above low and the reserve, zone by zone', () => {
    const model = hostModel(type, [empty, { anonPages: PAGES_PER_GIB, hugePages: 512 }]);
    const [first, second] = hostCapacity(model);
    const [dma32, normal] = model.nodes[0]!.zones;
    expect(dma32!.protectionPages[3]).toBeGreaterThan(0);
    expect(first!.memoryPages).toBe(
      dma32!.freePages -
        dma32!.lowPages -
        dma32!.protectionPages[3]! +
        (normal!.freePages - normal!.lowPages),
    );
    expect(second!.memoryPages).toBe(14 * PAGES_PER_GIB - model.nodes[1]!.zones[0]!.lowPages);
    expect(second!.hugepages).toEqual([{ sizeKib: 2048, pages: 512 }]);
    expect(second!.vcpus).toBe(4);
    expect(first!.zones.map(({ zone }) => zone)).toEqual(['DMA32', 'Normal']);
  });

  it('counts clean page cache, but not what is dirty, held or kept', () => {
    const model = hostModel(type, [empty, empty]);
    const node = model.nodes[1]!;
    const base = hostCapacity(model)[1]!.memoryPages;
    node.lru = { ...node.lru, inactiveFilePages: 6000, activeFilePages: 4000 };
    node.dirtyPages = 500;
    node.writebackPages = 300;
    node.heldFilePages = 200;
    expect(hostCapacity(model)[1]!.memoryPages).toBe(base + 9000);
    const kept = {
      pageCachePages: 2000,
      reservedPages: 100,
      reservedCpus: 1,
      cpuAllocationRatio: 2.5,
    };
    expect(hostCapacity(model, kept)[1]).toMatchObject({
      memoryPages: base + 6900,
      vcpus: 7,
      reclaimablePages: 7000,
    });
  });

  it('has nothing to give on a node that is below its marks', () => {
    const model = hostModel(type, [empty, { anonPages: 16 * PAGES_PER_GIB - 100, hugePages: 0 }]);
    const node = hostCapacity(model)[1]!;
    expect(node.memoryPages).toBe(0);
    expect(node.zones[0]!.abovePages).toBeLessThan(0);
  });
});

test('a guest takes a table for every 512 pages, and the levels above', () => {
  expect(pageTablePages(0)).toBe(0);
  expect(pageTablePages(512)).toBe(1);
  expect(pageTablePages(513)).toBe(2 + 1);
  expect(pageTablePages(PAGES_PER_GIB)).toBe(512 + 1);
  expect(pageTablePages(4 * PAGES_PER_GIB)).toBe(2048 + 4 + 1);
});
