/** Requests that the console offers: figures of machines whose logs showed them. */

/** A 96 GiB server whose network driver was refused two pages side by side. */
export const failedRequestExample = {
  summary: 'A 2.6.32 log: "page allocation failure. order:1, mode:0x20"',
  value: {
    kernel: '2.6.32',
    zones: [
      {
        zone: 'DMA',
        presentPages: 3833,
        freePages: 3949,
        freeBlocks: [1, 2, 0, 1, 2, 0, 1, 0, 1, 1, 3],
      },
      {
        zone: 'DMA32',
        presentPages: 499504,
        freePages: 95008,
        freeBlocks: [130, 65, 75, 72, 95, 22, 10, 7, 4, 2, 86],
      },
      {
        zone: 'Normal',
        presentPages: 24304640,
        freePages: 14138,
        freeBlocks: [12544, 68, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      },
    ],
    request: { order: 1, zone: 'Normal', kind: 'atomic' },
  },
};

export const highmemExample = {
  summary: 'A small 32-bit machine: zones of 8, 64 and 256 MiB',
  value: {
    kernel: '6.1',
    architecture: 'i386',
    zones: [
      { zone: 'DMA', presentPages: 2048 },
      { zone: 'Normal', presentPages: 16384 },
      { zone: 'HighMem', presentPages: 65536 },
    ],
    lowmemReserveRatio: [256, 32, 0],
  },
};
