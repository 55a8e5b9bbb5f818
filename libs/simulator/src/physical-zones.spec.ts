import { architectures } from './architecture';
import { physicalZones } from './physical-zones';

const MIB = 256;
const GIB = 262144;

describe('zones at boot (T7)', () => {
  it('gives DMA and DMA32 to the node with the lowest memory alone', () => {
    const zones = physicalZones(
      [
        { nodeId: 0, startPfn: 1, pages: 3 * GIB - 1 },
        { nodeId: 0, startPfn: 4 * GIB, pages: 13 * GIB },
        { nodeId: 1, startPfn: 17 * GIB, pages: 16 * GIB },
      ],
      architectures['x86-64'],
    );
    expect(zones.map((zone) => [zone.nodeId, zone.zone, zone.startPfn])).toEqual([
      [0, 'DMA', 1],
      [0, 'DMA32', 4096],
      [0, 'Normal', 4 * GIB],
      [1, 'Normal', 17 * GIB],
    ]);
    // The hole below 4 GiB is spanned by DMA32, as /proc/zoneinfo of such machines says: 1044480.
    expect(zones[1]).toMatchObject({ spannedPages: 1044480, presentPages: 3 * GIB - 4096 });
    // Every 64th page of a zone without a large hole is its memmap.
    expect(zones[3]).toMatchObject({
      presentPages: 16 * GIB,
      managedAtMostPages: (16 * GIB * 63) / 64,
    });
  });

  it('are those that a recorded machine printed, from the ranges that its kernel found at boot', () => {
    const ranges = [
      { nodeId: 0, startPfn: 0x1, pages: 0x9e },
      { nodeId: 0, startPfn: 0x100, pages: 0xfedd },
      { nodeId: 0, startPfn: 0x100000, pages: 0x10000 },
      { nodeId: 1, startPfn: 0x110000, pages: 0x20000 },
    ];
    const zones = physicalZones(ranges, architectures['x86-64']);
    expect(
      zones.map((row) => [row.zone, row.startPfn, row.spannedPages, row.presentPages]),
    ).toEqual([
      ['DMA', 1, 4095, 3998],
      ['DMA32', 4096, 1044480, 61405],
      ['Normal', 1048576, 65536, 65536],
      ['Normal', 1114112, 131072, 131072],
    ]);
  });

  it('maps 896 MiB of a 32-bit machine and leaves 3200 MiB of 4 GiB to HighMem', () => {
    const zones = physicalZones(
      [{ nodeId: 0, startPfn: 0, pages: 4 * GIB }],
      architectures['i386-pae'],
    );
    expect(zones.map(({ zone, presentPages }) => [zone, presentPages / MIB])).toEqual([
      ['DMA', 16],
      ['Normal', 880],
      ['HighMem', 3200],
    ]);
    expect(zones[2]?.managedAtMostPages).toBe(3200 * MIB);
  });

  it('charges the memmap for present frames where holes are large', () => {
    const [dma32] = physicalZones(
      [
        { nodeId: 0, startPfn: 4096, pages: 6400 },
        { nodeId: 0, startPfn: 8 * GIB, pages: 64 },
      ],
      architectures['x86-64'],
    );
    expect(dma32).toMatchObject({ spannedPages: 1044480, managedAtMostPages: 6300 });
  });
});
