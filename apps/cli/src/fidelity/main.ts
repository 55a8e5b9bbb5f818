import { Command, InvalidArgumentError } from 'commander';
import { runFidelity } from './fidelity';
import { ownCases } from './read-cases';

interface Options {
  cases: string;
  groups?: string;
  json?: string;
  document?: string;
  boots?: string;
}

function groupLetters(value: string): string {
  if (/^[A-Z]+$/.test(value)) return value;
  throw new InvalidArgumentError(`expected letters of groups such as LABC, found '${value}'`);
}

new Command('fidelity')
  .description('replay recorded kernel cases and compare what the model predicts for each')
  .option('--cases <dir>', 'folder of case files (.json or .json.br)', ownCases())
  .option('--groups <letters>', 'only the cases of these groups, e.g. LABCDEFGIJ', groupLetters)
  .option('--json <file>', 'where to write predictions and comparison')
  .option('--document <file>', 'a document such as docs/FIDELITY.md whose figures are renewed')
  .option('--boots <dir>', 'other boots of these cases: scored as if they had been predicted')
  .action(({ cases, groups, json, document, boots }: Options) => {
    try {
      process.exitCode = runFidelity({
        casesDir: cases,
        groups,
        jsonFile: json,
        documentFile: document,
        bootsDir: boots,
      });
    } catch (error) {
      process.stderr.write(`zonewise: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  })
  .parse();
