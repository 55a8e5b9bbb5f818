/**
 * Guests to hosts in two stages: the packer adds up, then each host that would change is replayed; what a replay
 * refuses goes back to the packer, which may not put it there again.
 */
import type { Outcome, PlanVerdict } from '@zonewise/advisor';
import type { Objective } from '@zonewise/placement';
import type { ReplayControl } from '@zonewise/simulator';
import { answerOf } from './placement-answer';
import { resolvePlacement, type PlacementDocument } from './placement-document';
import type { HostFailure } from './placement-replay';
import type { GuestSetting } from './placement-shape';
import { PlacementWork } from './placement-work';
import type { PlanProblem } from './plan-request';
import { inPlace, type OnHost, type Replaying } from './replaying';

export interface PlaceOptions {
  onHost?: OnHost;
  control?: ReplayControl;
}

export interface GuestPlacement extends GuestSetting {
  guest: string;
  host: string;
  /** Host that it leaves. */
  from?: string;
  /** The guest at the end of the replay of its host. */
  evidence: {
    pagesByNode: { nodeId: number; pages: number }[];
    remoteShare: number;
    stallNs: number;
    swapPages: number;
    stateHash: string;
  };
}

export interface GuestRefusal {
  guest: string;
  /** Which of the two stages refused it last. */
  stage: 'arithmetic' | 'replay';
  /** Of the packer (`memory`, `vcpus`, `hugepages`, `nodes`, `anti-affinity`, `host-group`, `excluded`) or of a rule (`oom-kill`, ...). */
  code: string;
  /** The host that comes nearest, or whose replay failed last. */
  host?: string;
  node?: number;
  zone?: string;
  /** The mark above which there is not enough: `low` and the zone's reserve for adding up, `min` where a replay ran into it. */
  mark?: { name: 'min' | 'low'; pages: number };
  /** Base pages. */
  shortfallPages?: number;
  shortfallVcpus?: number;
  /** Nodes that the host has fewer than the guest has cells. */
  shortfallNodes?: number;
  /** Pages of `sizeKib`. */
  shortfallHugepages?: number;
  sizeKib?: number;
  message: string;
  /** Every host whose replay refused it. */
  failures: HostFailure[];
  /** What every other host lacks by adding up, hosts with the same reason together, the nearest first. */
  hosts: HostsRefusal[];
  /** Guest before it that is like it: its `hosts` are those of this one as well, which has none of its own. */
  sameAs?: string;
}

/** Why a host does not take a guest, by adding up. */
export type HostRefusal = Omit<GuestRefusal, 'guest' | 'stage' | 'failures' | 'hosts' | 'sameAs'>;

/** Why several hosts do not take a guest; `host` is the first of them. */
export interface HostsRefusal extends HostRefusal {
  count: number;
  /** Their names; fewer than `count` where they would fill the answer. */
  hosts: string[];
  /**
   * Where reasons are so many that the rest are together by code: the most that one of the hosts lacks, and the shortfall
   * is the least; such a group has no node, zone and mark.
   */
  shortfallMost?: number;
}

/** A host that changes: what its replay ends with. */
export interface HostEvidence {
  host: string;
  guests: string[];
  nodes: Outcome['nodes'];
  stallNs: number;
  swappedOutPages: number;
  cacheLostPages: number;
  remoteShare: number;
  stateHash: string;
  profile: PlanVerdict['profile'];
  caveats: { code: string; message: string }[];
}

export interface PlacementAnswer {
  objective: Objective;
  placements: GuestPlacement[];
  refused: GuestRefusal[];
  hosts: HostEvidence[];
  /** Hosts with guests afterwards; the one that is emptied is none. */
  hostsUsed: number;
  evacuated: string | null;
  /** Packer that found it, times it was asked, replays made, and hosts that were judged by the replay of an equal one. */
  search: { method: string; rounds: number; replays: number; sharedReplays: number };
  seed: number;
  caveats: { code: string; message: string }[];
}

/** Times that the packer is asked; what is then still refused by replays stays refused. */
const ROUNDS_MAX = 8;

export type PlaceOutcome =
  { ok: true; value: PlacementAnswer } | { ok: false; problems: PlanProblem[] };

/**
 * Places guests, with a replay behind every host that changes, one after the other.
 * @returns the answer, or every reason why the request cannot be read
 * @throws ReplayCancelled when `control` says stop
 */
export function placeGuests(
  document: PlacementDocument,
  { onHost, control }: PlaceOptions = {},
): PlaceOutcome {
  return inPlace(placing(document), onHost, control);
}

/** Places guests, leaving it to others where hosts are replayed. */
export function* placing(document: PlacementDocument): Replaying<PlaceOutcome> {
  const resolved = resolvePlacement(document);
  if (!resolved.ok) return resolved;
  const work = new PlacementWork(document, resolved.value);
  yield* work.run(ROUNDS_MAX);
  return { ok: true, value: answerOf(document, resolved.value, work) };
}
