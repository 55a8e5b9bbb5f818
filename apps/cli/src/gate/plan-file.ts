import { basename, resolve } from 'node:path';
import { hostTextsOf, NODE_TEXT_FILES, TEXT_FILES } from '@zonewise/host-facts';
import { type PackingPlan, type PlanDocument, type PlanGuest, type PlanHost } from '@zonewise/plan';
import { fail, PlanFileError, PlanFolder } from './plan-folder';
import { PlanParts } from './plan-parts';

/** In a facts folder `virsh capabilities` may stand beside the texts. */
const CAPABILITIES_FILE = 'capabilities.xml';
const WHOLE_FIELDS = [...Object.values(TEXT_FILES), 'capabilities'];
const NODE_FIELDS: string[] = Object.values(NODE_TEXT_FILES);

/** A host as a plan file writes it; the schema has checked types and names. */
interface FileHost extends Pick<PlanHost, 'sysctl' | 'backgroundCache' | 'hugepages'> {
  name?: string;
  facts?: string;
  capabilities?: string;
  texts?: Record<string, unknown>;
  model?: unknown;
  hostId?: string;
}

type FileGuest = Omit<PlanGuest, 'path'>;

interface FilePlan extends Pick<
  PlanDocument,
  | 'flavours'
  | 'assignments'
  | 'events'
  | 'demand'
  | 'policies'
  | 'limits'
  | 'waivers'
  | 'failLevel'
  | 'sysctl'
  | 'seed'
> {
  host?: FileHost;
  domains?: FileGuest[];
  hosts?: FileHost[];
  guests?: FileGuest[];
  profile?: string;
}

/** A plan with the contents of its files, and where each value and document stands. */
export interface LoadedPlan {
  file: string;
  document: PlanDocument;
  source: PlanParts;
  /** Document files by the JSON pointer of the field that names them. */
  files: Map<string, string>;
}

type HostFacts = NonNullable<PackingPlan['host']['facts']>;

/** Reads what one plan names. */
class PlanReader {
  readonly files = new Map<string, string>();
  private readonly folders = new Map<string, HostFacts>();

  constructor(private readonly folder: PlanFolder) {}

  host(host: FileHost, path: string): PlanHost {
    const { name = 'host', sysctl, backgroundCache, hugepages } = host;
    return {
      name,
      path,
      host: this.hostSource(host, path),
      ...(sysctl === undefined ? {} : { sysctl }),
      ...(backgroundCache === undefined ? {} : { backgroundCache }),
      ...(hugepages === undefined ? {} : { hugepages }),
    };
  }

  guest(guest: FileGuest, path: string): PlanGuest {
    const text = (field: 'xml' | 'numaMaps' | 'smapsRollup' | 'numastat') => {
      const file = guest[field];
      return file === undefined ? {} : { [field]: this.text(file, `${path}/${field}`) };
    };
    const { name, flavour, count, state } = guest;
    return {
      path,
      ...(name === undefined ? {} : { name }),
      ...(flavour === undefined ? {} : { flavour }),
      ...(count === undefined ? {} : { count }),
      state: state ?? 'planned',
      ...text('xml'),
      ...text('numaMaps'),
      ...text('smapsRollup'),
      ...text('numastat'),
    };
  }

  private text(file: string, at: string): string {
    this.files.set(at, this.folder.shown(file));
    return this.folder.read(file, at);
  }

  private hostSource(host: FileHost, path: string): PackingPlan['host'] {
    if (host.hostId !== undefined) {
      if (host.facts ?? host.texts ?? host.capabilities ?? host.model) {
        fail('plan-host', path, 'a host is named by hostId or by what it is, not by both');
      }
      return { hostId: host.hostId };
    }
    if (host.model !== undefined) {
      if (host.facts ?? host.texts ?? host.capabilities) {
        const message =
          'a host is named by model, or by facts, texts and capabilities, not by both';
        fail('plan-host', path, message);
      }
      return { model: this.model(host.model, `${path}/model`) } as PackingPlan['host'];
    }
    checkTexts(host.texts, `${path}/texts`);
    const facts = {
      ...(host.facts === undefined ? {} : this.factsFolder(host.facts, `${path}/facts`)),
      ...host.texts,
      ...(host.capabilities === undefined
        ? {}
        : { capabilities: this.text(host.capabilities, `${path}/capabilities`) }),
    };
    return { facts };
  }

  /** A host model named by file, or written in the plan; its shape is checked where it is read. */
  private model(model: unknown, at: string): unknown {
    if (typeof model !== 'string') return model;
    try {
      return JSON.parse(this.text(model, at)) as unknown;
    } catch (error) {
      if (error instanceof PlanFileError) throw error;
      return fail('malformed-json', at, `${model}: ${(error as Error).message}`);
    }
  }

  factsFolder(folder: string, at: string): HostFacts {
    const known = this.folders.get(folder);
    if (known !== undefined) return known;
    const names = this.folder.list(folder, at);
    const read = (name: string) => this.folder.read(`${folder}/${name}`, at);
    const facts = {
      ...hostTextsOf(names, read),
      ...(names.includes(CAPABILITIES_FILE) ? { capabilities: read(CAPABILITIES_FILE) } : {}),
    };
    if (Object.keys(facts).length === 0) {
      const wanted = [...Object.keys(TEXT_FILES), CAPABILITIES_FILE].join(', ');
      fail('facts-missing', at, `${folder} holds none of ${wanted}`);
    }
    this.folders.set(folder, facts);
    return facts;
  }
}

/**
 * The texts in a folder of what a host printed.
 * @throws PlanFileError where it cannot be read or holds none
 */
export function readFactsFolder(folder: string): HostFacts {
  const name = basename(resolve(folder));
  return new PlanReader(new PlanFolder(resolve(folder))).factsFolder(name, 'facts');
}

/** Inline texts are strings, or for per-node files strings by node number. */
function checkTexts(texts: Record<string, unknown> = {}, at: string): void {
  const fields = [...WHOLE_FIELDS, ...NODE_FIELDS];
  for (const [name, value] of Object.entries(texts)) {
    const path = `${at}/${name}`;
    if (!fields.includes(name)) {
      fail('unknown-field', path, `there is no text ${name}; there are ${fields.join(', ')}`);
    }
    const strings =
      NODE_FIELDS.includes(name) && typeof value === 'object' && value !== null
        ? Object.values(value)
        : [value];
    if (strings.every((text) => typeof text === 'string')) continue;
    const expected = NODE_FIELDS.includes(name) ? 'texts by node number' : 'a text';
    const found = JSON.stringify(value).slice(0, 40);
    fail('invalid-field', path, `expected ${expected}, found ${found}`);
  }
}

/** Runs every step, so that all problems are told at once. */
function collect<T>(steps: (() => T)[]): T[] {
  const problems: PlanFileError['problems'] = [];
  const values: T[] = [];
  for (const step of steps) {
    try {
      values.push(step());
    } catch (error) {
      if (!(error instanceof PlanFileError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new PlanFileError(problems);
  return values;
}

function documentOf(plan: FilePlan, reader: PlanReader): PlanDocument {
  const { host, hosts = [], domains, guests = [], profile, ...rest } = plan;
  const ownHosts = host === undefined ? hosts : [host];
  const ownGuests = domains ?? guests;
  const [hostAt, guestAt] = [
    host === undefined ? (i: number) => `/hosts/${i}` : () => '/host',
    (i: number) => `/${domains === undefined ? 'guests' : 'domains'}/${i}`,
  ];
  const [readHosts, readGuests] = collect<PlanHost[] | PlanGuest[]>([
    () => collect(ownHosts.map((one, i) => () => reader.host(one, hostAt(i)))),
    () => collect(ownGuests.map((one, i) => () => reader.guest(one, guestAt(i)))),
  ]) as [PlanHost[], PlanGuest[]];
  return {
    ...rest,
    hosts: readHosts,
    guests: readGuests,
    ...(profile === undefined ? {} : { hardwareProfile: profile }),
  };
}

/**
 * Reads a plan file with everything it names.
 * @param root folder that no file may be outside of; default: the plan's own
 * @throws PlanFileError with every problem found and its place
 */
export function readPlanFile(path: string, root?: string): LoadedPlan {
  const folder = new PlanFolder(path, root);
  const source = PlanParts.read(folder, basename(path));
  try {
    const reader = new PlanReader(folder);
    const document = documentOf(source.content, reader);
    return { file: source.file, document, source, files: reader.files };
  } catch (error) {
    if (!(error instanceof PlanFileError)) throw error;
    throw new PlanFileError(
      error.problems.map((problem) => ({ ...source.placeOf(problem.path), ...problem })),
    );
  }
}
