import type { HostSysctls, SysctlName } from '@zonewise/simulator';
import { effectiveNumatune } from './compile';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { NO_CHANGE, changeCount, without as withoutEntry } from './change';
import { effectText, settingText } from './explain';
import { formatMib } from './format';
import type { Judge } from './objective';
import { hasCellNodes, nodesByRegion, tunedRegions } from './placement';
import type {
  GuestSpec,
  NumatuneSetting,
  NumatuneValue,
  Operation,
  Outcome,
  RecommendationContent,
} from './types';

type Groups = RecommendationContent['content']['operationGroups'];

/**
 * The steps from the baseline to the advised configuration, kernel settings first: a guest that starts
 * afterwards meets them. Each reason compares the replay with the setting to the replay without it.
 */
export function operationGroups(evaluator: Evaluator, advised: Evaluated, judge: Judge): Groups {
  const sysctls = Object.keys(advised.change.sysctl).map((name) =>
    sysctlOperation(evaluator, advised, name as SysctlName, judge),
  );
  const domains = Object.entries(advised.change.numatune).map(([name, setting]) =>
    domainOperation(evaluator, advised, name, setting, judge),
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
  judge: Judge,
): Operation {
  const current: HostSysctls = { ...evaluator.request.host.sysctl, ...evaluator.request.sysctl };
  const sysctl = withoutEntry(advised.change.sysctl, name);
  const compared = comparison(evaluator, advised, { sysctl, numatune: advised.change.numatune });
  const without = compared.other.candidate.outcome;
  const effect = effectText(advised.candidate.outcome, without, judge);
  return {
    action: 'replace',
    resourceType: 'sysctl',
    resource: name,
    path: `/vm/${name}`,
    value: advised.change.sysctl[name],
    previousValue: current[name],
    reason: `${compared.given}vm.${name} ${String(advised.change.sysctl[name])} ${effect}.`,
    requiresRestart: false,
  };
}

function domainOperation(
  evaluator: Evaluator,
  advised: Evaluated,
  name: string,
  setting: NumatuneSetting,
  judge: Judge,
): Operation {
  const spec = evaluator.request.guests.find((guest) => guest.guest.name === name);
  const previous = effectiveNumatune(evaluator.request, name);
  const numatune = withoutEntry(advised.change.numatune, name);
  const compared = comparison(evaluator, advised, { sysctl: advised.change.sysctl, numatune });
  const without = compared.other.candidate.outcome;
  const effect = effectText(advised.candidate.outcome, without, judge);
  return {
    action: previous.mode === 'none' ? 'add' : setting.mode === 'none' ? 'remove' : 'replace',
    resourceType: 'domain',
    resource: name,
    path: '/domain/numatune',
    value: numatuneValue(setting, spec),
    previousValue: previous.mode === 'none' ? null : { ...previous },
    reason:
      compared.given +
      fates(name, [setting, advised.candidate.outcome], [previous, without]) +
      `; over all guests it ${effect}.`,
    // A planned guest has not started yet, and running ones are never changed.
    requiresRestart: spec?.state === 'running',
  };
}

/**
 * What a setting is compared with: everything else as advised, or, where the search has used up its
 * replays, today's setting without any of the changes; `given` is the condition in words.
 */
function comparison(
  evaluator: Evaluator,
  advised: Evaluated,
  without: Change,
): { other: Evaluated; given: string } {
  const other = evaluator.tryEvaluate(without);
  if (other) return { other, given: changeCount(without) > 0 ? 'Given the other changes, ' : '' };
  return { other: evaluator.evaluate(NO_CHANGE), given: 'Together with the other changes, ' };
}

/** Where cells have nodes of their own today, each of them gets the new mode and its nodes. */
function numatuneValue(setting: NumatuneSetting, spec: GuestSpec | undefined): NumatuneValue {
  const { mode, nodeset } = setting;
  const regions = spec ? tunedRegions(spec) : [];
  if (!hasCellNodes(regions) || mode === 'none') return { mode, nodeset };
  const nodesOf = nodesByRegion(regions, nodeset);
  const memnodes = regions.map((region, i) => ({
    cellid: region.cell,
    mode,
    nodeset: nodesOf[i] ?? nodeset,
  }));
  return { mode, nodeset, memnodes };
}

type Replayed = [NumatuneSetting, Outcome];

/** `strict on node 0 leaves 0 MiB of web1's 1,024 MiB remote (with preferred on node 0: 220 MiB)`. */
function fates(name: string, [setting, outcome]: Replayed, [previous, before]: Replayed): string {
  const then = remoteOf(outcome, name);
  const now = remoteOf(before, name);
  const left = then
    ? `leaves ${formatMib(then.remotePages)} of ${name}'s ${formatMib(then.pages)} remote`
    : `gets ${name} killed`;
  const leftNow = now ? `${formatMib(now.remotePages)}` : `${name} is killed`;
  return `${settingText(setting)} ${left} (with ${settingText(previous)}: ${leftNow})`;
}

/** Undefined for a killed guest. */
function remoteOf(
  outcome: Outcome,
  name: string,
): { pages: number; remotePages: number } | undefined {
  const guest = outcome.guests.find((candidate) => candidate.name === name);
  if (!guest || guest.oomKilled) return undefined;
  const pages = guest.pagesByNode.reduce((sum, node) => sum + node.pages, 0);
  return { pages, remotePages: guest.remoteShare * pages };
}
