import { HostsAndDomains1700000000000 } from './1700000000000-hosts-and-domains';
import { JobsAndResults1700000000001 } from './1700000000001-jobs-and-results';

/** Every migration, oldest first. Run at start; each can be reverted. */
export const migrations = [HostsAndDomains1700000000000, JobsAndResults1700000000001];
