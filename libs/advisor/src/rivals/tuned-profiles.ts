import type { RivalRule } from './rule';

/** The settings of the profile, with those of throughput-performance that it includes, as far as replays have them. */
export const tunedVirtualHost: RivalRule = {
  name: 'tuned-virtual-host',
  title: "TuneD's profile virtual-host, guests as they are",
  source: 'TuneD 2.20, profiles virtual-host and throughput-performance',
  choose: () => ({
    sysctl: { swappiness: 10, dirty_ratio: 40, dirty_background_ratio: 5 },
    numatune: {},
  }),
};

/** The settings of the profile, with those of latency-performance that it includes, as far as replays have them. */
export const tunedHpcCompute: RivalRule = {
  name: 'tuned-hpc-compute',
  title: "TuneD's profile hpc-compute, guests as they are",
  source: 'TuneD 2.20, profiles hpc-compute and latency-performance',
  choose: () => ({
    sysctl: {
      min_free_kbytes: 135168,
      zone_reclaim_mode: 1,
      swappiness: 10,
      dirty_ratio: 10,
      dirty_background_ratio: 3,
    },
    thp: { enabled: 'always' },
    numatune: {},
  }),
};
