/** Measures the allocator's core: `--only NAME` one group, `--json FILE` also writes the results there. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { CORE_BENCHES, type Bench, type Result } from './benches';
import { RECLAIM_BENCHES } from './reclaim';

/** What `npm run bench` runs. */
const BENCHES: readonly Bench[] = [...CORE_BENCHES, ...RECLAIM_BENCHES];

const USAGE = `Measures the simulator's core and the page-by-page reference on the same operations.
Times are CPU time of this process, the best of some tries.

  --only NAME   one of ${BENCHES.map(({ name }) => name).join(', ')}
  --json FILE   writes the results there as well
`;

const PLAIN = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
};

function number(value: number | null, digits: number): string {
  if (value === null) return '-';
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

const kib = (bytes: number | null): string => number(bytes === null ? null : bytes / 1024, 1);

/** Says whether both machines ended alike. */
function hashText({ stateHash, referenceHash }: Result): string {
  if (referenceHash === null) return stateHash;
  return referenceHash === stateHash
    ? `${stateHash} =`
    : `${stateHash}, reference ${referenceHash}`;
}

export function table(results: readonly Result[]): string {
  const lines = new Table({
    head: [
      '',
      'pages',
      'ms',
      'ns/page',
      'reference ns/page',
      'times',
      'uniform KiB/GiB',
      'most KiB/GiB',
      'of that free lists',
      'state',
    ],
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', ...new Array<'right'>(8).fill('right'), 'left'],
  });
  for (const result of results) {
    lines.push([
      result.name,
      number(Number(result.params['pages'] ?? 0), 0),
      number(result.ms, 2),
      number(result.nsPerPage, 3),
      number(result.referenceNsPerPage, 1),
      number(result.referenceRatio, (result.referenceRatio ?? 0) < 10 ? 2 : 0),
      kib(result.uniformBytesPerGib),
      kib(result.bytesPerGib),
      kib(result.freeListBytesPerGib),
      hashText(result),
    ]);
  }
  return lines
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}

/** @returns exit code: 0 measured, 1 the machines ended differently, 2 wrong arguments */
export function main(argv: readonly string[]): number {
  let values: { only?: string; json?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: { only: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' } },
    }));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const chosen = BENCHES.filter(({ name }) => values.only === undefined || name === values.only);
  if (chosen.length === 0) {
    process.stderr.write(`--only is '${values.only}', which is no group of measurements\n${USAGE}`);
    return 2;
  }
  const results = chosen.flatMap((bench) => {
    bench.warmUp();
    return bench.run();
  });
  process.stdout.write(`${table(results)}\n`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ results }, null, 2)}\n`);
  }
  return results.every(({ stateHash, referenceHash }) => (referenceHash ?? stateHash) === stateHash)
    ? 0
    : 1;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
