import type { Change, Evaluated } from './evaluator';
import { changeCount } from './change';
import { formatCount, formatList, formatMib, formatMs, formatPercent, formatSome } from './format';
import { formatNodeset, nodesText } from './host-nodes';
import { DEFAULT_HUGEPAGE_KIB } from './hugepages';
import { losesText, lossCounts, lossLabel, lostNames, sparedText } from './losses';
import type { Judge, Objective } from './objective';
import { STALL_BUDGET_SECONDS_PER_GIB, firstDifference, scoreOf } from './objective';
import type { Shortfall } from './evidence/shortfall';
import { shortfallOf, shortfallOfKill } from './evidence/shortfall';
import type { Candidate, NumatuneValue, Outcome, PinningValue } from './types';

/** `strict on node 0`, `strict on node 0 (cell 0) and node 1 (cell 1)`, `no numatune`: a setting in a sentence. */
export function settingText({ mode, nodeset, memnodes = [] }: NumatuneValue): string {
  if (mode === 'none') return 'no numatune';
  if (memnodes.length === 0) return `${mode} on ${nodesText(nodeset)}`;
  const isOneMode = memnodes.every((memnode) => memnode.mode === mode);
  const places = memnodes.map(({ cellid, ...own }) => ({
    cellid,
    where: isOneMode ? nodesText(own.nodeset) : settingText(own),
  }));
  return isOneMode ? `${mode} on ${cellsText(places)}` : cellsText(places);
}

/** `node 1`, `node 0 (cell 0) and node 1 (cell 1)`: the nodes whose CPUs run the vCPUs, by cell where cells differ. */
export function pinText({ nodes, cells = [] }: PinningValue): string {
  if (cells.length === 0) return nodesText(nodes);
  return cellsText(cells.map((cell) => ({ cellid: cell.cellid, where: nodesText(cell.nodes) })));
}

/** Places with their guest cells, those of the same place together. */
function cellsText(places: { cellid: number; where: string }[]): string {
  const cellsOf = new Map<string, number[]>();
  for (const { cellid, where } of places) {
    cellsOf.set(where, [...(cellsOf.get(where) ?? []), cellid]);
  }
  const texts = [...cellsOf].map(
    ([where, cells]) => `${where} (cell${cells.length === 1 ? '' : 's'} ${formatNodeset(cells)})`,
  );
  return formatList(texts);
}

/** A change in words: `zone_reclaim_mode=1, web1 strict on node 0`. */
export function changeText(change: Change): string {
  const sysctls = Object.entries(change.sysctl).map(([name, value]) => `${name}=${String(value)}`);
  const alike = new Map<string, string[]>();
  for (const [name, setting] of Object.entries(change.numatune)) {
    const text = settingText(setting);
    alike.set(text, [...(alike.get(text) ?? []), name]);
  }
  const guests = [...alike].map(([text, names]) => `${formatList(names)} ${text}`);
  const text = [...sysctls, ...hostTexts(change), ...guests, ...documentTexts(change)].join(', ');
  return text || 'the setting as it is';
}

function hostTexts({ thp = {}, hugepages = [], startOrder }: Change): string[] {
  return [
    ...Object.entries(thp).map(([file, value]) => `transparent_hugepage/${file}=${value}`),
    ...hugepages.map(
      ({ node, count, sizeKib = DEFAULT_HUGEPAGE_KIB }) =>
        `${count} huge pages of ${sizeKib} KiB on node ${node}`,
    ),
    ...(startOrder === undefined ? [] : [`started in the order ${formatList(startOrder)}`]),
  ];
}

function documentTexts({ pinning = {}, backing = {}, diskCache = {} }: Change): string[] {
  return [
    ...Object.entries(pinning).map(([name, pin]) => `${name} pinned to ${pinText(pin)}`),
    ...Object.entries(backing).map(([name, value]) =>
      typeof value === 'number'
        ? `${name} on huge pages of ${value} KiB`
        : `${name} on ${value} pages`,
    ),
    ...Object.entries(diskCache).map(([name, value]) => `${name} disk cache ${value}`),
  ];
}

/** One sentence with the numbers that decided against a candidate. */
export function whyNot(loser: Evaluated, advised: Evaluated, judge: Judge): string {
  const [lost, won] = [loser.candidate.outcome, advised.candidate.outcome];
  const difference = firstDifference(lost, won, judge);
  if (!difference) {
    const more = changeCount(loser.change) - changeCount(advised.change);
    return (
      `No figure is better by more than the model's tolerance (${figures(lost)})` +
      (more > 0
        ? `, and it changes ${more} more ${more === 1 ? 'setting' : 'settings'}.`
        : '; a tie goes to the candidate tried first.')
    );
  }
  if (difference.better === 'a') {
    return `Better in ${OBJECTIVE_LABELS[difference.objective]} as asked (${figures(lost)}), but not replayed under all variations.`;
  }
  return `${DECISIVE[difference.objective](loser, advised)}.`;
}

/** A candidate with why it lost and where it came short first. */
export function explainedCandidate(loser: Evaluated, advised: Evaluated, judge: Judge): Candidate {
  const { spills, kills } = loser;
  const shortfall =
    kills[0] !== undefined
      ? shortfallOfKill(kills[0])
      : spills[0] !== undefined
        ? shortfallOf(spills[0])
        : undefined;
  return {
    ...loser.candidate,
    whyNot: whyNot(loser, advised, judge),
    ...(shortfall && { shortfall }),
  };
}

/** What one setting does: the same configuration with it and without it. */
export function effectText(withIt: Outcome, without: Outcome, judge: Judge): string {
  const after = scoreOf(withIt);
  const before = scoreOf(without);
  const changed = judge.order.filter(
    (objective) => Math.abs(after[objective] - before[objective]) > judge.tolerance[objective],
  );
  const gains = changed.filter((objective) => after[objective] < before[objective]);
  const costs = changed.filter((objective) => after[objective] > before[objective]);
  const label = (objective: Objective): string =>
    objective === 'kills' ? lossLabel(withIt, without) : OBJECTIVE_LABELS[objective];
  const phrase = (objective: Objective): string => {
    if (objective === 'remote' && !shareTells(withIt, without)) {
      const [from, to] = distances(without, withIt);
      return `distance to guest memory beyond local from ${from} to ${to}`;
    }
    return `${label(objective)} from ${FIGURES[objective](without)} to ${FIGURES[objective](withIt)}`;
  };
  const gain = gains.length > 0 ? `lowers ${formatList(gains.map(phrase))}` : 'changes no figure';
  const cost = costs.length > 0 ? `; it raises ${formatList(costs.map(phrase))}` : '';
  const cache = changed.includes('cache') ? '' : `; ${cacheText(withIt, without)}`;
  return `${gain}${cost}${cache}`;
}

/** What a setting does to the page cache is always said, also where it does not decide. */
function cacheText(withIt: Outcome, without: Outcome): string {
  const [after, before] = [FIGURES.cache(withIt), FIGURES.cache(without)];
  return after === before
    ? `page cache lost stays at ${after}`
    : `page cache lost goes from ${before} to ${after}`;
}

export const OBJECTIVE_LABELS: Record<Objective, string> = {
  kills: 'guests killed',
  swap: 'memory swapped out',
  'stall-excess': 'stalls over the budget',
  remote: 'remote guest memory',
  headroom: 'memory in use on the fullest node',
  room: 'memory of the host that is not left on one node',
  cache: 'page cache lost',
  stall: 'stalls',
};

export const FIGURES: Record<Objective, (outcome: Outcome) => string> = {
  kills: (outcome) => String(lostNames(outcome).length),
  swap: (outcome) => formatMib(outcome.swappedOutPages),
  'stall-excess': (outcome) => formatMs(scoreOf(outcome)['stall-excess']),
  remote: (outcome) =>
    outcome.remoteCost > 0
      ? `${formatPercent(outcome.remoteShare)} (${outcome.remoteCost.toFixed(3)} further than local)`
      : formatPercent(outcome.remoteShare),
  headroom: (outcome) => formatPercent(1 - outcome.headroomShare),
  room: (outcome) => formatPercent(scoreOf(outcome).room),
  cache: (outcome) => formatMib(outcome.cacheLostPages),
  stall: (outcome) => formatMs(outcome.stallNs),
};

/** What one node has left at most, of the host's memory. */
export function roomText(outcome: Outcome): string {
  return formatPercent(1 - scoreOf(outcome).room);
}

/** Whether the one whose memory is further has more of it on nodes without its vCPUs, as far as a reader sees. */
export function shareTells(a: Outcome, b: Outcome): boolean {
  const [further, nearer] = a.remoteCost > b.remoteCost ? [a, b] : [b, a];
  return (
    further.remoteShare > nearer.remoteShare &&
    formatPercent(further.remoteShare) !== formatPercent(nearer.remoteShare)
  );
}

/** What decides where memory is further, in the middle of a sentence: the share that is remote, or distances where that tells nothing. */
export function remoteAgainst(further: Outcome, nearer: Outcome): string {
  if (shareTells(further, nearer)) {
    return `${FIGURES.remote(further)} of guest memory is remote against ${FIGURES.remote(nearer)}`;
  }
  const [far, near] = distances(further, nearer);
  const isSpread = further.guests.some((guest) => guest.remoteShare === 0 && guest.remoteCost > 0);
  return (
    `the guests' memory is on average ${far} of the local distance further from their vCPUs than local memory, ` +
    `against ${near}` +
    (isSpread
      ? "; where a guest's vCPUs run on several nodes, none of its memory there counts as remote"
      : '')
  );
}

/** Means beyond local, of the local distance, as exactly as it takes to tell them apart. */
function distances(a: Outcome, b: Outcome): [string, string] {
  const digits = a.remoteCost.toFixed(3) === b.remoteCost.toFixed(3) ? 4 : 3;
  return [a.remoteCost.toFixed(digits), b.remoteCost.toFixed(digits)];
}

const DECISIVE: Record<Objective, (loser: Evaluated, advised: Evaluated) => string> = {
  kills: (loser, advised) => {
    const kill = loser.kills[0];
    const short = kill && shortfallOfKill(kill);
    const where = kill
      ? `, first ${kill.victim} when ${kill.invokedBy} needed memory (${kill.constraint}` +
        `${short ? `; ${shortfallText(short)}` : ''})`
      : '';
    const [lost, won] = [loser.candidate.outcome, advised.candidate.outcome];
    return `${losesText(lost, where)}; as advised ${sparedText(won, lost)}`;
  },
  swap: against('swap', 'Swaps out'),
  'stall-excess': (loser, advised) =>
    `Guests wait ${FIGURES.stall(loser.candidate.outcome)} for reclaim against ` +
    `${FIGURES.stall(advised.candidate.outcome)}, over the budget of ${STALL_BUDGET_SECONDS_PER_GIB} s per GiB`,
  remote: (loser, advised) => {
    const [lost, won] = [loser.candidate.outcome, advised.candidate.outcome];
    const guests = lost.guests
      .filter((guest) => guest.remoteShare > 0 && shareTells(lost, won))
      .map((guest) => `${guest.name} ${formatPercent(guest.remoteShare)}`);
    const spill = loser.spills[0];
    const proof = spill
      ? `; ${spill.guest} left node ${spill.fromNode}: ${shortfallText(shortfallOf(spill))}`
      : '';
    const text = remoteAgainst(lost, won);
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}${guests.length > 0 ? ` (${formatSome(guests)})` : ''}${proof}`;
  },
  headroom: (loser, advised) =>
    `Same locality, but ${FIGURES.headroom(loser.candidate.outcome)} of the fullest node is in use against ` +
    FIGURES.headroom(advised.candidate.outcome),
  room: (loser, advised) =>
    `Leaves less in one place: the node with the most room has ${roomText(loser.candidate.outcome)} of the host's memory ` +
    `free or as page cache against ${roomText(advised.candidate.outcome)}`,
  cache: (loser, advised) =>
    `Same locality (${FIGURES.remote(loser.candidate.outcome)} remote), but loses ` +
    `${FIGURES.cache(loser.candidate.outcome)} of ${formatMib(loser.cacheBeforePages)} page cache ` +
    `against ${FIGURES.cache(advised.candidate.outcome)}`,
  stall: (loser, advised) =>
    `Same locality and page cache, but guests wait ${FIGURES.stall(loser.candidate.outcome)} for ` +
    `reclaim against ${FIGURES.stall(advised.candidate.outcome)}`,
};

/** Node, zone, order, mark and the pages that were missing, or that no free block was large enough. */
function shortfallText(short: Shortfall): string {
  const { nodeId, zone, order, mark, markPages, freePages, refusedBy, shortPages } = short;
  const had = `node ${nodeId} ${zone} had ${formatCount(freePages)} free pages`;
  return refusedBy === 'larger-blocks'
    ? `${had}, more than its ${mark} mark asks for, but no free block of order ${order} or above`
    : `${had} for a request of order ${order} and its ${mark} mark with reserve is ` +
        `${formatCount(markPages)}, ${formatCount(shortPages)} short`;
}

function against(
  objective: Objective,
  verb: string,
): (loser: Evaluated, advised: Evaluated) => string {
  return (loser, advised) =>
    `${verb} ${FIGURES[objective](loser.candidate.outcome)} against ` +
    FIGURES[objective](advised.candidate.outcome);
}

function figures(outcome: Outcome): string {
  return (
    `${lossCounts(outcome)}, ${FIGURES.remote(outcome)} remote, ` +
    `${FIGURES.cache(outcome)} page cache lost, ${FIGURES.stall(outcome)} stall`
  );
}
