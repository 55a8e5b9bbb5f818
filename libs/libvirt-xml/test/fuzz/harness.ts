/** What has to hold for any text at all: a view, or problems that are known and have a place. */
import {
  PROBLEM_CODES,
  parseCapabilities,
  parseDomain,
  parseDomains,
  patchDomain,
  unifiedDiff,
} from '../../src';
import type { DomainChange, ParseOutcome } from '../../src';
import { openCorpus } from '../corpus';
import { OWN_DOCUMENTS } from '../own-documents';
import { below, mutate, pick, randomOf } from './mutate';
import type { Random } from './mutate';

const CAPABILITIES = `<capabilities><host><cpu><arch>x86_64</arch></cpu><topology><cells num='2'>
<cell id='0'><memory unit='KiB'>4028976</memory><pages unit='KiB' size='4'>1007244</pages><distances><sibling id='0' value='10'/><sibling id='16' value='21'/></distances><cpus num='1'><cpu id='0' socket_id='0' core_id='0' siblings='0-1'/></cpus></cell>
<cell id='16'><cache level='1' associativity='direct' policy='writeback'><size value='10' unit='KiB'/><line value='8' unit='B'/></cache><cpus num='0'/></cell>
</cells><interconnects><latency initiator='0' target='16' type='access' value='5'/></interconnects></topology></host></capabilities>`;
/** Larger ones would only make fewer of them. */
const LARGEST = 32 * 1024;

const CHANGES: readonly DomainChange[] = [
  { numatune: { memory: { mode: 'preferred', nodeset: [1] }, memnodes: [] } },
  { numatune: { memory: null }, vcpu: { cpuset: [0, 1, 2] } },
  { cputune: { vcpupin: [{ vcpu: 0, cpuset: [1] }], emulatorpin: [0, 1] } },
  { memoryBacking: { hugepages: [{ sizeKib: 2048, nodeset: null }], locked: true } },
  { disks: [{ target: 'vda', cache: 'none' }], vcpu: { cpuset: null } },
];

/** What is tried on each text; a test plants an error here to see it found. */
export interface Subject {
  parseDomain: (xml: string) => ParseOutcome<unknown>;
  parseDomains: (xml: string) => ParseOutcome<unknown>;
  parseCapabilities: (xml: string) => ParseOutcome<unknown>;
  patchDomain: (xml: string, change: DomainChange) => ParseOutcome<{ xml: string }>;
}
export const LIBRARY: Subject = { parseDomain, parseDomains, parseCapabilities, patchDomain };

export interface Run {
  documents: number;
  accepted: number;
  patched: number;
  codes: Map<string, number>;
  /** Of everything answered, to compare runs. */
  hash: number;
  slowestMs: number;
  slowest: string;
  failure: { xml: string; why: string } | null;
}

export const newRun = (): Run => ({
  ...{ documents: 0, accepted: 0, patched: 0, codes: new Map(), hash: 0x811c9dc5 },
  ...{ slowestMs: 0, slowest: '', failure: null },
});

let seedDocuments: string[] | null = null;

function readSeedDocuments(): string[] {
  const corpus = openCorpus();
  const real = (corpus?.files ?? []).map(({ path }) => corpus?.read(path) ?? '');
  const own = [...Object.values(OWN_DOCUMENTS), CAPABILITIES];
  return [...own, ...real].filter((xml) => xml.length > 0 && xml.length <= LARGEST);
}

/**
 * Tries mutated documents until there are `documents` of them, `goOn` says stop or one fails.
 * @param clock milliseconds; which text took longest is part of the run
 */
export function fuzz(
  seed: number,
  documents: number,
  run: Run,
  { subject = LIBRARY, goOn = (): boolean => true, clock = (): number => 0 } = {},
): void {
  const random = randomOf(seed);
  const seeds = (seedDocuments ??= readSeedDocuments());
  while (run.documents < documents && run.failure === null && goOn()) {
    const xml = mutate(pick(random, seeds), random, seeds);
    const begin = clock();
    const why = check(xml, random, subject, run);
    const spentMs = clock() - begin;
    if (spentMs > run.slowestMs) Object.assign(run, { slowestMs: spentMs, slowest: xml });
    if (why !== null) run.failure = { xml, why };
    run.documents += 1;
  }
}

const KNOWN = new Set<string>(PROBLEM_CODES);

function check(xml: string, random: Random, subject: Subject, run: Run): string | null {
  try {
    const outcomes = [
      subject.parseDomain(xml),
      subject.parseDomains(xml),
      subject.parseCapabilities(xml),
    ];
    for (const outcome of outcomes) {
      const why = checkOutcome(outcome, xml, run);
      if (why !== null) return why;
    }
    const [domain] = outcomes;
    // Refused documents are patched now and then too: the answer is the same refusal.
    if (domain?.ok === true || below(random, 20) === 0) {
      return checkPatch(xml, pick(random, CHANGES), subject, run);
    }
    return null;
  } catch (error) {
    return `thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

function checkOutcome(outcome: ParseOutcome<unknown>, xml: string, run: Run): string | null {
  if (outcome.ok) {
    run.accepted += 1;
    mix(run, 'accepted');
    return holdsNaN(outcome.value) ? 'a number that is none in the view' : null;
  }
  if (outcome.problems.length === 0) return 'refused without a problem';
  const lines = xml.split(/\r\n|\r|\n/).length;
  for (const { code, path, message, line, column } of outcome.problems) {
    mix(run, `${code} ${path} ${line} ${column}`);
    run.codes.set(code, (run.codes.get(code) ?? 0) + 1);
    if (!KNOWN.has(code)) return `unknown code ${code}`;
    const placed = line >= 1 && line <= lines && column >= 1 && path.startsWith('/');
    if (!placed || message === '') return `${code} at ${path}, line ${line} column ${column}`;
  }
  return null;
}

function mix(run: Run, text: string): void {
  for (let at = 0; at < text.length; at += 1) {
    run.hash = Math.imul(run.hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
}

function holdsNaN(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(holdsNaN);
}

function checkPatch(xml: string, change: DomainChange, subject: Subject, run: Run): string | null {
  const outcome = subject.patchDomain(xml, change);
  const why = checkOutcome(outcome, xml, run);
  if (why !== null || !outcome.ok) return why;
  run.patched += 1;
  const again = subject.patchDomain(outcome.value.xml, change);
  if (!again.ok || again.value.xml !== outcome.value.xml) return 'a second patch changed something';
  const changed = outcome.value.xml !== xml;
  return changed === (unifiedDiff('a', xml, outcome.value.xml) === '') ? 'diff disagrees' : null;
}
