import type { HostSysctls, SysctlName } from '@zonewise/simulator';
import { effectiveNumatune } from './compile';
import type { Evaluated, Evaluator } from './evaluator';
import { without } from './evaluator';
import { effectText, settingText } from './explain';
import { formatCount } from './format';
import type { Score } from './objective';
import { nodesByRegion } from './placement';
import type {
  GuestSpec,
  NumatuneSetting,
  NumatuneValue,
  Operation,
  RecommendationContent,
} from './types';

type Groups = RecommendationContent['content']['operationGroups'];

/**
 * The steps from the baseline to the advised configuration, kernel settings first: a guest that starts
 * afterwards meets them. Each reason compares the replay with the setting to the replay without it.
 */
export function operationGroups(
  evaluator: Evaluator,
  advised: Evaluated,
  tolerance: Score,
): Groups {
  const sysctls = Object.keys(advised.change.sysctl).map((name) =>
    sysctlOperation(evaluator, advised, name as SysctlName, tolerance),
  );
  const domains = Object.entries(advised.change.numatune).map(([name, setting]) =>
    domainOperation(evaluator, advised, name, setting, tolerance),
  );
  const groups: Groups = [];
  if (sysctls.length > 0) {
    groups.push({ description: 'Kernel settings of the host', operations: sysctls });
  }
  if (domains.length > 0) {
    groups.push({ description: 'numatune of the guests, before they start', operations: domains });
  }
  return groups;
}

function sysctlOperation(
  evaluator: Evaluator,
  advised: Evaluated,
  name: SysctlName,
  tolerance: Score,
): Operation {
  const current: HostSysctls = { ...evaluator.request.host.sysctl, ...evaluator.request.sysctl };
  const sysctl = without(advised.change.sysctl, name);
  const dropped = evaluator.evaluate({ sysctl, numatune: advised.change.numatune });
  const effect = effectText(advised.candidate.outcome, dropped.candidate.outcome, tolerance);
  return {
    action: 'replace',
    resourceType: 'sysctl',
    resource: name,
    path: `/vm/${name}`,
    value: advised.change.sysctl[name],
    previousValue: current[name],
    reason: `vm.${name} ${String(advised.change.sysctl[name])} ${effect}.`,
    requiresRestart: false,
  };
}

function domainOperation(
  evaluator: Evaluator,
  advised: Evaluated,
  name: string,
  setting: NumatuneSetting,
  tolerance: Score,
): Operation {
  const spec = evaluator.request.guests.find((guest) => guest.guest.name === name);
  const previous = effectiveNumatune(evaluator.request, name);
  const numatune = without(advised.change.numatune, name);
  const dropped = evaluator.evaluate({ sysctl: advised.change.sysctl, numatune });
  const effect = effectText(advised.candidate.outcome, dropped.candidate.outcome, tolerance);
  return {
    action: previous.mode === 'none' ? 'add' : setting.mode === 'none' ? 'remove' : 'replace',
    resourceType: 'domain',
    resource: name,
    path: '/domain/numatune',
    value: numatuneValue(setting, spec),
    previousValue: previous.mode === 'none' ? null : { ...previous },
    reason:
      `${settingText(setting)} leaves ${name} with ${remotePages(advised, spec)} pages remote, ` +
      `${settingText(previous)} with ${remotePages(dropped, spec)}; over all guests it ${effect}.`,
    // A planned guest has not started yet, and running ones are never changed.
    requiresRestart: spec?.state === 'running',
  };
}

/** With one policy per cell, each cell keeps its own nodes and gets the new mode. */
function numatuneValue(setting: NumatuneSetting, spec: GuestSpec | undefined): NumatuneValue {
  const { mode, nodeset } = setting;
  const regions = spec?.guest.regions ?? [];
  const nodesOf = nodesByRegion(regions, nodeset);
  const differ = new Set(nodesOf.map((nodes) => nodes.join(','))).size > 1;
  if (!differ || mode === 'none') return { mode, nodeset };
  const memnodes = regions.map((region, i) => ({
    cellid: region.cell,
    mode,
    nodeset: nodesOf[i] ?? nodeset,
  }));
  return { mode, nodeset, memnodes };
}

function remotePages(evaluated: Evaluated, spec: GuestSpec | undefined): string {
  const guest = evaluated.candidate.outcome.guests.find((g) => g.name === spec?.guest.name);
  if (!guest) return '0';
  const pages = guest.pagesByNode.reduce((sum, node) => sum + node.pages, 0);
  return guest.oomKilled
    ? 'no pages (it is killed), none'
    : `${formatCount(guest.remoteShare * pages)} of ${formatCount(pages)}`;
}
