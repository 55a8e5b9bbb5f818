/** A plan file with the files that it includes, put together; each value knows where it was written. */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { planSchemaProblems, pointerPart } from '@zonewise/plan';
import { fail, lineAfter, PlanFileError, readLimited, type PlanFolder } from './plan-folder';
import { PlanSource, type SourcePlace } from './plan-source';

const MAX_PLAN_BYTES = 2 * 1024 * 1024;
const SMALLER_PLAN = 'split it by include, or give guests that are alike as a flavour with a count';
const MAX_PARTS = 100;
/** Lists whose entries come one file after the other. */
const LISTS = ['hosts', 'guests', 'events', 'waivers'];
/** Mappings whose entries stand for themselves: what a file writes goes before what it includes. */
const MAPPINGS = ['flavours', 'policies', 'assignments', 'sysctl', 'limits'];
/** Fields of hosts and guests that name files, relative to the file that they are written in. */
const PATHS = ['facts', 'capabilities', 'model', 'xml', 'numaMaps', 'smapsRollup', 'numastat'];

type Mapping = Record<string, unknown>;

interface Part {
  /** As a report shows it. */
  file: string;
  /** Folder of the file, relative to the plan's. */
  folder: string;
  source: PlanSource;
  content: Mapping;
}

/** A place in one of the files of a plan. */
export interface PartPlace extends SourcePlace {
  file: string;
}

/** What a plan's files say together. */
export class PlanParts {
  private constructor(
    readonly file: string,
    readonly content: Mapping,
    private readonly main: Part,
    private readonly origins: Map<string, { part: Part; pointer: string }>,
  ) {}

  /**
   * Reads a plan and what it includes.
   * @param name of the plan within the folder
   * @throws PlanFileError with the file and line of what is wrong
   */
  static read(folder: PlanFolder, name: string): PlanParts {
    const parts = new PartReader(folder).read(name);
    const main = parts.at(-1);
    if (main === undefined) throw new Error('a plan has at least one file');
    const origins = new Map<string, { part: Part; pointer: string }>();
    const content = parts.length === 1 ? main.content : merged(parts, origins);
    const plan = new PlanParts(main.file, content, main, origins);
    const problems = planSchemaProblems(content);
    if (problems.length > 0) {
      throw new PlanFileError(
        problems.map((problem) => ({ ...problem, ...plan.placeOf(problem.path) })),
      );
    }
    return plan;
  }

  /** Where a JSON pointer's value stands. */
  placeOf(pointer: string): PartPlace {
    for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      const origin = this.origins.get(at);
      if (origin === undefined) continue;
      const { part } = origin;
      const place = part.source.placeOf(origin.pointer + pointer.slice(at.length));
      return { file: part.file, ...place };
    }
    return { file: this.main.file, ...this.main.source.placeOf(pointer) };
  }
}

class PartReader {
  private readonly parts: Part[] = [];
  private readonly known = new Set<string>();

  constructor(private readonly folder: PlanFolder) {}

  /** @returns the parts in the order in which they count, the file itself last */
  read(name: string): Part[] {
    this.add(name, '', []);
    return this.parts;
  }

  private add(name: string, at: string, above: { real: string; name: string }[]): void {
    // The plan itself was named by whoever calls; what it includes has to be in its folder.
    const text =
      above.length === 0
        ? this.planText(name)
        : this.folder.read(name, at, MAX_PLAN_BYTES, SMALLER_PLAN);
    const real = realpathSync(this.folder.resolve(name));
    const again = above.findIndex((other) => other.real === real);
    if (again >= 0) {
      const way = [...above.slice(again).map((other) => other.name), name].join(' includes ');
      fail('include-cycle', at, `The files include each other: ${way}. Take one of them out.`);
    }
    // Two files may share a third one, which then counts once.
    if (this.known.has(real)) return;
    this.known.add(real);
    if (this.known.size > MAX_PARTS) {
      fail('too-many-includes', at, `A plan has at most ${MAX_PARTS} files.`);
    }
    const file = this.folder.shown(name);
    const parsed = PlanSource.parse(text);
    if (!parsed.ok) throw new PlanFileError([{ file, ...parsed.problem }]);
    const source = parsed.value;
    try {
      const content = this.contentOf(source, above.length > 0);
      const folder = dirname(name);
      const includes = [content.include ?? []].flat() as string[];
      includes.forEach((include, i) => {
        const place = typeof content.include === 'string' ? '/include' : `/include/${i}`;
        this.add(join(folder, include), place, [...above, { real, name }]);
      });
      const own = Object.entries(content).filter(([field]) => field !== 'include');
      this.parts.push({ file, folder, source, content: Object.fromEntries(own) });
    } catch (error) {
      throw error instanceof PlanFileError ? withPlaces(error, file, source) : error;
    }
  }

  /** The text of the plan itself; what is wrong with the file has the file as its place. */
  private planText(name: string): string {
    const path = this.folder.resolve(name);
    try {
      return readLimited(path, '', MAX_PLAN_BYTES, SMALLER_PLAN);
    } catch (error) {
      if (!(error instanceof PlanFileError)) throw error;
      const file = this.folder.shown(name);
      const place = (code: string) =>
        code === 'file-too-large' ? { line: lineAfter(path, MAX_PLAN_BYTES), column: 1 } : {};
      throw new PlanFileError(
        error.problems.map((problem) => ({ ...place(problem.code), ...problem, file })),
      );
    }
  }

  private contentOf({ content }: PlanSource, isIncluded: boolean): Mapping {
    const isPart =
      isIncluded || (typeof content === 'object' && content !== null && 'include' in content);
    const problems = planSchemaProblems(content, isPart);
    if (problems.length > 0) throw new PlanFileError(problems);
    const plan = content as Mapping;
    if (isIncluded && (plan.host !== undefined || plan.domains !== undefined)) {
      const field = plan.host === undefined ? 'domains' : 'host';
      const message = 'A file that is included has hosts and guests, not host and domains.';
      fail('plan-shape', `/${field}`, message);
    }
    return plan;
  }
}

/** The places of problems that do not have them yet. */
function withPlaces(error: PlanFileError, file: string, source: PlanSource): PlanFileError {
  return new PlanFileError(
    error.problems.map((problem) =>
      problem.file === undefined ? { ...problem, file, ...source.placeOf(problem.path) } : problem,
    ),
  );
}

function merged(parts: Part[], origins: Map<string, { part: Part; pointer: string }>): Mapping {
  const whole: Mapping = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part.content)) {
      if (LISTS.includes(name)) {
        const list = (whole[name] ??= []) as unknown[];
        (value as unknown[]).forEach((entry, i) => {
          origins.set(`/${name}/${list.length}`, { part, pointer: `/${name}/${i}` });
          list.push(within(part.folder, entry as Mapping));
        });
      } else if (MAPPINGS.includes(name) && typeof value === 'object') {
        const map = (whole[name] ??= {}) as Mapping;
        for (const [key, entry] of Object.entries(value as Mapping)) {
          const pointer = `/${name}/${pointerPart(key)}`;
          origins.set(pointer, { part, pointer });
          map[key] = entry;
        }
      } else {
        origins.set(`/${name}`, { part, pointer: `/${name}` });
        whole[name] = value;
      }
    }
  }
  return whole;
}

/** A host or guest with its files named relative to the plan's folder. */
function within(folder: string, entry: Mapping): Mapping {
  if (folder === '.') return entry;
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => [
      name,
      PATHS.includes(name) && typeof value === 'string' ? join(folder, value) : value,
    ]),
  );
}
