import { HostsAndDomains1700000000000 } from './1700000000000-hosts-and-domains';
import { JobsAndResults1700000000001 } from './1700000000001-jobs-and-results';
import { HostSnapshots1700000000002 } from './1700000000002-host-snapshots';
import { JobsWithoutHost1700000000010 } from './1700000000010-jobs-without-host';
import { ExclusiveAdviceAndVerifications1700000000020 } from './1700000000020-exclusive-advice-and-verifications';
import { SharedDatabase1700000000030 } from './1700000000030-shared-database';
import { WhatRequestsMade1700000000040 } from './1700000000040-what-requests-made';

/** Every migration, oldest first. Run at start; each can be reverted. */
export const migrations = [
  HostsAndDomains1700000000000,
  JobsAndResults1700000000001,
  HostSnapshots1700000000002,
  JobsWithoutHost1700000000010,
  ExclusiveAdviceAndVerifications1700000000020,
  SharedDatabase1700000000030,
  WhatRequestsMade1700000000040,
];
