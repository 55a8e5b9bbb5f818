import { lossesOf } from '@zonewise/advisor';
import type { Finding, GateVerdict, HostVerdict } from '@zonewise/plan';
import { mib, render } from '../../table';
import {
  lostCount,
  problemLine,
  problemsOf,
  subjectOf,
  type PlanReport,
  type ReportContext,
} from '../report';

const GREEN = '\u001b[32m';
const RED = '\u001b[31m';
const PLAIN = '\u001b[0m';
/** Plans of more hosts show one line for each host, and guests only in the JSON. */
const DETAILED_HOSTS = 3;

/** The verdict for a person: what failed first, then guests or hosts, then what the verdict rests on. */
export function table(reports: PlanReport[], context: ReportContext): string {
  return reports
    .map((report) => {
      const title = reports.length > 1 ? `${report.file}\n` : '';
      const text =
        'verdict' in report
          ? planTable(report.verdict, context)
          : problemsOf(report)
              .map((problem) => `zonewise: ${problemLine(problem)}`)
              .join('\n');
      return `${title}${text}`;
    })
    .join('\n\n');
}

function planTable(verdict: GateVerdict, { colour }: ReportContext): string {
  const pass = verdict.verdict === 'pass';
  const words = pass ? 'PASS: the plan holds' : 'FAIL: the plan does not hold';
  const title = colour ? `${pass ? GREEN : RED}${words}${PLAIN}` : words;
  const several = verdict.hosts.length + verdict.idleHosts.length > 1;
  const findings = verdict.findings.map((finding) => findingLine(finding, several));
  const detailed = verdict.hosts.length <= DETAILED_HOSTS;
  const body = detailed
    ? verdict.hosts.map((host) => `${several ? `${host.name}\n` : ''}${guestTable(host)}`)
    : [hostTable(verdict)];
  const notes = detailed ? verdict.hosts.flatMap((host) => notesOf(host, several)) : [];
  const states = verdict.hosts.map(({ outcome }) => outcome.stateHash.slice(0, 12));
  const state = states.length === 1 ? `, state ${states[0] ?? ''}` : '';
  return [
    title,
    ...(findings.length > 0 ? [findings.join('\n')] : []),
    ...body,
    ...figures(verdict),
    ...(notes.length > 0 ? [`Assumed or not modelled\n${notes.join('\n')}`] : []),
    `Evidence: seed ${verdict.seed}${state}, plan ${verdict.planSha256.slice(0, 12)}, model ${verdict.modelVersion}`,
  ].join('\n\n');
}

function findingLine(finding: Finding, several: boolean): string {
  const { rule, code, severity, waived, message, place } = finding;
  const subject = several ? `${subjectOf(finding)}: ` : '';
  const level = waived ? `waived until ${waived.expires}` : severity;
  const line = place.line === undefined ? '' : `:${place.line}`;
  const at = place.file === undefined ? '' : ` (${place.file}${line})`;
  return `  - ${rule} ${level} ${code}: ${subject}${message}${at}`;
}

function guestTable({ outcome }: HostVerdict): string {
  const nodeIds = outcome.nodes.map((node) => node.nodeId);
  const { killed, notStarted } = lossesOf(outcome);
  const lost = (name: string): string => {
    if (killed.includes(name)) return 'KILLED';
    return notStarted.includes(name) ? 'NOT STARTED' : 'no';
  };
  const rows = outcome.guests.map((guest) => [
    guest.name,
    guest.state,
    guest.mode === 'none' ? 'none' : `${guest.mode} ${guest.nodeset.join(',')}`,
    ...nodeIds.map((id) => mib(guest.pagesByNode.find((entry) => entry.nodeId === id)?.pages ?? 0)),
    `${(guest.remoteShare * 100).toFixed(1)} %`,
    lost(guest.name),
    `${(guest.stallNs / 1e6).toFixed(1)} ms`,
  ]);
  const nodes = nodeIds.map((id) => `node ${id} MiB`);
  return render(['VM', 'state', 'numatune', ...nodes, 'remote', 'OOM', 'stall'], rows);
}

function lostOf(outcome: HostVerdict['outcome']): string {
  const { killed, notStarted } = lossesOf(outcome);
  return lostCount(killed.length, notStarted.length);
}

function hostTable({ hosts }: GateVerdict): string {
  const rows = hosts.map(({ name, verdict, outcome, margin, accounting }) => [
    name,
    verdict,
    String(outcome.guests.length),
    `${accounting.plannedMib.toLocaleString('en-US')} of ${accounting.availableMib.toLocaleString('en-US')}`,
    `${(outcome.remoteShare * 100).toFixed(1)} %`,
    lostOf(outcome),
    margin === undefined ? '' : `${margin.holdsPercent} %`,
  ]);
  return render(['host', 'verdict', 'VMs', 'MiB planned', 'remote', 'killed', 'margin'], rows);
}

/** Rules about room: where one is broken, it is worth saying that adding up sees room. */
const ROOM = ['oom-kill', 'failed-start', 'swap', 'hugepage-pool'];

function figures({ hosts, idleHosts, findings }: GateVerdict): string[] {
  const full = findings.filter(({ code }) => ROOM.includes(code)).map(({ host }) => host);
  const lines = hosts.flatMap(({ name, margin, headroom = [], accounting }) => [
    ...(accounting.fits && full.includes(name)
      ? [
          `${name}: adding up accepts it: ${accounting.plannedMib.toLocaleString('en-US')} MiB planned, ${accounting.availableMib.toLocaleString('en-US')} MiB free or page cache`,
        ]
      : []),
    ...(margin === undefined || margin.flipsAtPercent !== null
      ? []
      : [`${name}: holds with ${margin.testedPercent} % more guest memory`]),
    ...headroom
      .filter(({ fits }) => fits)
      .map(
        ({ node, wantedMib }) =>
          `${name}: one more guest of ${wantedMib} MiB fits${node === null ? '' : ` on node ${node}`}`,
      ),
  ]);
  if (idleHosts.length > 0) lines.push(`without guests: ${idleHosts.join(', ')}`);
  return lines.length > 0 ? [lines.map((line) => `  ${line}`).join('\n')] : [];
}

function notesOf({ name, assumptions, caveats }: HostVerdict, several: boolean): string[] {
  const prefix = several ? `${name}: ` : '';
  return [...assumptions, ...caveats].map((note) => `  - ${prefix}${note.code}: ${note.message}`);
}
