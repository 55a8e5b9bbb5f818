import { kernelProfiles, type HostModel } from '@zonewise/simulator';
import { MIB, host, planned } from '../test/builders';
import { kernelDefaults } from './kernel-defaults';

const defaults = (model: HostModel) =>
  kernelDefaults({ host: model, guests: [planned('a', 64, 0)], demand: {}, seed: 1 });

test("settings are the kernel's own, whatever the host has been given", () => {
  const given = { watermark_scale_factor: 500, zone_reclaim_mode: 1, min_free_kbytes: 1_000_000 };
  expect(defaults(host([{ mib: 2048 }, { mib: 2048 }], given))).toEqual({
    ...kernelProfiles['6.1.y'].defaultSysctls,
    // The square root of 16 times 4 GiB in KiB.
    min_free_kbytes: 8192,
  });
});

test('min_free_kbytes has its cap, and is what khugepaged raises it to', () => {
  const nodes = (mib: number, enabled: 'always' | 'madvise' | 'never'): HostModel => ({
    ...host([{ mib }, { mib }]),
    thp: { enabled, defrag: 'madvise' },
  });
  expect(defaults(nodes(8 * 1024 * 1024, 'never')).min_free_kbytes).toBe(262_144);
  // Two pageblocks and nine more of each of two zones.
  expect(defaults(nodes(8192, 'madvise')).min_free_kbytes).toBe(2 * 11 * 512 * 4);
  // A twentieth of what is above the high marks, where that is less.
  const small = defaults(nodes(256, 'always')).min_free_kbytes;
  const high = 2 * (362 + 2 * Math.floor(362 / 4));
  expect(small).toBe(Math.floor((512 * MIB - high) / 20) * 4);
});
