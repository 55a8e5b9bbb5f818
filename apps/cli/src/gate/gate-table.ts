import type { PlanVerdict } from '@zonewise/advisor';
import { mib, render } from '../table';

/** The verdict for a person: what failed first, then every guest, then what the verdict rests on. */
export function gateTable(verdict: PlanVerdict): string {
  const { outcome } = verdict;
  const nodeIds = outcome.nodes.map((node) => node.nodeId);
  const rows = outcome.guests.map((guest) => [
    guest.name,
    guest.state,
    guest.mode === 'none' ? 'none' : `${guest.mode} ${guest.nodeset.join(',')}`,
    ...nodeIds.map((id) => mib(guest.pagesByNode.find((entry) => entry.nodeId === id)?.pages ?? 0)),
    `${(guest.remoteShare * 100).toFixed(1)} %`,
    guest.oomKilled ? 'KILLED' : 'no',
    `${(guest.stallNs / 1e6).toFixed(1)} ms`,
  ]);
  const head = ['VM', 'state', 'numatune'];
  const table = render(
    [...head, ...nodeIds.map((id) => `node ${id} MiB`), 'remote', 'OOM', 'stall'],
    rows,
  );
  const violations = verdict.violations.map(
    (violation) => `  - ${violation.code}: ${violation.message}`,
  );
  const assumptions = [...verdict.assumptions, ...verdict.caveats].map(
    (note) => `  - ${note.code}: ${note.message}`,
  );
  return [
    verdict.verdict === 'pass' ? 'PASS: the plan holds' : 'FAIL: the plan does not hold',
    ...(violations.length > 0 ? [violations.join('\n')] : []),
    table,
    ...(assumptions.length > 0 ? [`Assumed or not modelled\n${assumptions.join('\n')}`] : []),
    `Evidence: seed ${verdict.seed}, state ${outcome.stateHash.slice(0, 12)}`,
  ].join('\n\n');
}
