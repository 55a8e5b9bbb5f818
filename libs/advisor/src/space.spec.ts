import { MIB, host, planned } from '../test/builders';
import { resolveDemand } from './demand';
import { hostGrid, zoneReclaimModes } from './space';
import type { AdviceRequest, HostModel } from './types';

const request = (model: HostModel, over: Partial<AdviceRequest> = {}): AdviceRequest => ({
  ...{ host: model, guests: [planned('a', 64, 0)], demand: {}, seed: 1 },
  ...over,
});
const gridOf = (one: AdviceRequest) => hostGrid(one, resolveDemand(one));
const modesOf = (one: AdviceRequest) => zoneReclaimModes(one, resolveDemand(one));

test("the grid goes back to the kernel's own marks, where today's are higher", () => {
  const factors = (sysctl: Partial<HostModel['sysctl']>) =>
    new Set(
      gridOf(request(host([{ mib: 512 }, { mib: 512 }], sysctl))).map(
        ({ watermark_scale_factor }) => watermark_scale_factor,
      ),
    );
  expect([...factors({})]).toEqual([10, 100, 300]);
  expect([...factors({ watermark_scale_factor: 200 })]).toEqual([200, 10, 300]);
  expect([...factors({ watermark_scale_factor: 2000 })]).toEqual([2000, 10]);
});

test('the grid has min_free_kbytes, where it keeps more than a hundredth of the memory beyond what the kernel computes', () => {
  const kept = (min_free_kbytes: number, over: Partial<AdviceRequest> = {}) => {
    const model = host([{ mib: 512 }, { mib: 512 }], { min_free_kbytes });
    return [...new Set(gridOf(request(model, over)).map((one) => one.min_free_kbytes))];
  };
  expect(kept(8192)).toEqual([undefined]);
  // The square root of 16 times 1 GiB in KiB.
  expect(kept(100_000)).toEqual([100_000, 4096]);
  expect(gridOf(request(host([{ mib: 512 }], { min_free_kbytes: 100_000 })))[0]).toEqual({
    ...{ zone_reclaim_mode: 0, watermark_scale_factor: 10, min_free_kbytes: 100_000 },
  });
  const constraints = { fixedSysctls: ['min_free_kbytes' as const] };
  expect(kept(100_000, { options: { constraints } })).toEqual([undefined]);
});

test('modes of node reclaim by the page cache: 3 for dirty, 5 where most is mapped, 7 where there is both', () => {
  const modes = (mappedMib: number, dirtyMib: number): number[] => {
    const model = host([{ mib: 512, cacheMib: 300 }, { mib: 512 }]);
    const [first, second] = model.nodes;
    const [mappedPages, dirtyPages] = [mappedMib * MIB, dirtyMib * MIB];
    return modesOf(request({ ...model, nodes: [{ ...first!, mappedPages, dirtyPages }, second!] }));
  };
  expect(modes(0, 0)).toEqual([0, 1]);
  expect(modes(100, 0)).toEqual([0, 1]);
  expect(modes(0, 50)).toEqual([0, 1, 3]);
  expect(modes(200, 0)).toEqual([0, 1, 5]);
  expect(modes(200, 50)).toEqual([0, 1, 3, 5, 7]);
});
