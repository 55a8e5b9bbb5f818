import {
  NUMATUNE_PATH,
  PIN_PATH,
  changeText,
  lossesOf,
  pinText,
  settingText,
} from '@zonewise/advisor';
import type {
  AdviceContent,
  Candidate,
  NumatuneValue,
  Operation,
  Outcome,
  PinningValue,
  RecommendationContent,
  ReplayEvidence,
} from '@zonewise/advisor';
import { mib, render } from '../table';

const ms = (ns: number): string => `${(ns / 1e6).toFixed(ns >= 1e8 ? 0 : 1)} ms`;
const share = (part: number): string =>
  `${(part * 100).toFixed(part === 0 || part === 1 ? 0 : 1)} %`;
/** One value when nothing changes, so that the eye finds what does. */
const change = (now: string, advised: string): string =>
  now === advised ? now : `${now} -> ${advised}`;

const ALTERNATIVES_SHOWN = 6;

type OutcomeGuest = Outcome['guests'][number];

/** `none`, `strict 0,1`; in words where guest cells have nodes of their own. */
function numatune(value: NumatuneValue): string {
  if (value.mode === 'none') return 'none';
  if (value.memnodes !== undefined) return settingText(value);
  return `${value.mode} ${value.nodeset.join(',')}`;
}

/** numatune of a guest today and as advised; an outcome knows no cells, the operation that changes them does. */
function numatuneChange(
  before: OutcomeGuest,
  after: OutcomeGuest,
  operations: Operation[],
): string {
  const operation = operations.find(
    ({ resource, path }) => resource === before.name && path === NUMATUNE_PATH,
  );
  const now = (operation?.previousValue ?? before) as NumatuneValue;
  return change(numatune(now), numatune((operation?.value ?? after) as NumatuneValue));
}

function pagesOn(guest: OutcomeGuest, nodeId: number): number {
  return guest.pagesByNode.find((entry) => entry.nodeId === nodeId)?.pages ?? 0;
}

function fate(outcome: Outcome, { name }: OutcomeGuest): string {
  const { killed, notStarted } = lossesOf(outcome);
  return killed.includes(name) ? 'KILLED' : notStarted.includes(name) ? 'NOT STARTED' : 'no';
}

/**
 * Per VM: where its memory is today and as advised, whether it is killed, and what its faults waited.
 * @param operations the changes of the advice
 */
export function guestTable(now: Outcome, advised: Outcome, operations: Operation[]): string {
  const nodeIds = now.nodes.map((node) => node.nodeId);
  const rows = now.guests.map((before) => {
    const after = advised.guests.find((guest) => guest.name === before.name) ?? before;
    return [
      before.name,
      before.state,
      numatuneChange(before, after, operations),
      ...nodeIds.map((id) => change(mib(pagesOn(before, id)), mib(pagesOn(after, id)))),
      change(share(before.remoteShare), share(after.remoteShare)),
      change(fate(now, before), fate(advised, after)),
      change(ms(before.stallNs), ms(after.stallNs)),
    ];
  });
  const nodeHeads = nodeIds.map((id) => `node ${id} MiB`);
  return render(['VM', 'state', 'numatune', ...nodeHeads, 'remote', 'OOM', 'stall'], rows);
}

/** What the host pays: page cache kept per node, and who reclaimed how much. */
export function hostTable(now: Outcome, advised: Outcome): string {
  const rows = now.nodes.map((before) => {
    const after = advised.nodes.find((node) => node.nodeId === before.nodeId) ?? before;
    return [
      `node ${before.nodeId}`,
      change(mib(before.freePages), mib(after.freePages)),
      change(mib(before.fileCachePages), mib(after.fileCachePages)),
      change(mib(before.anonPages), mib(after.anonPages)),
    ];
  });
  const costs = [
    ['reclaimed by kswapd', now.kswapdReclaimedPages, advised.kswapdReclaimedPages],
    ['reclaimed by zone_reclaim', now.nodeReclaimedPages, advised.nodeReclaimedPages],
    ['reclaimed directly', now.directReclaimedPages, advised.directReclaimedPages],
    ['swapped out', now.swappedOutPages, advised.swappedOutPages],
  ] as const;
  return [
    render(['host', 'free MiB', 'page cache MiB', 'guest and other anonymous MiB'], rows),
    '',
    render(
      ['cost', 'MiB'],
      costs.map(([name, before, after]) => [name, change(mib(before), mib(after))]),
    ),
  ].join('\n');
}

function valueText(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.join(' ');
  if (typeof value !== 'object' || value === null) return 'as the document says';
  if ('nodes' in value) return `CPUs of ${pinText(value as PinningValue)}`;
  const setting = value as NumatuneValue;
  return setting.mode === 'none' ? 'no numatune' : numatune(setting);
}

const DOCUMENT_SETTINGS: Record<string, string> = {
  [NUMATUNE_PATH]: 'numatune',
  [PIN_PATH]: 'CPU set of its vCPUs',
  '/domain/memoryBacking': 'pages of its memory',
  '/domain/devices/disk/driver/@cache': 'disk cache',
};

function settingName({ resourceType, resource, path }: Operation): string {
  if (resourceType === 'sysctl') return `vm.${resource}`;
  if (resourceType === 'start-order') return 'order of starts';
  if (resourceType !== 'domain') return path;
  return `${resource} ${DOCUMENT_SETTINGS[path] ?? path}`;
}

function operationLines(operation: Operation): string[] {
  const { previousValue, value, requiresRestart, reason } = operation;
  const what = settingName(operation);
  // No numatune before is no value of the document.
  const isAdded = operation.path === NUMATUNE_PATH && previousValue === null;
  const before = isAdded ? 'no numatune' : valueText(previousValue);
  const restart = requiresRestart ? ' (needs a restart of the guest)' : '';
  return [`  - ${what}: ${before} -> ${valueText(value)}${restart}`, `    ${reason}`];
}

/** Behind what was replayed in miniature, where figures of replays in full stand beside it. */
function mark({ scale = 1 }: { scale?: number | undefined }): string {
  return scale > 1 ? ' *' : '';
}

/** What the mark means, below a list or table that has it. */
function markLines(marked: { scale?: number | undefined }[]): string[] {
  const scales = [...new Set(marked.flatMap(({ scale = 1 }) => (scale > 1 ? [scale] : [])))];
  if (scales.length === 0) return [];
  return [
    `  * replayed in miniature, all sizes divided by ${scales.join(' or ')}; its figures may differ from those of a replay in full`,
  ];
}

/** What changes of later stays are about: `web/2` is the domain `web` when it is there again, and has no document of its own. */
function stayLines({ guests }: Outcome, operations: Operation[]): string[] {
  const names = new Set(guests.map(({ name }) => name));
  const changed = operations.flatMap(({ resourceType, resource }) =>
    resourceType === 'domain' ? [resource] : [],
  );
  return [...new Set(changed)].flatMap((resource) => {
    const [, name = '', stay = ''] = /^(.+)\/(\d+)$/.exec(resource) ?? [];
    if (!names.has(name)) return [];
    return [
      `  ${resource} is stay ${stay} of ${name} on this host: its settings go into the document that ${name} starts or arrives with then, not earlier.`,
    ];
  });
}

/** Where the reasons of the changes are from; empty where that is what the tables are from. */
function reasonLines({ evidence }: RecommendationContent): string[] {
  if (!evidence.assumptions.some(({ code }) => code === 'search-in-miniature')) return [];
  return [
    '  Reasons compare replays in miniature with each other; their figures may differ from those of the tables, which are of replays in full.',
  ];
}

function alternativeLines(candidate: Candidate): string[] {
  const rules = candidate.rival === undefined ? '' : ` (${candidate.rival})`;
  return [
    `  - ${changeText(candidate)}${rules}${mark(candidate)}`,
    `    ${candidate.whyNot ?? ''}`,
  ];
}

/** The first ones are the closest rivals; the whole list is part of the stored evidence. */
function alternatives(candidates: Candidate[]): string[] {
  if (candidates.length === 0) return [];
  const shown = candidates.slice(0, ALTERNATIVES_SHOWN);
  const rest = candidates.length - shown.length;
  const more = rest > 0 ? [`  (${rest} more in the stored evidence)`] : [];
  const lines = [...shown.flatMap(alternativeLines), ...more, ...markLines(shown)];
  return [`Why not otherwise\n${lines.join('\n')}`];
}

/** The whole advice as a tired operator reads it: verdict, tables, changes with reasons, limits. */
export function report(content: RecommendationContent): string {
  const now = content.evidence.baseline.outcome;
  const advised = content.evidence.advised.outcome;
  const operations = content.content.operationGroups.flatMap((group) => group.operations);
  const changes = operations.flatMap(operationLines);
  if (changes.length > 0) changes.push(...stayLines(now, operations), ...reasonLines(content));
  const { margin } = content.evidence;
  const sections = [
    `${content.priority} ${content.finding}: ${content.description}`,
    `Per VM (today -> advised)\n\n${guestTable(now, advised, operations)}`,
    `Per node (today -> advised)\n\n${hostTable(now, advised)}`,
    `Changes\n${changes.join('\n') || '  none: leave it as it is'}`,
    `Margin\n  ${margin.verdict}`,
  ];
  if (content.immovable.length > 0) {
    const lines = content.immovable.map((entry) => `  - ${entry.message}`);
    sections.push(`What the advice does not move\n${lines.join('\n')}`);
  }
  sections.push(...alternatives(content.evidence.alternatives));
  sections.push(
    `Evidence: ${content.evidence.replays} replays, seed ${content.evidence.seed}, state ${content.evidence.advised.outcome.stateHash.slice(0, 12)}`,
  );
  return sections.join('\n\n');
}

/**
 * What everybody else's choice would come to, between today's setting and the advice. `further`: how much further than local
 * memory the guests' memory is from their vCPUs, of the local distance.
 */
export function rivalTable({ evidence }: RecommendationContent): string {
  const { baseline, advised, rivals } = evidence;
  const ownRow = (name: string, { outcome }: Candidate): string[] => {
    const { killed, notStarted } = lossesOf(outcome);
    const { swappedOutPages, stallNs, remoteShare, remoteCost, cacheLostPages } = outcome;
    return row(name, {
      ...{ kills: killed.length + notStarted.length, swappedOutPages, stallNs },
      ...{ remoteShare, remoteCost, cacheLostPages },
    });
  };
  const head = [
    'rule',
    'lost guests',
    'swapped MiB',
    'stall',
    'remote',
    'further',
    'cache lost MiB',
  ];
  const table = render(head, [
    ownRow('as it is', baseline),
    ...rivals.map((rival) => row(`${rival.name}${mark(rival)}`, rival)),
    ownRow('as advised', advised),
  ]);
  return [table, ...markLines(rivals)].join('\n');
}

type RivalRow = Omit<
  RecommendationContent['evidence']['rivals'][number],
  'name' | 'title' | 'id' | 'scale'
>;

function row(name: string, rival: RivalRow): string[] {
  const { kills, swappedOutPages, stallNs, remoteShare, remoteCost, cacheLostPages } = rival;
  const figures = [String(kills), mib(swappedOutPages), ms(stallNs), share(remoteShare)];
  return [name, ...figures, remoteCost.toFixed(3), mib(cacheLostPages)];
}

const CAUSES_SHOWN = 12;

/** Why memory goes where it goes, today and as advised, what could make the advice wrong, and its alternatives. */
export function evidenceReport(content: AdviceContent): string {
  const { before, after, risks } = content.evidence;
  const sections = [
    `Why, with today's setting\n${causeLines(before)}`,
    ...(after.stateHash === before.stateHash ? [] : [`Why, as advised\n${causeLines(after)}`]),
    `What could make it wrong\n${risks.map(({ kind, message }) => `  - ${kind}: ${message}`).join('\n')}`,
  ];
  if (content.evidence.rivals.length > 0) {
    const small = content.evidence.rivals.some(({ scale = 1 }) => scale > 1);
    const how = small ? 'some in miniature' : 'in full';
    sections.push(`Rules of thumb, replayed on the same host (${how})\n\n${rivalTable(content)}`);
  }
  const ways = content.routes.flatMap(({ routes }) =>
    routes.map(({ message }) => `  - ${message}`),
  );
  if (ways.length > 0) sections.push(`Ways to move what is elsewhere\n${ways.join('\n')}`);
  if (content.exclusive.length > 0) {
    const others = content.exclusive.map(({ description }) => `  - ${description}`);
    sections.push(`Recommendations that exclude this one\n${others.join('\n')}`);
  }
  return sections.join('\n\n');
}

function causeLines({ causes }: ReplayEvidence): string {
  const shown = causes.slice(0, CAUSES_SHOWN).map(({ text }) => `  - ${text}`);
  const more = causes.length - shown.length;
  return [...shown, ...(more > 0 ? [`  (${more} more in the JSON)`] : [])].join('\n');
}
