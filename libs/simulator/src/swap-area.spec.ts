import { makeHost } from '../test/host';
import { buildKernel } from './kernel';
import type { KernelState } from './kernel-state';
import { kernelProfiles } from './profile';
import { swapOff, swapOn, swapTables } from './swap-area';
import { verify } from './verify';
import type { KernelName } from './types';

const GIB_SLOTS = 262143;

function kernel(pages = 65536): KernelState {
  const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages }] }]);
  return buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
}

const pagesOf = (name: KernelName, slots: number, rotational: boolean): number[] =>
  swapTables({ profile: kernelProfiles[name] }, slots, rotational).map(({ bytes }) =>
    Math.ceil(bytes / 4096),
  );

describe('tables of a swap area', () => {
  it('are a byte and a cgroup id for each slot of a disk of 1 GiB', () => {
    // Header, 262144 bytes, 128 pointers, 262144 ids of 2 bytes: 194 pages.
    expect(pagesOf('6.1.y', GIB_SLOTS, true)).toEqual([1, 64, 1, 128]);
  });

  it('are a bit for each slot besides where the kernel keeps one', () => {
    expect(pagesOf('5.10', GIB_SLOTS, true)).toEqual([1, 64, 1, 128, 8]);
    expect(pagesOf('6.12', GIB_SLOTS, true)).toEqual([1, 64, 1, 128, 8]);
  });

  it('have a record of 8 or 24 bytes for each 512 slots of a device without rotation', () => {
    // 32768 clusters of 64 GiB.
    expect(pagesOf('6.1.y', 64 * 262144 - 1, false)).toEqual([1, 4096, 64, 16, 8192]);
    expect(pagesOf('6.12', 64 * 262144 - 1, false)).toEqual([1, 4096, 16, 8192, 512, 192]);
  });
});

describe('swapon', () => {
  it('takes the tables as single pages and blocks, and swapoff gives them back', () => {
    const k = kernel();
    k.profile = kernelProfiles['6.12'];
    k.hardware = { ...k.hardware, swapRotational: true };
    const before = k.zones[0]!.buddy.freePages + k.zones[0]!.pcps[0]!.pages;
    expect(swapOn(k, GIB_SLOTS)).toBe(true);
    expect(k.swap).toEqual({ totalPages: GIB_SLOTS, freePages: GIB_SLOTS });
    expect(k.swapTables.filter(({ order }) => order === 0)).toHaveLength(194);
    expect(k.swapTables.filter(({ order }) => order === 3)).toHaveLength(1);
    expect(k.nodes[0]!.numastat.numaHit).toBe(195);
    verify(k, 0);
    swapOff(k);
    expect(k.zones[0]!.buddy.freePages + k.zones[0]!.pcps[0]!.pages).toBe(before);
    verify(k, 0);
  });

  it('fails and leaves nothing behind where memory does not reach for them', () => {
    const k = kernel(4096);
    // 64 GiB of swap need 12,369 pages.
    expect(swapOn(k, 64 * 262144 - 1)).toBe(false);
    expect(k.swap.totalPages).toBe(0);
    expect(k.zones[0]!.kernelPages).toBe(0);
    verify(k, 0);
  });
});
