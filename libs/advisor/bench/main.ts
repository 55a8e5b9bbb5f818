/** Compares advice with rivals and with the optimum of small problems; see docs/BENCH-ADVICE.md. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { killsMore, overSituations, remoteHolds, type ProblemResult } from './judge';
import { kindOf, type ProblemKind } from './problems';
import { report, runProblems, toleranceOf } from './run';
import { PROBLEMS } from './shares';
import { measureSpeed } from './speed';

const KINDS: readonly ProblemKind[] = ['mixed', 'small', 'preferred-beside-cache'];
const USAGE = `Compares advice with rivals on generated problems, and with the optimum where the whole space is replayed.

  --seed N        which problems (default 1)
  --problems N    only the first N of ${PROBLEMS}
  --only KIND     only those of a kind: ${KINDS.join(', ')}; or one problem by its number
  --json FILE     writes all figures there as well
  --speed         instead: how long advice takes on two hosts of stated sizes
`;

interface Options {
  seed: number;
  numbers: number[];
  json?: string;
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
      speed: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const count = whole('--problems', values.problems, 1, 100_000);
  const all = Array.from({ length: count }, (_, number) => number);
  return {
    seed: whole('--seed', values.seed, 0, 2 ** 31),
    numbers: chosen(all, values.only),
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
  const losses = [
    ...(killsMore(compared) ? ['kills more than a rival'] : []),
    ...(remoteHolds(compared, tolerance) ? [] : ['more remote than a rival']),
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
  const started = Date.now();
  let count = 0;
  const results = await runProblems(seed, numbers, (result) => {
    count += 1;
    process.stderr.write(`${count}/${numbers.length} ${progress(result, seed)}\n`);
  });
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stderr.write(`${seconds} s\n`);
  const { summary } = report(seed, results);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ results, summary }, null, 1)}\n`);
  process.stdout.write(`${JSON.stringify({ summary })}\n`);
  return 0;
}

if (require.main === module) {
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
