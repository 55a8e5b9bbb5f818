/** Two verdicts side by side: what a change of the plan makes better or worse. */
import { lossesOf } from '@zonewise/advisor';
import { reaches } from './rules';
import type {
  Difference,
  DifferenceBy,
  Finding,
  GateVerdict,
  HeadroomFigure,
  HostFigures,
  HostVerdict,
} from './verdict';

/** Shares of remote memory that differ by less are the same to a reader. */
const SHARE_STEP = 0.001;
/** So are waits: 0.1 ms is the last digit that tables print. */
const STALL_STEP_NS = 100_000;

function figuresOf({ verdict, outcome, margin }: HostVerdict): HostFigures {
  const { killed, notStarted } = lossesOf(outcome);
  return {
    verdict,
    guests: outcome.guests.length,
    dead: killed.length + notStarted.length,
    notStarted: notStarted.length,
    remoteShare: outcome.remoteShare,
    swappedOutPages: outcome.swappedOutPages,
    stallNs: outcome.stallNs,
    cacheLostPages: outcome.cacheLostPages,
    ...(margin === undefined ? {} : { marginPercent: margin.holdsPercent }),
  };
}

/** A figure that was looked for up to a bound; `open`: the bound held, and more may. */
interface Bounded {
  value: number;
  open: boolean;
}

/** How much less `after` is for certain; negative: more. 0 where one side was not looked for. */
function loss(before: Bounded | undefined, after: Bounded | undefined): number {
  if (before === undefined || after === undefined) return 0;
  const less = before.value - after.value;
  const smaller = less > 0 ? after : before;
  return smaller.open ? 0 : less;
}

function marginOf({ margin }: HostVerdict): Bounded | undefined {
  return margin && { value: margin.holdsPercent, open: margin.flipsAtPercent === null };
}

/** A guest that does not fit may have got all its memory, at the cost of another one. */
function roomOf({ fits, gotMib, wantedMib }: HeadroomFigure): Bounded {
  return { value: fits ? wantedMib : Math.min(gotMib, wantedMib - 1), open: fits };
}

function headroomLoss(before: HostVerdict, after: HostVerdict): number {
  return (before.headroom ?? []).reduce((sum, had) => {
    const has = after.headroom?.find(({ node }) => node === had.node);
    return sum + loss(roomOf(had), has && roomOf(has));
  }, 0);
}

/** A host of a verdict with its own findings, by what they are about. */
interface Side {
  host: HostVerdict;
  failing: Set<string>;
  counting: Set<string>;
}

function sidesOf({ hosts, findings, failLevel }: GateVerdict): Map<string, Side> {
  const sides = new Map<string, Side>(
    hosts.map((host) => [host.name, { host, failing: new Set(), counting: new Set() }]),
  );
  for (const finding of findings.filter(({ waived }) => !waived)) {
    const side = sides.get(finding.host);
    side?.counting.add(keyOf(finding));
    if (reaches(finding.severity, failLevel)) side?.failing.add(keyOf(finding));
  }
  return sides;
}

/** 1: findings came and none went; -1: the reverse. Where some came and others went, figures decide. */
function more(before: Set<string>, after: Set<string>): number {
  const came = [...after].some((key) => !before.has(key));
  const went = [...before].some((key) => !after.has(key));
  return Number(came) - Number(went);
}

const beyond = (difference: number, step: number): number =>
  Math.abs(difference) < step ? 0 : difference;

/**
 * In the order in which a reader asks: does it still hold, what else fails, who dies, what is swapped, who waits,
 * what is remote, how much is left.
 * @returns what tells the sides apart, positive where `after` is worse; null where nothing does
 */
function order(before: Side, after: Side): { sign: number; by: DifferenceBy } | null {
  const [a, b] = [before.host, after.host];
  const fails = ({ verdict }: HostVerdict): number => (verdict === 'fail' ? 1 : 0);
  const steps: [DifferenceBy, number][] = [
    ['verdict', fails(b) - fails(a)],
    ['findings', more(before.failing, after.failing)],
    ['dead', figuresOf(b).dead - figuresOf(a).dead],
    ['swap', b.outcome.swappedOutPages - a.outcome.swappedOutPages],
    ['stall', beyond(b.outcome.stallNs - a.outcome.stallNs, STALL_STEP_NS)],
    ['remote', beyond(b.outcome.remoteShare - a.outcome.remoteShare, SHARE_STEP)],
    ['margin', loss(marginOf(a), marginOf(b))],
    ['headroom', headroomLoss(a, b)],
    ['findings', more(before.counting, after.counting)],
  ];
  const [by, sign] = steps.find(([, difference]) => difference !== 0) ?? ['verdict', 0];
  return sign === 0 ? null : { sign, by };
}

function keyOf({ rule, host, guest, node }: Finding): string {
  return JSON.stringify([rule, host, guest ?? '', node ?? '']);
}

function compareHosts(name: string, before?: Side, after?: Side): Difference['hosts'][number] {
  const figures = {
    ...(before && { before: figuresOf(before.host) }),
    ...(after && { after: figuresOf(after.host) }),
  };
  if (before === undefined) return { name, change: 'added', ...figures };
  if (after === undefined) return { name, change: 'removed', ...figures };
  const found = order(before, after);
  if (found === null) return { name, change: 'same', ...figures };
  return { name, change: found.sign < 0 ? 'better' : 'worse', by: found.by, ...figures };
}

/** @returns findings that count on one side only, and each host's figures on both sides */
export function compareVerdicts(before: GateVerdict, after: GateVerdict): Difference {
  const counting = ({ findings }: GateVerdict) => findings.filter(({ waived }) => !waived);
  const keys = (verdict: GateVerdict) => new Set(counting(verdict).map(keyOf));
  const [old, now] = [keys(before), keys(after)];
  const [then, here] = [sidesOf(before), sidesOf(after)];
  const names = [...new Set([...here.keys(), ...then.keys()])];
  return {
    verdict: { before: before.verdict, after: after.verdict },
    added: counting(after).filter((finding) => !old.has(keyOf(finding))),
    gone: counting(before).filter((finding) => !now.has(keyOf(finding))),
    hosts: names.map((name) => compareHosts(name, then.get(name), here.get(name))),
  };
}
