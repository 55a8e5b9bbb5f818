import { Command, CommanderError } from 'commander';

import { version } from './version';

/**
 * Exit codes, the same for every command: 0 done (gate: the plan passes), 1 could not do it or could
 * not judge, 2 the plan fails. CI systems rely on 1 and 2 being different things.
 */
function program(): Command {
  const zonewise = new Command('zonewise')
    .description('Predicts where Linux will put the memory of KVM guests, and what that costs.')
    .version(version())
    .exitOverride();
  zonewise
    .command('gate')
    .description('judge a packing plan by replaying it; exit 0 pass, 2 fail, 1 could not judge')
    .argument('<plan.yaml>', 'the plan: host, domains, demand and limits')
    .option('-o, --output <format>', 'table or json', 'table')
    .action(async (plan: string, options: { output: string }) => {
      // Loaded when asked for: --help and the other commands need none of it.
      const { gate } = await import('./gate/gate');
      process.exitCode = gate(plan, options.output);
    });
  zonewise
    .command('demo')
    .description('run the whole service once on the example host and print its advice')
    .option('--keep', 'leave the service running and print the address of its console')
    .option('--out <folder>', 'where to write the patched XML and the sysctl.d file', 'out')
    .action(async (options: { keep?: boolean; out: string }) => {
      const { demo } = await import('./demo/demo');
      process.exitCode = await demo({ keep: options.keep === true, outFolder: options.out });
    });
  return zonewise;
}

async function main(): Promise<void> {
  try {
    await program().parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its message; asking for help or the version is not an error.
      process.exitCode = error.exitCode === 0 ? 0 : 1;
      return;
    }
    process.stderr.write(`zonewise: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

void main();
