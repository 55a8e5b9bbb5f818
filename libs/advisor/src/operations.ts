import type { HostSysctls, RegionSpec, SysctlName } from '@zonewise/simulator';
import { NO_CHANGE, changeCount, startOrder, without as withoutEntry } from './change';
import { effectiveNumatune } from './compile';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { effectText, pinText, settingText } from './explain';
import { formatCount, formatList, formatMib } from './format';
import { nodeUnion, sameNodes } from './host-nodes';
import { DEFAULT_HUGEPAGE_KIB } from './hugepages';
import { matchingPins } from './matching-pins';
import type { Judge } from './objective';
import { firstDifference } from './objective';
import { ownValue } from './own-value';
import { basePages, poolNeeds } from './pools';
import { hasCellNodes, nodesByRegion, tunedRegions } from './placement';
import type {
  AdviceRequest,
  BackingValue,
  GuestSpec,
  HugepageDemand,
  MemnodeSetting,
  NumatuneSetting,
  NumatuneValue,
  Operation,
  Outcome,
  RecommendationContent,
} from './types';
import { variationsOf } from './variation';

type Groups = RecommendationContent['content']['operationGroups'];

type Group = keyof typeof GROUPS;

/** One setting of a change: what it is, and the change without it. */
interface Part {
  group: Group;
  without: Change;
  operation: Omit<Operation, 'reason' | 'requiresRestart'>;
  /** What the setting does, from the replay with it and the one without; ends without a full stop. */
  says: (withIt: Outcome, without: Outcome, effect: string) => string;
}

/** Groups in the order in which they are applied: a guest that starts meets what came before. */
const GROUPS = {
  kernel: 'Kernel settings of the host',
  pools: 'Pools of huge pages, as early as free memory is not scattered yet',
  guests: 'numatune of the guests, before they start',
  documents: 'Other settings of the guests, before they start',
  order: 'Order in which the guests start',
} as const;

/**
 * The steps from the baseline to the advised configuration, kernel settings first: a guest that starts
 * afterwards meets them. Each reason compares the replay with the setting to the replay without it.
 * @param mayReplay whether a comparison that was not replayed yet may be; else today's setting stands in for it
 */
export function operationGroups(
  evaluator: Evaluator,
  advised: Evaluated,
  judge: Judge,
  mayReplay = true,
): Groups {
  const parts = partsOf(evaluator, advised.change);
  const pins = matchingPinOperations(evaluator, advised.change);
  return (Object.keys(GROUPS) as Group[]).flatMap((group) => {
    const members = parts.filter((part) => part.group === group);
    const mates = members.length - 1;
    const operations = members.map((part) =>
      operationOf(part, evaluator, advised, { judge, mayReplay, mates }),
    );
    if (group === 'documents') operations.push(...pins);
    return operations.length > 0 ? [{ description: GROUPS[group], operations }] : [];
  });
}

/** Pins that no replay tells the worth of: it has the vCPUs there with them and without. */
function matchingPinOperations({ request }: Evaluator, change: Change): Operation[] {
  return [...matchingPins(request, change)].map(([name, pin]) => ({
    ...{ action: 'replace', resourceType: 'domain', resource: name, path: PIN_PATH },
    ...{ value: pin, previousValue: null },
    reason:
      `The replay takes ${name}'s vCPUs to run on ${pinText(pin)}, where its numatune has its memory; ` +
      'without a pin the scheduler may run them on any node.',
    requiresRestart: false,
  }));
}

function operationOf(
  part: Part,
  evaluator: Evaluator,
  advised: Evaluated,
  { judge, mayReplay, mates }: { judge: Judge; mayReplay: boolean; mates: number },
): Operation {
  const { operation, says } = part;
  const { other, given } = comparison(evaluator, advised, part, { mates, mayReplay });
  const [withIt, withoutIt] = [advised.candidate.outcome, other.candidate.outcome];
  const effect = effectText(withIt, withoutIt, judge);
  const { guests } = evaluator.request;
  const spec = guests.find(({ guest }) => guest.name === operation.resource);
  const varied = variedText(evaluator, advised.change, other.change, judge);
  return {
    ...operation,
    reason: `${given}${says(withIt, withoutIt, effect)}${varied}.`,
    // A planned guest has not started yet; a running one has what it was started with.
    requiresRestart: operation.resourceType === 'domain' && spec?.state === 'running',
  };
}

/** What a setting does under the variations that both configurations were replayed under; empty where that is nothing. */
function variedText(evaluator: Evaluator, withIt: Change, without: Change, judge: Judge): string {
  for (const variation of variationsOf(evaluator.request)) {
    const after = evaluator.knownVaried(withIt, variation);
    const before = evaluator.knownVaried(without, variation);
    const difference = after && before && firstDifference(after, before, judge);
    if (!difference || difference.better === 'b') continue;
    return `; under the variation ${variation.name} it ${effectText(after, before, judge)}`;
  }
  return '';
}

function partsOf(evaluator: Evaluator, change: Change): Part[] {
  const { request } = evaluator;
  const current: HostSysctls = { ...request.host.sysctl, ...request.sysctl };
  const thpNow = { ...request.host.thp, ...request.thp };
  const sysctls = Object.entries(change.sysctl).map(([name, value]): Part => {
    const previousValue = current[name as SysctlName];
    return {
      group: 'kernel',
      without: { ...change, sysctl: withoutEntry(change.sysctl, name) },
      operation: {
        ...{ action: 'replace', resourceType: 'sysctl', resource: name, path: `/vm/${name}` },
        ...{ value, previousValue },
      },
      says: (_with, _without, effect) => `vm.${name} ${String(value)} ${effect}`,
    };
  });
  const thp = (Object.keys(change.thp ?? {}) as ('enabled' | 'defrag')[]).map((file): Part => {
    const value = change.thp?.[file];
    return {
      group: 'kernel',
      without: { ...change, thp: withoutEntry(change.thp ?? {}, file) },
      operation: {
        ...{ action: 'replace', resourceType: 'thp', resource: file },
        ...{ path: `${THP_FOLDER}/${file}`, value, previousValue: thpNow[file] },
      },
      says: (_with, _without, effect) => `transparent_hugepage/${file} ${String(value)} ${effect}`,
    };
  });
  const domains = [
    ...Object.entries(change.numatune).map(([name, setting]) =>
      numatunePart(evaluator, change, name, setting),
    ),
    ...documentParts(evaluator, change),
  ];
  const pools = (change.hugepages ?? []).map((pool) => poolPart(evaluator, change, pool));
  return [...sysctls, ...thp, ...pools, ...domains, ...orderPart(evaluator, change)];
}

/** Elements of a domain document that operations of its settings name. */
export const PIN_PATH = '/domain/vcpu/@cpuset';
export const NUMATUNE_PATH = '/domain/numatune';
const THP_FOLDER = '/sys/kernel/mm/transparent_hugepage';

function numatunePart(
  { request }: Evaluator,
  change: Change,
  name: string,
  setting: NumatuneValue,
): Part {
  const spec = request.guests.find((guest) => guest.guest.name === name);
  const previous = numatuneToday(request, name, spec);
  const value = numatuneValue(setting, spec);
  return {
    group: 'guests',
    without: { ...change, numatune: withoutEntry(change.numatune, name) },
    operation: {
      action: previous.mode === 'none' ? 'add' : setting.mode === 'none' ? 'remove' : 'replace',
      ...{ resourceType: 'domain', resource: name, path: NUMATUNE_PATH },
      value,
      previousValue: previous.mode === 'none' ? null : previous,
    },
    says: (withIt, without, effect) =>
      `${fates(name, [value, withIt], [previous, without])}; over all guests it ${effect}`,
  };
}

function documentParts({ request }: Evaluator, change: Change): Part[] {
  const part = (
    kind: 'pinning' | 'backing' | 'diskCache',
    name: string,
    path: string,
    text: string,
  ): Part => ({
    group: 'documents',
    without: { ...change, [kind]: withoutEntry(change[kind] ?? {}, name) },
    operation: {
      ...{ action: 'replace', resourceType: 'domain', resource: name, path },
      value: ownValue<unknown>(change[kind], name),
      previousValue: ownValue<unknown>(request[kind], name) ?? null,
    },
    says: (_with, _without, effect) => `${name} ${text} ${effect}`,
  });
  return [
    ...Object.entries(change.pinning ?? {}).map(([name, value]) =>
      part('pinning', name, PIN_PATH, `pinned to the CPUs of ${pinText(value)}`),
    ),
    ...Object.entries(change.backing ?? {}).map(([name, value]): Part => {
      const plain = part('backing', name, '/domain/memoryBacking', `on ${BACKINGS[value]}`);
      if (typeof value !== 'number') return plain;
      const cost = `; its memory is not swapped, merged or given back while it runs`;
      return { ...plain, says: (...found) => `${plain.says(...found)}${cost}` };
    }),
    ...Object.entries(change.diskCache ?? {}).map(([name, value]) =>
      part('diskCache', name, '/domain/devices/disk/driver/@cache', `with disk cache ${value}`),
    ),
  ];
}

const BACKINGS: Record<BackingValue, string> = {
  base: 'base pages',
  thp: 'transparent huge pages',
  2048: 'huge pages of 2 MiB from the pool',
  1048576: 'huge pages of 1 GiB from the pool',
};

function poolPart({ request }: Evaluator, change: Change, pool: HugepageDemand): Part {
  const { node, count, sizeKib = DEFAULT_HUGEPAGE_KIB } = pool;
  const rest = (change.hugepages ?? []).filter((one) => one !== pool);
  const now = poolNeeds(request).find((one) => one.node === node && one.sizeKib === sizeKib);
  const balance =
    now && now.short > 0
      ? `${formatCount(now.short)} pages short`
      : now && now.idle > 0
        ? `${formatCount(now.idle)} pages larger than its guests need`
        : undefined;
  return {
    group: 'pools',
    without: { ...change, hugepages: rest },
    operation: {
      ...{ action: 'replace', resourceType: 'hugepages', resource: `node${node}` },
      path: `/sys/devices/system/node/node${node}/hugepages/hugepages-${sizeKib}kB/nr_hugepages`,
      value: count,
      // What the demand writes is there before the advice is.
      previousValue: now?.total ?? 0,
    },
    says: (_with, _without, effect) =>
      `${count} huge pages of ${sizeKib} KiB on node ${node} ${effect}; ` +
      `${formatMib(count * basePages(sizeKib))} of the node are locked away from page cache and from guests on other pages, ` +
      `used or not${balance === undefined ? '' : ` (as it is the pool is ${balance})`}`,
  };
}

function orderPart({ request }: Evaluator, change: Change): Part[] {
  if (change.startOrder === undefined) return [];
  const { startOrder: value, ...without } = change;
  return [
    {
      group: 'order',
      without,
      operation: {
        ...{ action: 'replace', resourceType: 'start-order', resource: 'host' },
        ...{ path: '/startOrder', value, previousValue: startOrder(request) },
      },
      says: (_with, _without, effect) => `starting ${formatList(value)} in this order ${effect}`,
    },
  ];
}

interface Comparison {
  other: Evaluated;
  /** The condition in words. */
  given: string;
}

/**
 * What a setting is compared with: everything else as advised; where the search has no replay left for each setting,
 * everything but the settings of its group, replayed once for all of them; at last the setting as it is.
 */
function comparison(
  evaluator: Evaluator,
  advised: Evaluated,
  { without, group }: Part,
  { mates, mayReplay }: { mates: number; mayReplay: boolean },
): Comparison {
  const other = mayReplay ? evaluator.tryEvaluate(without) : evaluator.known(without);
  if (other) return { other, given: changeCount(without) > 0 ? 'Given the other changes, ' : '' };
  const rest = withoutGroup(advised.change, group);
  const grouped = mayReplay ? evaluator.evaluate(rest) : evaluator.tryEvaluate(rest);
  if (!grouped) {
    return { other: evaluator.evaluate(NO_CHANGE), given: 'Together with the other changes, ' };
  }
  const others = mates === 1 ? 'change' : 'changes';
  const beside = changeCount(rest) > 0 ? 'Given the rest, ' : '';
  const given = mates > 0 ? `Together with the ${mates} other ${others} of its kind, ` : '';
  return {
    other: grouped,
    given: beside && given ? `${beside}together${given.slice(8)}` : beside + given,
  };
}

/** The change without a whole group of its settings. */
function withoutGroup(change: Change, group: Group): Change {
  const rest = { ...change };
  switch (group) {
    case 'kernel':
      delete rest.thp;
      return { ...rest, sysctl: {} };
    case 'pools':
      delete rest.hugepages;
      return rest;
    case 'guests':
      return { ...rest, numatune: {} };
    case 'documents':
      delete rest.pinning;
      delete rest.backing;
      delete rest.diskCache;
      return rest;
    case 'order':
      delete rest.startOrder;
      return rest;
  }
}

/** As it is configured, with the cells that differ from the whole: a guest's spec has one nodeset for all. */
function numatuneToday(
  request: AdviceRequest,
  name: string,
  spec: GuestSpec | undefined,
): NumatuneValue {
  const override = ownValue(request.numatune, name);
  if (override !== undefined) return numatuneValue(override, spec);
  const whole = effectiveNumatune(request, name);
  const cells = spec ? tunedRegions(spec).map((region) => cellToday(region, whole)) : [];
  const differs = cells.some(
    ({ mode, nodeset }) => mode !== whole.mode || !sameNodes(nodeset, whole.nodeset),
  );
  // All memory of a guest with one cell or without cells is where its numatune says.
  const hasOwn = differs && cells.length > 1 && whole.mode !== 'none';
  return hasOwn ? { ...whole, memnodes: cells } : { ...whole };
}

/** numatune of a cell by its policy; restrictive leaves that at default and limits the cell by its cpuset alone. */
function cellToday(
  { cell, policy, cpusetMems = [] }: RegionSpec,
  { mode }: NumatuneSetting,
): MemnodeSetting {
  if (policy.mode !== 'default') {
    return { cellid: cell, mode: MODES[policy.mode], nodeset: nodeUnion(policy.nodes) };
  }
  if (mode === 'restrictive') return { cellid: cell, mode, nodeset: nodeUnion(cpusetMems) };
  return { cellid: cell, mode: 'none', nodeset: [] };
}

const MODES = {
  bind: 'strict',
  preferred: 'preferred',
  preferred_many: 'preferred',
  interleave: 'interleave',
} as const;

/** Where cells have nodes of their own today, each of them gets the new mode and its nodes. */
function numatuneValue(setting: NumatuneValue, spec: GuestSpec | undefined): NumatuneValue {
  const { mode, nodeset } = setting;
  if (setting.memnodes !== undefined) return setting;
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

type Replayed = [NumatuneValue, Outcome];

/** `strict on node 0 leaves 0 MiB of web1's 1,024 MiB remote (with preferred on node 0: 220 MiB)`. */
function fates(name: string, [setting, outcome]: Replayed, [previous, before]: Replayed): string {
  const then = remoteOf(outcome, name);
  const now = remoteOf(before, name);
  const starts = (one: Outcome): boolean => !one.failedStarts.includes(name);
  const left = then
    ? `leaves ${formatMib(then.remotePages)} of ${name}'s ${formatMib(then.pages)} remote`
    : starts(outcome)
      ? `gets ${name} killed`
      : `keeps ${name} from starting`;
  const leftNow = now
    ? formatMib(now.remotePages)
    : `${name} ${starts(before) ? 'is killed' : 'does not start'}`;
  return `${settingText(setting)} ${left} (with ${settingText(previous)}: ${leftNow})`;
}

/** Undefined for a guest that is killed or does not start. */
function remoteOf(
  outcome: Outcome,
  name: string,
): { pages: number; remotePages: number } | undefined {
  const guest = outcome.guests.find((candidate) => candidate.name === name);
  if (!guest || guest.oomKilled || outcome.failedStarts.includes(name)) return undefined;
  const pages = guest.pagesByNode.reduce((sum, node) => sum + node.pages, 0);
  return { pages, remotePages: guest.remoteShare * pages };
}
