import { parseArgs } from 'node:util';
import { productionMachine } from '../production-machine';
import { report } from './compare';
import { fuzz, newRun } from './harness';
import type { MakeMachine } from './harness';

const PROGRESS_MS = 10_000;
const OPS_PER_MACHINE = 300;
const DEFAULT_OPS = 100_000;

const USAGE = `Compares the simulator with the page-by-page reference on random machines.

  --seed N      which machines (default 1)
  --ops N       stop after so many compared operations (default 100000, without --seconds)
  --seconds N   stop after so many seconds (default: no limit)
`;

/** A whole number of at least `least`. @throws RangeError that says what was found */
function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`--${name} is '${text}', but must be a whole number from ${least} on`);
  }
  return value;
}

interface Options {
  seed: number;
  ops: number;
  seconds: number;
}

function options(argv: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: '1' },
      ops: { type: 'string' },
      seconds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    return null;
  }
  const without = values.seconds === undefined ? DEFAULT_OPS : Infinity;
  return {
    seed: wholeNumber('seed', values.seed, 0),
    ops: values.ops === undefined ? without : wholeNumber('ops', values.ops, 1),
    seconds: values.seconds === undefined ? Infinity : wholeNumber('seconds', values.seconds, 1),
  };
}

/**
 * Long comparison from the command line. Progress goes to stderr, the result to stdout.
 * @param argv arguments after the command's name
 * @param make what is compared with the reference
 * @returns exit code: 0 no difference, 1 a difference, 2 wrong arguments
 */
export function main(argv: readonly string[], make: MakeMachine = productionMachine): number {
  let given: Options | null;
  try {
    given = options(argv);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (given === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { seed, ops, seconds } = given;
  const begin = Date.now();
  let printed = begin;
  const run = newRun();
  const goOn = (): boolean => {
    const now = Date.now();
    const spent = (now - begin) / 1000;
    if (now - printed >= PROGRESS_MS) {
      printed = now;
      const rate = Math.round(run.coverage.operations / spent);
      process.stderr.write(
        `${Math.round(spent)} s, ${run.machines} machines, ${run.coverage.operations} operations, ${rate}/s\n`,
      );
    }
    return run.coverage.operations < ops && spent < seconds;
  };
  for (let round = 0; run.difference === null && goOn(); round++) {
    fuzz(make, seed + round * 1_000_003, 20, Math.min(OPS_PER_MACHINE, ops), run, goOn);
  }
  process.stderr.write(`${run.coverage.text()}\n`);
  if (run.difference !== null) {
    process.stdout.write(`${report(run.difference, 'simulator', 'reference')}\n`);
    return 1;
  }
  const hash = run.hash.toString(16).padStart(8, '0');
  process.stdout.write(
    `fuzz: ${run.coverage.operations} operations, ${run.machines} machines, 0 differences, hash ${hash}\n`,
  );
  return 0;
}

if (require.main === module) {
  process.exitCode = main(process.argv.slice(2));
}
