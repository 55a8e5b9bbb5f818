/** Compares advice with rivals and with the optimum of small problems; see docs/BENCH-ADVICE.md. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { killsMore, overSituations, remoteHolds, unseenAlone, type ProblemResult } from './judge';
import { kindOf, type ProblemKind } from './problems';
import { report, runProblems, sourcesHash, toleranceOf, type Report } from './run';
import { PROBLEMS } from './shares';
import { measureSpeed } from './speed';

const KINDS: readonly ProblemKind[] = ['mixed', 'small', 'preferred-beside-cache'];
const USAGE = `Compares advice with rivals on generated problems, and with the optimum where the whole space is replayed.

  --seed N        which problems (default 1)
  --problems N    only the first N of ${PROBLEMS}
  --only KIND     only those of a kind: ${KINDS.join(', ')}; or one problem by its number
  --json FILE     writes all figures there as well, after every problem
  --resume        goes on with the figures in FILE: only problems that are not in it are compared
  --speed         instead: how long advice takes on two hosts of stated sizes
`;

interface Options {
  seed: number;
  numbers: number[];
  json?: string;
  resume: boolean;
  speed: boolean;
}

/** @throws Error that says what is wrong with the arguments; undefined where only help was asked for */
function optionsOf(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      problems: { type: 'string', default: String(PROBLEMS) },
      only: { type: 'string' },
      json: { type: 'string' },
      resume: { type: 'boolean', default: false },
      speed: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const count = whole('--problems', values.problems, 1, 100_000);
  if (values.resume && values.json === undefined) {
    throw new Error('--resume without --json; expected the file that has the figures so far');
  }
  const all = Array.from({ length: count }, (_, number) => number);
  return {
    seed: whole('--seed', values.seed, 0, 2 ** 31),
    numbers: chosen(all, values.only),
    resume: values.resume,
    speed: values.speed,
    ...(values.json !== undefined && { json: values.json }),
  };
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${option} is '${text}'; expected a whole number from ${least} to ${most}`);
}

function chosen(all: number[], only: string | undefined): number[] {
  if (only === undefined) return all;
  if ((KINDS as readonly string[]).includes(only)) {
    return all.filter((number) => kindOf(number) === only);
  }
  if (/^\d+$/.test(only)) return [Number(only)];
  throw new Error(`--only is '${only}'; expected ${KINDS.join(', ')} or the number of a problem`);
}

/** One line per problem, and what it lost where it lost. */
function progress(result: ProblemResult, seed: number): string {
  const tolerance = toleranceOf(seed);
  const compared = overSituations(result);
  const unseen = overSituations(unseenAlone(result));
  const losses = [
    ...(killsMore(compared) ? ['kills more than a rival'] : []),
    ...(remoteHolds(compared, tolerance) ? [] : ['more remote than a rival']),
    ...(killsMore(unseen) ? ['kills more than a rival where nothing counts but unseen'] : []),
    ...(remoteHolds(unseen, tolerance)
      ? []
      : ['more remote than a rival where nothing counts but unseen']),
  ];
  const better = result.exhaustive?.better.map(
    ({ configuration, by }) => `better by ${by}: ${configuration}`,
  );
  return [`${result.id}: ${result.searchReplays} replays`, ...losses, ...(better ?? [])].join(
    '\n  ',
  );
}

/** @returns exit code: 0 measured, 2 wrong arguments */
export async function main(argv: readonly string[]): Promise<number> {
  let options: Options | undefined;
  try {
    options = optionsOf(argv);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.speed) {
    for (const line of measureSpeed()) process.stdout.write(`${line}\n`);
    return 0;
  }
  const { seed, numbers, json } = options;
  let before: ProblemResult[];
  try {
    before = json !== undefined && options.resume ? resultsIn(json, seed) : [];
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  const known = new Map(before.map((result) => [numberOf(result), result]));
  const left = numbers.filter((number) => !known.has(number));
  const started = Date.now();
  const seconds = (): string => `${Math.round((Date.now() - started) / 1000)} s`;
  const soFar = (): ProblemResult[] => numbers.flatMap((number) => known.get(number) ?? []);
  await runProblems(seed, left, (result) => {
    known.set(numberOf(result), result);
    const count = soFar().length;
    process.stderr.write(`${count}/${numbers.length} ${seconds()} ${progress(result, seed)}\n`);
    if (json !== undefined) write(json, report(seed, soFar()));
  });
  const whole = report(seed, soFar());
  if (json !== undefined) write(json, whole);
  process.stdout.write(`${JSON.stringify({ summary: whole.summary })}\n`);
  return 0;
}

/** In one go: an interruption leaves the file of before. */
function write(path: string, whole: Report): void {
  const beside = `${path}.new`;
  writeFileSync(beside, `${JSON.stringify(whole, null, 1)}\n`);
  renameSync(beside, path);
}

function numberOf({ id }: ProblemResult): number {
  return Number.parseInt(id, 10);
}

/**
 * Figures of a run that was interrupted; none where there is no such file yet.
 * @throws Error where the file is not one of this bench, seed and version
 */
function resultsIn(path: string, seed: number): ProblemResult[] {
  if (!existsSync(path)) return [];
  const found = JSON.parse(readFileSync(path, 'utf8')) as Partial<Report>;
  if (!Array.isArray(found.results) || found.summary?.seed !== seed) {
    const was = found.summary?.seed;
    throw new Error(
      `--resume: ${path} has ${was === undefined ? 'no figures of this bench' : `figures of seed ${was}`}; expected those of seed ${seed}`,
    );
  }
  if (found.sources !== sourcesHash()) {
    throw new Error(
      `--resume: ${path} has figures of another version of simulator, advisor or bench; start anew without --resume`,
    );
  }
  return found.results;
}

if (require.main === module) {
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
