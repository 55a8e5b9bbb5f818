import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { hostTextsOf, NODE_TEXT_FILES, TEXT_FILES } from '@zonewise/host-facts';
import type { PackingPlan, PlanProblem } from '@zonewise/plan';
import { LineCounter, parseDocument } from 'yaml';
import { PlanFileDto, type PlanFileDomainDto, type PlanFileHostDto } from './plan-file.dto';

const MAX_PLAN_BYTES = 4 * 1024 * 1024;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** In a facts folder `virsh capabilities` may stand beside the texts. */
const CAPABILITIES_FILE = 'capabilities.xml';
const WHOLE_FIELDS = [...Object.values(TEXT_FILES), 'capabilities'];
const NODE_FIELDS: string[] = Object.values(NODE_TEXT_FILES);

/** A plan that cannot be read; every problem names its place in the plan. */
export class PlanFileError extends Error {
  constructor(readonly problems: PlanProblem[]) {
    super(problems.map((problem) => `${problem.path}: ${problem.message}`).join('\n'));
  }
}

function fail(
  code: string,
  path: string,
  message: string,
  place: Partial<PlanProblem> = {},
): never {
  throw new PlanFileError([{ code, path, message, ...place }]);
}

function read(path: string, at: string, limitBytes = MAX_FILE_BYTES): string {
  let bytes: number;
  try {
    const status = statSync(path);
    if (!status.isFile()) fail('file-unreadable', at, `${path} is not a file`);
    bytes = status.size;
  } catch (error) {
    if (error instanceof PlanFileError) throw error;
    fail('file-unreadable', at, `${path} cannot be read: ${(error as Error).message}`);
  }
  // /proc files say 0 bytes whatever they hold, so the content is measured again.
  if (bytes > limitBytes)
    fail('file-too-large', at, `${path} has ${bytes} bytes, at most ${limitBytes}`);
  const content = readFileSync(path, 'utf8');
  if (content.length > limitBytes) {
    fail('file-too-large', at, `${path} has more than ${limitBytes} bytes`);
  }
  return content;
}

function flatten(errors: ValidationError[], prefix: string): PlanProblem[] {
  return errors.flatMap((error) => {
    const path = `${prefix}/${error.property}`;
    const own = Object.entries(error.constraints ?? {}).map(([constraint, message]) => ({
      code: constraint === 'whitelistValidation' ? 'unknown-field' : 'invalid-field',
      path,
      message,
    }));
    return [...own, ...flatten(error.children ?? [], path)];
  });
}

function parseYaml(text: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, strict: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    fail('malformed-yaml', '', error.message.split('\n')[0] ?? error.code, { line, column: col });
  }
  try {
    // An alias bomb expands without end; plans have no use for more than a few aliases.
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (problem) {
    return fail('malformed-yaml', '', (problem as Error).message);
  }
}

function factsFolder(folder: string): NonNullable<PackingPlan['host']['facts']> {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (error) {
    return fail('file-unreadable', '/host/facts', `${folder}: ${(error as Error).message}`);
  }
  const readFact = (name: string) => read(join(folder, name), '/host/facts');
  const facts = {
    ...hostTextsOf(names, readFact),
    ...(names.includes(CAPABILITIES_FILE) ? { capabilities: readFact(CAPABILITIES_FILE) } : {}),
  };
  if (Object.keys(facts).length === 0) {
    const wanted = [...Object.keys(TEXT_FILES), CAPABILITIES_FILE].join(', ');
    fail('facts-missing', '/host/facts', `${folder} holds none of ${wanted}`);
  }
  return facts;
}

/** A host model named by file, or written in the plan; its shape is checked where it is read. */
function hostModel(model: unknown, base: string): unknown {
  if (typeof model !== 'string') return model;
  try {
    return JSON.parse(read(resolve(base, model), '/host/model')) as unknown;
  } catch (error) {
    if (error instanceof PlanFileError) throw error;
    return fail('malformed-json', '/host/model', `${model}: ${(error as Error).message}`);
  }
}

/** Inline texts are strings, or for per-node files strings by node number. */
function checkTexts(texts: Record<string, unknown> = {}): void {
  const fields = [...WHOLE_FIELDS, ...NODE_FIELDS];
  for (const [name, value] of Object.entries(texts)) {
    const path = `/host/texts/${name}`;
    if (!fields.includes(name)) {
      fail('unknown-field', path, `there is no text ${name}; there are ${fields.join(', ')}`);
    }
    const strings =
      NODE_FIELDS.includes(name) && typeof value === 'object' && value !== null
        ? Object.values(value)
        : [value];
    if (strings.some((text) => typeof text !== 'string')) {
      const expected = NODE_FIELDS.includes(name) ? 'texts by node number' : 'a text';
      fail(
        'invalid-field',
        path,
        `expected ${expected}, found ${JSON.stringify(value).slice(0, 40)}`,
      );
    }
  }
}

function planHost(host: PlanFileHostDto, base: string): PackingPlan['host'] {
  if (host.model !== undefined) {
    if (host.facts ?? host.texts ?? host.capabilities) {
      fail(
        'plan-host',
        '/host',
        'a host is named by model, or by facts, texts and capabilities, not both',
      );
    }
    return { model: hostModel(host.model, base) } as PackingPlan['host'];
  }
  checkTexts(host.texts);
  const facts = {
    ...(host.facts === undefined ? {} : factsFolder(resolve(base, host.facts))),
    ...host.texts,
    ...(host.capabilities === undefined
      ? {}
      : { capabilities: read(resolve(base, host.capabilities), '/host/capabilities') }),
  };
  return { facts };
}

function planDomain(
  domain: PlanFileDomainDto,
  index: number,
  base: string,
): PackingPlan['domains'][number] {
  const text = (name: 'xml' | 'numaMaps' | 'smapsRollup' | 'numastat') => {
    const path = domain[name];
    return path === undefined ? undefined : read(resolve(base, path), `/domains/${index}/${name}`);
  };
  return {
    xml: text('xml') ?? '',
    state: domain.state ?? 'planned',
    numaMaps: text('numaMaps'),
    numastat: text('numastat'),
    smapsRollup: text('smapsRollup'),
  };
}

/**
 * Reads a plan file with everything it names.
 * @returns the plan with file contents in place of file names
 * @throws PlanFileError with every problem found and its place
 */
export function readPlanFile(path: string): PackingPlan {
  const content = parseYaml(read(path, '', MAX_PLAN_BYTES));
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    fail('malformed-plan', '', 'a plan is a mapping with host and domains');
  }
  const file = plainToInstance(PlanFileDto, content);
  const problems = flatten(
    validateSync(file, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true }),
    '',
  );
  if (problems.length > 0) throw new PlanFileError(problems);
  const base = dirname(resolve(path));
  return {
    host: planHost(file.host, base),
    domains: file.domains.map((domain, index) => planDomain(domain, index, base)),
    demand: file.demand,
    limits: file.limits,
    sysctl: file.sysctl,
    seed: file.seed,
  };
}
