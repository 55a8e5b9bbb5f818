/** Two verdicts side by side: what a change of the plan makes better or worse. */
import type { Difference, Finding, GateVerdict, HostFigures, HostVerdict } from './verdict';

/** Shares of remote memory that differ by less are the same to a reader. */
const SHARE_STEP = 0.001;

function figuresOf({
  name,
  verdict,
  outcome,
  margin,
}: HostVerdict): HostFigures & { name: string } {
  return {
    name,
    verdict,
    guests: outcome.guests.length,
    dead: outcome.guests.filter(({ oomKilled }) => oomKilled).length,
    remoteShare: outcome.remoteShare,
    swappedOutPages: outcome.swappedOutPages,
    stallNs: outcome.stallNs,
    cacheLostPages: outcome.cacheLostPages,
    ...(margin === undefined ? {} : { marginPercent: margin.holdsPercent }),
  };
}

/** In the order in which a reader asks: who dies, what is swapped, what is remote, how much is left. */
function order(before: HostFigures, after: HostFigures): number {
  const share = after.remoteShare - before.remoteShare;
  return (
    after.dead - before.dead ||
    after.swappedOutPages - before.swappedOutPages ||
    (Math.abs(share) < SHARE_STEP ? 0 : share) ||
    (before.marginPercent ?? 0) - (after.marginPercent ?? 0)
  );
}

function keyOf({ rule, host, guest, node }: Finding): string {
  return JSON.stringify([rule, host, guest ?? '', node ?? '']);
}

/** @returns findings that count on one side only, and each host's figures on both sides */
export function compareVerdicts(before: GateVerdict, after: GateVerdict): Difference {
  const counting = ({ findings }: GateVerdict) => findings.filter(({ waived }) => !waived);
  const keys = (verdict: GateVerdict) => new Set(counting(verdict).map(keyOf));
  const [old, now] = [keys(before), keys(after)];
  const figures = (verdict: GateVerdict) =>
    new Map(verdict.hosts.map((host) => [host.name, figuresOf(host)]));
  const [then, here] = [figures(before), figures(after)];
  const names = [...new Set([...here.keys(), ...then.keys()])];
  return {
    verdict: { before: before.verdict, after: after.verdict },
    added: counting(after).filter((finding) => !old.has(keyOf(finding))),
    gone: counting(before).filter((finding) => !now.has(keyOf(finding))),
    hosts: names.map((name) => {
      const [a, b] = [then.get(name), here.get(name)];
      if (a === undefined) return { name, change: 'added' as const, after: b };
      if (b === undefined) return { name, change: 'removed' as const, before: a };
      const sign = Math.sign(order(a, b));
      const change = sign < 0 ? 'better' : sign > 0 ? 'worse' : 'same';
      return { name, change, before: a, after: b };
    }),
  };
}
