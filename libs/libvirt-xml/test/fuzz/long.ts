import { parseArgs } from 'node:util';
import { fuzz, newRun } from './harness';

const PROGRESS_MS = 10_000;
const DEFAULT_DOCUMENTS = 200_000;
/** No text of this size may keep the reader busy so long. */
const HANG_MS = 10_000;

const USAGE = `Reads, judges and patches mutated libvirt documents.

  --seed N   which documents (default 1)
  --docs N   how many (default ${DEFAULT_DOCUMENTS})
`;

/** @throws RangeError that says what was found */
function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new RangeError(`--${name} is '${text}', but must be a whole number from ${least} on`);
}

/**
 * @param argv arguments after the command's name
 * @returns exit code: 0 nothing found, 1 a crash, a hang or an untyped error, 2 wrong arguments
 */
export function main(argv: readonly string[]): number {
  let seed: number;
  let documents: number;
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seed: { type: 'string', default: '1' },
        docs: { type: 'string', default: String(DEFAULT_DOCUMENTS) },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    seed = wholeNumber('seed', values.seed, 0);
    documents = wholeNumber('docs', values.docs, 1);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const run = newRun();
  let printed = Date.now();
  const goOn = (): boolean => {
    if (Date.now() - printed >= PROGRESS_MS) {
      printed = Date.now();
      process.stderr.write(`${run.documents} documents\n`);
    }
    return run.slowestMs < HANG_MS;
  };
  fuzz(seed, documents, run, { goOn, clock: () => performance.now() });
  if (run.failure !== null || run.slowestMs >= HANG_MS) {
    const { xml, why } = run.failure ?? { xml: run.slowest, why: `${run.slowestMs} ms` };
    process.stdout.write(`fuzz:xml: seed ${seed}, document ${run.documents}: ${why}\n${xml}\n`);
    return 1;
  }
  const hash = run.hash.toString(16).padStart(8, '0');
  process.stdout.write(
    `fuzz:xml: ${run.documents} documents, ${run.accepted} readings accepted, ${run.patched} patches, ${run.codes.size} codes of refusals, slowest ${run.slowestMs.toFixed(0)} ms, 0 failures, hash ${hash}\n`,
  );
  return 0;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
