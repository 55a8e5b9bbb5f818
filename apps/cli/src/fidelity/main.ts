import { Command } from 'commander';
import { runFidelity } from './fidelity';

new Command('fidelity')
  .description('replay recorded kernel cases and write what the model predicts for each')
  .requiredOption('--cases <dir>', 'folder of case files')
  .option('--json <file>', 'where to write the predictions')
  .action(({ cases, json }: { cases: string; json?: string }) => {
    process.exitCode = runFidelity({ casesDir: cases, jsonFile: json });
  })
  .parse();
