import { cacheStep, makeHost } from '../test/host';
import { freshNs } from './alloc-account';
import { hardwareProfiles } from './hardware-profile';
import { buildKernel } from './kernel';
import type { AllocContext } from './page-alloc';
import { replay } from './replay';

const host = () => makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages: 65536 }] }]);

describe('memory that an emulated machine uses for the first time', () => {
  const costs = (cache: boolean, freshReadNs: number): number[] => {
    const k = buildKernel({ host: host(), runningGuests: [], steps: [], seed: 1 });
    const hardware = { ...hardwareProfiles['generic-2s']!, freshPageNs: 1000, freshFreePages: 700 };
    k.hardware = { ...hardware, freshReadNs };
    const ac = { order: 0, costNs: cache ? 0 : 1, cache } as AllocContext;
    const runAt = (frame: number) => [{ frame, count: 500, step: 1 as const, type: 1 }];
    return [0, 512, 512].map((frame) => freshNs(k, ac, k.zones[0]!, runAt(frame)));
  };

  it('costs more from so many pages on, once', () => {
    // 300 of the second 500 pages are above the limit; the 12 pages left of that pageblock count as new once more.
    expect(costs(false, 0)).toEqual([0, 300_000, 12_000]);
  });

  it('counts what is read into the cache where that has a price of its own', () => {
    expect(costs(true, 100)).toEqual([0, 30_000, 1_200]);
    expect(costs(true, 0)).toEqual([0, 0, 0]);
  });
});

describe('time of a read', () => {
  it('is another where the cache has the page', () => {
    const readNs = (passes: number): number =>
      replay({
        host: host(),
        runningGuests: [],
        steps: [cacheStep(20_000, 0, { passes })],
        seed: 1,
      }).steps[0]!.durationNs;
    const { cacheReadNs, cacheHitNs } = hardwareProfiles['generic-2s']!;
    expect(readNs(1)).toBe(20_000 * cacheReadNs);
    expect(readNs(3) - readNs(1)).toBe(2 * 20_000 * cacheHitNs);
  });
});
