import { HostsAndDomains1700000000000 } from './1700000000000-hosts-and-domains';

/** Every migration, oldest first. Run at start; each can be reverted. */
export const migrations = [HostsAndDomains1700000000000];
