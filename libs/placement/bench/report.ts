/** What the bench says in the end, for people and as JSON. */
import { createHash } from 'node:crypto';
import Table from 'cli-table3';
import { FAMILIES, type Family } from './instances';
import { median, type Measured } from './measure';

/** Packing alone at a size, for growth. */
export interface Growth {
  family: Family;
  hosts: number;
  guests: number;
  arithmeticSeconds: number;
}

/** A placement with a replay of every host that changes. */
export interface Verified {
  family: Family;
  hosts: number;
  guests: number;
  placed: number;
  refused: number;
  hostsUsed: number;
  rounds: number;
  replays: number;
  sharedReplays: number;
  /** CPU time of all threads, documents and packing included. */
  seconds: number;
  /** Time that passed. */
  elapsedSeconds: number;
  hash: string;
}

export interface FamilySummary {
  family: Family;
  instances: number;
  medianHostsUsed: number;
  medianLowerBound: number;
  medianAboveLowerBoundPct: number;
  worseThanFirstFitOrBestFit: number;
  /** CPU time of placing and replaying an instance; null where that was not asked for. */
  verifiedSeconds: number | null;
}

export interface Summary {
  seed: number;
  instances: number;
  /** Instances on which a rival refused fewer guests, or as few and used fewer hosts. */
  worseThanFirstFitOrBestFit: number;
  medianAboveLowerBoundPct: number;
  /** The longest of all instances of 1,000 hosts, CPU time; null where none has so many. */
  arithmeticSecondsFor1000Hosts: number | null;
  /** CPU time of placing and replaying; null where that was not asked for. The longest where several were. */
  verifiedSeconds: number | null;
  families: FamilySummary[];
  hash: string;
}

const HOSTS_OF_CONTRACT = 1000;
const round = (value: number, digits = 3): number => Number(value.toFixed(digits));

const longest = (verified: Verified[]): number | null =>
  verified.length === 0 ? null : round(Math.max(...verified.map(({ seconds }) => seconds)), 1);

export function summarize(seed: number, measured: Measured[], verified: Verified[]): Summary {
  const families = FAMILIES.flatMap((family): FamilySummary[] => {
    const own = measured.filter((each) => each.family === family);
    if (own.length === 0) return [];
    return [
      {
        family,
        instances: own.length,
        medianHostsUsed: median(own.map(({ hostsUsed }) => hostsUsed)),
        medianLowerBound: median(own.map(({ lowerBound }) => lowerBound.hosts)),
        medianAboveLowerBoundPct: round(median(own.map((each) => each.aboveLowerBoundPct))),
        worseThanFirstFitOrBestFit: own.filter(({ worse }) => worse).length,
        verifiedSeconds: longest(verified.filter((each) => each.family === family)),
      },
    ];
  });
  const full = measured.filter(({ hosts }) => hosts === HOSTS_OF_CONTRACT);
  const hashes = [...measured, ...verified].map(({ hash }) => hash).join('');
  return {
    seed,
    instances: measured.length,
    worseThanFirstFitOrBestFit: measured.filter(({ worse }) => worse).length,
    medianAboveLowerBoundPct: round(median(measured.map((each) => each.aboveLowerBoundPct))),
    arithmeticSecondsFor1000Hosts:
      full.length === 0 ? null : round(Math.max(...full.map((each) => each.arithmeticSeconds))),
    verifiedSeconds: longest(verified),
    families,
    hash: createHash('sha256').update(hashes).digest('hex').slice(0, 16),
  };
}

/** At most so far above the lower bound on the median of all instances, percent. */
const MEDIAN_ABOVE_BOUND_PCT = 5;
/** 1,000 hosts are packed in less CPU time. */
const ARITHMETIC_SECONDS = 2;

/** @returns what a summary misses of what the packer has to hold, in words; empty where it holds all */
export function missedBy(summary: Summary): string[] {
  const { worseThanFirstFitOrBestFit: worse, instances } = summary;
  const { medianAboveLowerBoundPct: median, arithmeticSecondsFor1000Hosts: seconds } = summary;
  return [
    ...(worse > 0
      ? [
          `worse than first-fit or best-fit decreasing on ${worse} of ${instances} instances; expected 0`,
        ]
      : []),
    ...(median > MEDIAN_ABOVE_BOUND_PCT
      ? [
          `${median} % above the lower bound on the median; expected at most ${MEDIAN_ABOVE_BOUND_PCT} %`,
        ]
      : []),
    ...(seconds !== null && seconds >= ARITHMETIC_SECONDS
      ? [`1,000 hosts packed in ${seconds} s; expected less than ${ARITHMETIC_SECONDS} s`]
      : []),
  ];
}

const PLAIN = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
};

function table(head: string[], rows: (string | number)[][]): string {
  const lines = new Table({
    head,
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', ...head.slice(1).map(() => 'right' as const)],
  });
  lines.push(...rows);
  return lines.toString().replace(/ +$/gm, '');
}

export function instanceTable(measured: Measured[]): string {
  const head = ['family', 'seed', 'hosts used', 'refused', 'lower bound', 'above, %'];
  return table(
    [...head, 'first fit', 'best fit', 'CPU s', 'bound by', 'method'],
    measured.map((each) => [
      ...[each.family, each.seed, each.hostsUsed, each.refused, each.lowerBound.hosts],
      ...[each.aboveLowerBoundPct.toFixed(2), rival(each.firstFit), rival(each.bestFit)],
      ...[each.arithmeticSeconds.toFixed(2), each.lowerBound.dimension, each.method],
    ]),
  );
}

/** Hosts, and behind a minus sign the guests that are refused. */
function rival({ hostsUsed, refused }: Measured['firstFit']): string {
  return refused === 0 ? String(hostsUsed) : `${hostsUsed} -${refused}`;
}

export function growthTable(growth: Growth[]): string {
  return table(
    ['packing alone', 'hosts', 'guests', 'CPU s', 'CPU ms/host'],
    growth.map(({ family, hosts, guests, arithmeticSeconds: s }) => [
      ...[family, hosts, guests, s.toFixed(2), ((s * 1000) / hosts).toFixed(2)],
    ]),
  );
}

export function verifiedTable(verified: Verified[]): string {
  return table(
    [
      'with replays',
      'hosts',
      'placed',
      'refused',
      'used',
      'rounds',
      'replays',
      'shared',
      'CPU s',
      's',
    ],
    verified.map((each) => [
      ...[each.family, each.hosts, each.placed, each.refused, each.hostsUsed],
      ...[each.rounds, each.replays, each.sharedReplays, each.seconds.toFixed(1)],
      each.elapsedSeconds.toFixed(1),
    ]),
  );
}
