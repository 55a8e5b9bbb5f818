import { twoNodes } from '../test/host';
import { percpuDriftMark, setPercpuThreshold, statThreshold } from './free-count';
import { buildKernel } from './kernel';
import { zoneWatermarkOk, zoneWatermarkOkSafe } from './watermark';

describe('what a CPU may hold back', () => {
  it('grows with CPUs and with the zone, to 125 pages', () => {
    // 15 MiB of DMA and 2 CPUs: 2 * fls(2) * (1 + 0); 640 MiB: fls(5) = 3; 128 GiB and 64 CPUs: 2 * 7 * 12.
    expect([statThreshold(3840, 2), statThreshold(163840, 2), statThreshold(33554432, 64)]).toEqual(
      [4, 16, 125],
    );
  });

  it('matters where all CPUs together could hide the way from low to min', () => {
    const dma = { minPages: 10, lowPages: 13, highPages: 16 };
    // 3 CPUs hold back 4 pages each.
    expect(percpuDriftMark(dma, 3840, 3)).toBe(28);
    expect(percpuDriftMark({ minPages: 10, lowPages: 22, highPages: 34 }, 3840, 3)).toBe(0);
  });

  it('is the share of that way while kswapd is awake', () => {
    const zone = buildKernel({ host: twoNodes(), runningGuests: [], steps: [], seed: 1 }).zones[0]!;
    const asleep = zone.statThreshold;
    Object.assign(zone, { min: 18, low: 25, percpuDriftMark: 100 });
    setPercpuThreshold(zone.node, 2, true);
    expect(zone.statThreshold).toBe(3);
    setPercpuThreshold(zone.node, 2, false);
    expect(zone.statThreshold).toBe(asleep);
    zone.percpuDriftMark = 0;
    setPercpuThreshold(zone.node, 2, true);
    expect(zone.statThreshold).toBe(asleep);
  });
});

describe('the check with the exact count', () => {
  it('does not take held back pages for free ones near the marks', () => {
    const zone = buildKernel({ host: twoNodes(), runningGuests: [], steps: [], seed: 1 }).zones[0]!;
    const { freePages } = zone.buddy;
    zone.freeDrift = 3;
    zone.percpuDriftMark = freePages + 4;
    expect(zoneWatermarkOk(zone, freePages)).toBe(true);
    expect(zoneWatermarkOkSafe(zone, freePages)).toBe(false);
    zone.percpuDriftMark = 0;
    expect(zoneWatermarkOkSafe(zone, freePages)).toBe(true);
  });
});
