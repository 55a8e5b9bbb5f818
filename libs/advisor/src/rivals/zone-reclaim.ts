import type { RivalRule } from './rule';

/** The guests as they are, and each node reclaims its own cache before memory comes from another one. */
export const zoneReclaim: RivalRule = {
  name: 'zone-reclaim',
  title: 'zone_reclaim_mode 1, guests as they are',
  source: 'Linux, Documentation/admin-guide/sysctl/vm.rst, "zone_reclaim_mode"',
  choose: () => ({ sysctl: { zone_reclaim_mode: 1 }, numatune: {} }),
};
