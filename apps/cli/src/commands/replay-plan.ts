import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  advise,
  simulate,
  type AdviceContent,
  type AdviceControl,
  type AdviceOptions,
  type AdviceProfile,
} from '@zonewise/advisor';
import {
  adviceFiles,
  nearest,
  planRequests,
  simulationAnswer,
  type AdviceFile,
  type HostRequest,
} from '@zonewise/plan';
import { readPlanFile, type LoadedPlan } from '../gate/plan-file';
import { evidenceReport, report } from '../demo/report';
import { readLimited } from '../gate/plan-folder';
import { locatedProblem } from '../gate/problems';
import { answer, Refused, type AnswerOptions } from './answer';

export interface ReplayOptions extends AnswerOptions {
  /** Name of the plan's host; default: all of them. */
  host?: string;
  root?: string;
}

/** Answers of several hosts as one document; of one host its own. */
function asOne(answers: object[]): unknown {
  return answers.length === 1 ? answers[0] : { items: answers };
}

/** Computes something for the hosts of a plan: one object for one host, a list for several. */
export function perHost<T extends object>(
  path: string,
  options: ReplayOptions & { withIdle?: boolean },
  compute: (host: HostRequest, plan: LoadedPlan) => T,
  present: (answers: (T & { host: string })[]) => unknown = asOne,
): number {
  return answer(options, () => {
    const plan = readPlanFile(path, options.root);
    const built = planRequests(plan.document, options.withIdle);
    if (!built.ok) {
      throw new Refused(built.problems.map((problem) => locatedProblem(problem, plan)));
    }
    const hosts = chosen(built.value, options.host, plan.file);
    return present(hosts.map((host) => ({ host: host.name, ...compute(host, plan) })));
  });
}

function chosen(hosts: HostRequest[], name: string | undefined, file: string): HostRequest[] {
  if (name === undefined) return hosts;
  const found = hosts.filter((host) => host.name === name);
  if (found.length > 0) return found;
  const names = hosts.map((host) => host.name);
  const message = `No host with guests is called ${name}.${suggestion(name, names)}`;
  const expected = names.slice(0, 20).join(', ');
  throw new Refused([{ code: 'unknown-host', path: '--host', file, message, expected }]);
}

/** ` Did you mean NAME?`, or nothing where no known name is near. */
export function suggestion(name: string, known: string[]): string {
  const near = nearest(name, known);
  return near === undefined ? '' : ` Did you mean ${near}?`;
}

/** Replays each host of a plan; the answer is the service's, with the caveats of reading the plan before its own. */
export function simulatePlan(path: string, options: ReplayOptions = {}): number {
  return perHost(path, options, ({ request, caveats }) => {
    const simulated = simulationAnswer(simulate(request));
    return { ...simulated, caveats: [...caveats, ...simulated.caveats] };
  });
}

export interface AdviseOptions extends ReplayOptions {
  /** Default `json`, the recommendations as the service answers them. */
  output?: string;
  /** In which order configurations are compared. */
  profile?: string;
  /** File with the rest of `options` as the service takes them: weights, constraints, budget. */
  options?: string;
  /** Folder for the files that apply the advice; of several hosts each has a folder in it, and so has each alternative. */
  files?: string;
  /** Says on stderr how far it is, and when there is a first answer. */
  progress?: boolean;
}

/** Looks for better settings for each host of a plan. */
export function advisePlan(path: string, options: AdviseOptions = {}): number {
  const { output = 'json' } = options;
  const made = new Map<string, MadeFolder[]>();
  return perHost(
    path,
    options,
    (host) => {
      const { name, request, caveats } = host;
      const content = advise(
        { ...request, options: adviceOptions(options) },
        options.progress === true ? progressOf(name) : undefined,
      );
      if (options.files !== undefined) made.set(name, filesOf(host, content));
      return { ...content, caveats };
    },
    (answers) => {
      if (options.files !== undefined) writeFiles(options.files, made);
      if (output === 'json') return asOne(answers);
      if (output !== 'text') refuseOption('--output', output, 'json or text');
      return answers
        .map((content) => {
          const head = answers.length > 1 ? `Host ${content.host}\n\n` : '';
          return `${head}${report(content)}\n\n${evidenceReport(content)}\n`;
        })
        .join('\n');
    },
  );
}

/** Files of one piece of advice: `folder` is empty for the advice itself, `alternative-N` for those that exclude it. */
interface MadeFolder {
  folder: string;
  files: AdviceFile[];
}

function filesOf(
  { request, documents }: HostRequest,
  { exclusive, ...best }: AdviceContent,
): MadeFolder[] {
  // A plan's guests are in the order of their documents.
  const named = request.guests.map(({ guest }, i) => ({
    name: guest.name,
    xml: documents[i] ?? '',
  }));
  return [best, ...exclusive].map((content, i) => ({
    folder: i === 0 ? '' : `alternative-${i}`,
    files: adviceFiles(content, named, request.host),
  }));
}

function writeFiles(root: string, made: Map<string, MadeFolder[]>): void {
  for (const [host, folders] of made) {
    const hosts = made.size > 1 ? join(root, encodeURIComponent(host)) : root;
    for (const { folder, files } of folders) {
      const own = join(hosts, folder);
      mkdirSync(own, { recursive: true });
      for (const { name, text } of files) writeFileSync(join(own, name), text);
      process.stderr.write(`zonewise: ${host}: ${files.length} files in ${own}\n`);
    }
  }
}

/** A line on stderr with every tenth of the way, and one with the first answer that is better than today's setting. */
function progressOf(host: string): AdviceControl {
  let tenths = 0;
  let answered = false;
  const say = (text: string): void => {
    process.stderr.write(`zonewise: ${host}: ${text}\n`);
  };
  return {
    onProgress: ({ fraction, step }) => {
      const now = Math.floor(fraction * 10);
      if (now <= tenths) return;
      tenths = now;
      say(`${now * 10} %, ${step} replays`);
    },
    onAnswer: ({ replays }) => {
      if (!answered) say(`better than today's setting after ${replays} replays`);
      answered = true;
    },
  };
}

/** What the library finds wrong with them it says itself; here only what is no JSON object. */
function adviceOptions({ profile, options }: AdviseOptions): AdviceOptions {
  const given = options === undefined ? {} : parsedOptions(readLimited(options, '--options'));
  return { ...given, ...(profile === undefined ? {} : { profile: profile as AdviceProfile }) };
}

function parsedOptions(text: string): AdviceOptions {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    refuseOption('--options', (error as Error).message, 'a JSON object');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuseOption('--options', JSON.stringify(value).slice(0, 80), 'a JSON object');
  }
  return value;
}

function refuseOption(path: string, found: string, expected: string): never {
  const message = `Found ${found}; expected ${expected}.`;
  throw new Refused([{ code: 'invalid-option', path, message, expected }]);
}
