import { PAGES_PER_MIB, type HostModel, type HostNode } from '@zonewise/simulator';
import { formatCount, formatList, formatMib } from '../format';
import { managedPages } from '../host-nodes';
import { lossesOf, lostNames } from '../losses';
import { NUMATUNE_PATH, PIN_PATH } from '../operations';
import type {
  Candidate,
  NumatuneValue,
  Outcome,
  PinningValue,
  RecommendationContent,
} from '../types';
import {
  appliedSettings,
  fateOf,
  type ComparedSetting,
  type Fate,
  type ObservedDocument,
} from './applied-settings';

/** A differing page count is agreement up to this much, whatever the node's size. */
const TOLERANCE_MIN_PAGES = 8 * PAGES_PER_MIB;
export const TOLERANCE_PERCENT = 2;

/** A running guest as it was found after the change. */
export interface ObservedGuest {
  name: string;
  /** Guest memory by node; absent where nothing measured says where it is. */
  pagesByNode?: { nodeId: number; pages: number }[];
  /** What libvirt runs it from; absent where no document of it was gathered. */
  document?: ObservedDocument;
}

/** The part of a recommendation that says what will be. */
export interface Prediction {
  evidence: Pick<RecommendationContent['evidence'], 'advised'>;
  /** What is written for it; absent: what the replay was given, as it is. */
  content?: RecommendationContent['content'];
}

export interface Observation {
  host: HostModel;
  /**
   * Paths of the host model that the texts say themselves (`sysctl.swappiness`, `thp.enabled`, `nodes.1.hugepages`); of
   * what is not among them no setting is compared. Absent: all of them.
   */
  read?: readonly string[];
  guests: ObservedGuest[];
}

/** A predicted and a found count of pages. */
export interface Compared {
  predictedPages: number;
  foundPages: number;
  /** Found minus predicted. */
  differencePages: number;
  tolerancePages: number;
  agrees: boolean;
}

/**
 * AGREES: every figure is within its tolerance. DIFFERS: at least one is not. NOT_APPLIED: a setting of the
 * advice is not in force, so that there is no prediction to hold against. INCOMPLETE: what the advice is about
 * was not gathered: a node, where a guest's memory is, or whether a setting is in force. The figures that there are stand
 * in each of them.
 */
export type VerificationVerdict = 'AGREES' | 'DIFFERS' | 'NOT_APPLIED' | 'INCOMPLETE';

export interface VerificationResult {
  verdict: VerificationVerdict;
  /** One sentence with the largest difference. */
  summary: string;
  nodes: { nodeId: number; free: Compared; fileCache: Compared; anon: Compared }[];
  guests: { name: string; nodes: ({ nodeId: number } & Compared)[]; agrees: boolean }[];
  /** Settings of the advice, and what was found in their place; all others are among `notCompared`. */
  settings: ComparedSetting[];
  notCompared: { what: string; why: string }[];
  tolerance: { percent: number; minPages: number; rule: string };
}

/**
 * Holds a recommendation's prediction against what the host printed after the change, node by node.
 *
 * Predicted is the end of the replay with the advice: all guests have touched what the demand says. A host on
 * which guests have touched less, or on which something else runs, differs, and the figures say where.
 * @param tolerancePercent of a node's managed memory (a guest's memory for its pages), at least 8 MiB
 */
export function verifyPrediction(
  prediction: Prediction,
  { host, read, guests }: Observation,
  tolerancePercent = TOLERANCE_PERCENT,
): VerificationResult {
  const advised = asWritten(prediction);
  const { outcome } = advised;
  const notCompared: VerificationResult['notCompared'] = [];
  const nodes = compareNodes(outcome, host, tolerancePercent, notCompared);
  const found = new Map(guests.map((guest) => [guest.name, guest]));
  const losses = lossesOf(outcome);
  const compared = outcome.guests.flatMap(
    (guest) =>
      compareGuest(
        { ...guest, fate: fateOf(losses, guest.name) },
        found.get(guest.name),
        tolerancePercent,
        notCompared,
      ) ?? [],
  );
  noteStrangers(outcome, guests, notCompared);
  const documents = new Map(
    guests.flatMap(({ name, document }) => (document === undefined ? [] : [[name, document]])),
  );
  const given = read === undefined ? { host, documents } : { host, read, documents };
  const { compared: settings, missing, hidden } = appliedSettings(advised, given);
  notCompared.push(...missing, ...hidden);
  const facts = { nodes, guests: compared, settings, notCompared };
  return {
    ...verdictOf(outcome, found, facts, missing),
    ...facts,
    tolerance: {
      percent: tolerancePercent,
      minPages: TOLERANCE_MIN_PAGES,
      rule:
        `Free memory, page cache and anonymous memory agree within ${tolerancePercent} % of the node's managed ` +
        `memory, a guest's pages on a node within ${tolerancePercent} % of the guest's memory, both at least ` +
        `${formatMib(TOLERANCE_MIN_PAGES)}.`,
    },
  };
}

/**
 * The advised settings as documents have them: a replay keeps nodes of cells by itself, and vCPUs near their memory; a
 * document names and pins them.
 */
function asWritten({ evidence: { advised }, content }: Prediction): Candidate {
  const operations = (content?.operationGroups ?? []).flatMap((group) => group.operations);
  const written = <T>(path: string): Record<string, T> =>
    Object.fromEntries(
      operations
        .filter((one) => one.path === path)
        .map(({ resource, value }) => [resource, value as T]),
    );
  const pinning = { ...advised.pinning, ...written<PinningValue>(PIN_PATH) };
  return {
    ...advised,
    numatune: { ...advised.numatune, ...written<NumatuneValue>(NUMATUNE_PATH) },
    ...(Object.keys(pinning).length > 0 && { pinning }),
  };
}

type Facts = Pick<VerificationResult, 'nodes' | 'guests' | 'settings' | 'notCompared'>;

function compare(predictedPages: number, foundPages: number, whole: number, percent: number) {
  const differencePages = foundPages - predictedPages;
  const tolerancePages = Math.max(TOLERANCE_MIN_PAGES, Math.floor((whole * percent) / 100));
  const agrees = Math.abs(differencePages) <= tolerancePages;
  return { predictedPages, foundPages, differencePages, tolerancePages, agrees };
}

function compareNodes(
  outcome: Outcome,
  host: HostModel,
  percent: number,
  notCompared: VerificationResult['notCompared'],
): VerificationResult['nodes'] {
  return outcome.nodes.flatMap((predicted) => {
    const node = host.nodes.find(({ nodeId }) => nodeId === predicted.nodeId);
    if (node === undefined) {
      const why = 'The host that was gathered has no such node.';
      notCompared.push({ what: `node ${predicted.nodeId}`, why });
      return [];
    }
    const whole = managedPages(node);
    const one = (expected: number, seen: number): Compared =>
      compare(expected, seen, whole, percent);
    return [
      {
        nodeId: node.nodeId,
        free: one(predicted.freePages, freePages(node)),
        fileCache: one(
          predicted.fileCachePages,
          node.lru.activeFilePages + node.lru.inactiveFilePages,
        ),
        anon: one(predicted.anonPages, node.anonPages),
      },
    ];
  });
}

/** Free pages with those on per-CPU lists, as an outcome counts them. */
function freePages(node: HostNode): number {
  return node.zones.reduce(
    (sum, zone) =>
      zone.pagesets.reduce((pages, { countPages }) => pages + countPages, sum + zone.freePages),
    0,
  );
}

function compareGuest(
  predicted: Outcome['guests'][number] & { fate: Fate | undefined },
  found: ObservedGuest | undefined,
  percent: number,
  notCompared: VerificationResult['notCompared'],
): VerificationResult['guests'][number] | undefined {
  const { name } = predicted;
  const what = `guest ${name}`;
  if (found === undefined) {
    const why = predicted.fate
      ? `It was predicted ${predicted.fate} and is not among the running guests.`
      : 'It is not among the running guests that were gathered.';
    notCompared.push({ what, why });
    return undefined;
  }
  if (found.pagesByNode === undefined) {
    const why =
      'Neither numa_maps nor numastat -p of it was gathered: where its pages are is not known.';
    notCompared.push({ what, why });
    return undefined;
  }
  const pagesOf = (list: { nodeId: number; pages: number }[], nodeId: number): number =>
    list.reduce((sum, entry) => sum + (entry.nodeId === nodeId ? entry.pages : 0), 0);
  const seen = found.pagesByNode;
  const ids = [...predicted.pagesByNode, ...seen].map(({ nodeId }) => nodeId);
  const nodes = [...new Set(ids)]
    .sort((a, b) => a - b)
    .map((nodeId) => ({
      nodeId,
      ...compare(
        pagesOf(predicted.pagesByNode, nodeId),
        pagesOf(seen, nodeId),
        predicted.memoryPages,
        percent,
      ),
    }));
  return { name, nodes, agrees: nodes.every(({ agrees }) => agrees) };
}

function noteStrangers(
  outcome: Outcome,
  guests: ObservedGuest[],
  notCompared: VerificationResult['notCompared'],
): void {
  const known = new Set(outcome.guests.map(({ name }) => name));
  for (const { name } of guests) {
    if (known.has(name)) continue;
    notCompared.push({ what: `guest ${name}`, why: 'The recommendation does not know it.' });
  }
}

function verdictOf(
  outcome: Outcome,
  found: Map<string, ObservedGuest>,
  { nodes, guests, settings }: Facts,
  unknown: { what: string }[],
): Pick<VerificationResult, 'verdict' | 'summary'> {
  const missed = settings.filter(({ applied }) => !applied);
  if (missed.length > 0) {
    const list = missed.map((one) => `${one.name} is ${one.found} and not ${one.advised}`);
    return { verdict: 'NOT_APPLIED', summary: `The advice is not in force: ${formatList(list)}.` };
  }
  const lost = lostNames(outcome);
  const missing = outcome.guests
    .filter(({ name }) => !lost.includes(name) && found.get(name)?.pagesByNode === undefined)
    .map(({ name }) => name);
  const absentNodes = outcome.nodes.length - nodes.length;
  if (missing.length > 0 || absentNodes > 0 || unknown.length > 0) {
    const what = [
      ...(unknown.length > 0
        ? [
            `whether ${formatList(unknown.map(({ what }) => what))} ${unknown.length === 1 ? 'is' : 'are'} as advised`,
          ]
        : []),
      ...(missing.length > 0 ? [`where the memory of ${formatList(missing)} is`] : []),
      ...(absentNodes > 0 ? [`${absentNodes} of ${outcome.nodes.length} nodes`] : []),
    ];
    return { verdict: 'INCOMPLETE', summary: `Not gathered: ${formatList(what)}.` };
  }
  const figures = [...nodeFigures(nodes), ...guestFigures(guests)];
  const worst = figures
    .filter(({ compared }) => !compared.agrees)
    .sort((a, b) => excess(b.compared) - excess(a.compared));
  const [first] = worst;
  if (first === undefined) {
    const summary = `All ${figures.length} figures of ${nodes.length} nodes and ${guests.length} guests are within their tolerance.`;
    return { verdict: 'AGREES', summary };
  }
  const { predictedPages, foundPages, tolerancePages } = first.compared;
  return {
    verdict: 'DIFFERS',
    summary:
      `${worst.length} of ${figures.length} figures are beyond their tolerance, most of all ${first.what}: ` +
      `${formatCount(predictedPages)} pages predicted, ${formatCount(foundPages)} found, ` +
      `${formatCount(tolerancePages)} tolerated.`,
  };
}

interface Figure {
  what: string;
  compared: Compared;
}

function nodeFigures(nodes: VerificationResult['nodes']): Figure[] {
  return nodes.flatMap(({ nodeId, free, fileCache, anon }) => [
    { what: `free memory of node ${nodeId}`, compared: free },
    { what: `page cache of node ${nodeId}`, compared: fileCache },
    { what: `anonymous memory of node ${nodeId}`, compared: anon },
  ]);
}

function guestFigures(guests: VerificationResult['guests']): Figure[] {
  return guests.flatMap(({ name, nodes }) =>
    nodes.map((node) => ({ what: `${name} on node ${node.nodeId}`, compared: node })),
  );
}

const excess = ({ differencePages, tolerancePages }: Compared): number =>
  Math.abs(differencePages) - tolerancePages;
