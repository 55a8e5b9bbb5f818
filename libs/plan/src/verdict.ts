/** What the gate answers: findings of every host, what they rest on, and what it takes to get them again. */
import type { DemandProfile, Outcome, PlanVerdict } from '@zonewise/advisor';
import type { SettledPlan } from './plan-placement';
import type { RuleCode, RuleLimit, Severity } from './rules';
import type { Waiver, WaiverState } from './waivers';

type Note = { code: string; message: string };

/** Where a finding comes from: a place in the plan, and where that names a document, the place in it. */
export interface FindingPlace {
  /** JSON pointer into the plan; `/guests/3/xml` is the document of the fourth guest. */
  path: string;
  line?: number;
  column?: number;
  /** File of the document or of the plan, relative to the plan's folder; only where the plan was read from files. */
  file?: string;
}

export interface Finding {
  /** Stable id, such as `ZW004`. */
  rule: string;
  code: RuleCode;
  severity: Severity;
  /** Empty for a finding about the plan itself. */
  host: string;
  guest?: string;
  node?: number;
  /** In `unit`; null for rules that only say yes or no. */
  found: number | null;
  limit: number | null;
  unit: RuleLimit['unit'] | 'pages' | null;
  message: string;
  place: FindingPlace;
  /** Further places that have to do with it: the guest, where an event causes it, or the event that starts the guest. */
  related?: { place: FindingPlace; message: string }[];
  /** Accepted by a waiver: it does not count. */
  waived?: { reason: string; expires: string };
}

/** How much the planned guests can grow before a rule of severity error is broken. */
export interface MarginFigure {
  /** Whole percent that holds. */
  holdsPercent: number;
  /** The smallest percent that does not; null where `testedPercent` holds. */
  flipsAtPercent: number | null;
  testedPercent: number;
  /** What happens at `flipsAtPercent`. */
  why?: string;
}

/** Whether one more guest of `wantedMib` starts, somewhere (`node` null) or bound to a node. */
export interface HeadroomFigure {
  node: number | null;
  wantedMib: number;
  fits: boolean;
  /** What it got before something failed; `wantedMib` where it fits. */
  gotMib: number;
  why?: string;
}

/**
 * What adding up says, for comparison: memory that is free or page cache, as `free` counts it, against what the
 * planned guests have and the pools of huge pages that the plan writes.
 */
export interface Accounting {
  availableMib: number;
  plannedMib: number;
  fits: boolean;
}

export interface HostVerdict {
  name: string;
  verdict: 'pass' | 'fail';
  accounting: Accounting;
  outcome: Outcome;
  profile: PlanVerdict['profile'];
  margin?: MarginFigure;
  headroom?: HeadroomFigure[];
  demand: DemandProfile;
  caveats: Note[];
  assumptions: Note[];
  /** Replays behind the verdict. */
  replays: number;
  /** The host whose replays these are as well: the two differ in nothing but the names of their guests. */
  sameAs?: string;
}

export interface RuleInForce {
  rule: string;
  code: RuleCode;
  severity: Severity | 'off';
  limit: number | null;
}

export interface GateVerdict {
  verdict: 'pass' | 'fail';
  /** Findings of this severity or above fail the plan unless they are waived. */
  failLevel: Severity;
  findings: Finding[];
  hosts: HostVerdict[];
  /** Hosts without guests: nothing was replayed. */
  idleHosts: string[];
  /** Where the packer put the guests, with `assignments: auto`. */
  placements?: SettledPlan['placements'];
  rules: RuleInForce[];
  waivers: (Waiver & { state: WaiverState })[];
  /** Of the plan and the fail level in force: with the same model version, seed and day it stands for the same verdict, bit for bit. */
  planSha256: string;
  modelVersion: string;
  seed: number;
  /** Day that waivers were held against. */
  today: string;
  /** What changed against an earlier verdict, where one was given. */
  difference?: Difference;
}

/** What a change makes better or worse. */
export interface Difference {
  verdict: { before: 'pass' | 'fail'; after: 'pass' | 'fail' };
  /** Findings that count and were not there before, and the reverse. */
  added: Finding[];
  gone: Finding[];
  hosts: {
    name: string;
    change: 'better' | 'worse' | 'same' | 'added' | 'removed';
    /** The first figure that makes it better or worse. */
    by?: DifferenceBy;
    before?: HostFigures;
    after?: HostFigures;
  }[];
}

/** What hosts are compared by. Margin and headroom only where both sides have them, and neither bound hides the answer. */
export type DifferenceBy =
  'verdict' | 'findings' | 'dead' | 'swap' | 'stall' | 'remote' | 'margin' | 'headroom';

export interface HostFigures {
  verdict: 'pass' | 'fail';
  guests: number;
  /** Killed or not started. */
  dead: number;
  /** Of the dead, those that did not come up although nobody killed them. */
  notStarted: number;
  /** Of all guest memory of the host, 0..1. */
  remoteShare: number;
  swappedOutPages: number;
  stallNs: number;
  cacheLostPages: number;
  /** Growth that holds, in percent; absent where the margin was not asked for. */
  marginPercent?: number;
}
