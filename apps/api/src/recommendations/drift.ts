/** How a host has changed since it was described, as something that could make advice about it wrong. Pure. */
import type { Risk } from '@zonewise/advisor';
import { compareHosts } from '@zonewise/host-facts';
import type { HostDrift, HostMoment } from '@zonewise/host-facts';
import { pagesToMib } from '@zonewise/simulator';

/** A host's description at a time. */
export interface DatedMoment extends HostMoment {
  number: number;
  createdAt: string;
}

/** More nodes than a sentence can carry. */
const NODES_MAX = 8;

/**
 * Age of the snapshot that advice rests on, and what moved between it and the one before: as much may have moved since.
 * @param before the earlier snapshot, where there is one
 */
export function driftRisks(taken: DatedMoment, before: DatedMoment | null, now: string): Risk[] {
  const seconds = ageSeconds(taken.createdAt, now);
  const age: Risk = {
    kind: 'drift',
    code: 'snapshot-age',
    message: `The host was described ${seconds} s before (snapshot ${taken.number}, ${taken.createdAt}); what changed since is not in the replay.`,
  };
  if (before === null) {
    const message =
      'The host has no earlier snapshot: how fast its free memory changes is not known.';
    return [age, { kind: 'drift', code: 'drift-unknown', message }];
  }
  const drift = compareHosts(before, taken);
  const apart = ageSeconds(before.createdAt, taken.createdAt);
  const message = `Between snapshots ${before.number} and ${taken.number}, ${apart} s apart: ${driftText(drift)}.`;
  return [age, { kind: 'drift', code: 'drift-between-snapshots', message }];
}

export const ageSeconds = (from: string, to: string): number =>
  Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000));

/** Free memory and page cache by node, then counts of what else changed. */
export function driftText({
  nodes,
  settings,
  guests,
  addedNodes,
  removedNodes,
}: HostDrift): string {
  const signed = (pages: number): string =>
    `${pages < 0 ? '' : '+'}${Math.round(pagesToMib(pages))} MiB`;
  const moved = nodes.map(
    ({ nodeId, freePages, filePages }) =>
      `node ${nodeId} free ${signed(freePages.to - freePages.from)}, page cache ${signed(filePages.to - filePages.from)}`,
  );
  const more = moved.length > NODES_MAX ? [`${moved.length - NODES_MAX} more nodes`] : [];
  const others = [
    ...(addedNodes.length + removedNodes.length > 0
      ? [`${addedNodes.length} nodes came, ${removedNodes.length} went`]
      : []),
    ...(settings.length > 0 ? [`${settings.length} settings changed`] : []),
    ...(guests.length > 0 ? [`${guests.length} guests have their memory elsewhere`] : []),
  ];
  const all = [...moved.slice(0, NODES_MAX), ...more, ...others];
  return all.length > 0 ? all.join('; ') : 'nothing changed';
}
