import type { HostModel } from '@zonewise/simulator';
import type { ResolvedDemand } from '../demand';
import type { Change, GuestSpec } from '../types';

/** What a rule of thumb looks at: the host as it is, all guests, and the planned ones in start order. */
export interface RuleInput {
  host: HostModel;
  guests: GuestSpec[];
  planned: ResolvedDemand['planned'];
}

/** A configuration that others would choose without a replay. */
export interface RivalRule {
  /** Stable: it names the rival in results. */
  name: string;
  /** One line for people. */
  title: string;
  /** Where the rule is published. */
  source: string;
  choose(input: RuleInput): Change;
}

/** A numatune for every planned guest, all else as it is. */
export function forAll(
  { planned }: RuleInput,
  setting: (guest: ResolvedDemand['planned'][number]) => Change['numatune'][string],
): Change {
  return {
    sysctl: {},
    numatune: Object.fromEntries(planned.map((guest) => [guest.spec.guest.name, setting(guest)])),
  };
}
