import { Command, CommanderError } from 'commander';

import type { HeadroomOptions } from './commands/headroom';
import type { AdviseOptions, ReplayOptions } from './commands/replay-plan';
import type { ServeOptions } from './commands/serve';
import type { GateOptions } from './gate/gate';
import { version } from './version';

const GATE_EXAMPLES = `
Examples:
  zonewise gate examples/plan.yaml
  zonewise gate plans/*.yaml --output junit --out gate.xml
  zonewise gate plan.yaml --output json --out before.json    (on the main branch)
  zonewise gate plan.yaml --output markdown --baseline before.json
  zonewise gate plan.yaml --output markdown --against origin/main
  zonewise gate plan.yaml --server http://127.0.0.1:3000
  zonewise gate --explain ZW004
`;

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
    .description('judge packing plans by replaying them; exit 0 pass, 2 fail, 1 could not judge')
    .argument('[plans...]', 'plan files (YAML or JSON): hosts, guests, demand, policies')
    .option('--fail-level <level>', 'findings from here on fail a plan: error, warning or note')
    .option('-o, --output <format>', 'table, json, junit, sarif, markdown or github', 'table')
    .option('--out <file>', 'write the report there instead of to stdout')
    .option('--baseline <file>', 'earlier --output json; the report says what changed')
    .option('--against <commit>', "say what changed since that commit of the plans' repository")
    .option('--server <url>', 'let a running service judge; hosts of the plan may be named by id')
    .option(
      '--root <folder>',
      "folder that a plan's files may not be outside of (default: its own)",
    )
    .option('--today <day>', 'day that waivers are held against (default: today, UTC)')
    .option('--explain <rule>', 'print the page of a rule, such as ZW004, and exit')
    .addHelpText('after', GATE_EXAMPLES)
    .action(
      async (plans: string[], options: GateOptions & { explain?: string }, command: Command) => {
        // Loaded when asked for: --help and the other commands need none of it.
        const { explain, gate } = await import('./gate/gate');
        if (options.explain !== undefined) process.exitCode = explain(options.explain);
        else if (plans.length === 0)
          command.error('error: name at least one plan, or a rule with --explain');
        else process.exitCode = await gate(plans, options);
      },
    );
  replayCommands(zonewise);
  zonewise
    .command('import')
    .description('read a host out of a folder of what it printed; JSON with provenance')
    .argument('<folder>', 'zoneinfo, buddyinfo, meminfo, node0.meminfo, ... under these names')
    .option('--capabilities <file>', 'output of virsh capabilities')
    .option('--out <file>', 'write the JSON there instead of to stdout')
    .addHelpText('after', '\nExample:\n  zonewise import examples/host --out host.json\n')
    .action(async (folder: string, options: { capabilities?: string; out?: string }) => {
      const { importFolder } = await import('./commands/read-facts');
      process.exitCode = importFolder(folder, options);
    });
  zonewise
    .command('diagnose')
    .description('explain the failed allocations and OOM kills of a kernel log; JSON')
    .argument('<log>', 'output of dmesg or journalctl -k')
    .option('--release <release>', 'uname -r of the host, where the log does not say')
    .option('--out <file>', 'write the JSON there instead of to stdout')
    .addHelpText('after', '\nExample:\n  dmesg > kernel.txt; zonewise diagnose kernel.txt\n')
    .action(async (log: string, options: { release?: string; out?: string }) => {
      const { diagnoseLog } = await import('./commands/read-facts');
      process.exitCode = diagnoseLog(log, options);
    });
  zonewise
    .command('serve')
    .description('run the HTTP service with its console at /docs')
    .option('--host <address>', 'where to listen (default: HOST or 127.0.0.1)')
    .option('--port <port>', 'default: PORT or 3000')
    .option('--database <url>', 'sqlite:PATH or postgres://... (default: DATABASE_URL)')
    .addHelpText(
      'after',
      '\nExample:\n  zonewise serve --port 8080 --database sqlite:zonewise.sqlite\n',
    )
    .action(async (options: ServeOptions) => {
      const { serve } = await import('./commands/serve');
      process.exitCode = await serve(options);
    });
  zonewise
    .command('demo')
    .description('run the whole service once on the example host and print its advice')
    .option('--keep', 'leave the service running and print the address of its console')
    .option('--out <folder>', 'where to write the files that apply the advice', 'out')
    .addHelpText('after', '\nExample:\n  zonewise demo --out out\n')
    .action(async (options: { keep?: boolean; out: string }) => {
      const { demo } = await import('./demo/demo');
      process.exitCode = await demo({ keep: options.keep === true, outFolder: options.out });
    });
  return zonewise;
}

/** `simulate` and `advise` take the same plans as the gate and answer with the same JSON as the service. */
function replayCommands(zonewise: Command): void {
  const plan = (name: string, description: string, example = 'examples/plan.yaml'): Command =>
    zonewise
      .command(name)
      .description(description)
      .argument('<plan>', 'plan file (YAML or JSON), as for the gate')
      .option('--host <name>', 'only this host of the plan')
      .option('--out <file>', 'write the JSON there instead of to stdout')
      .option('--root <folder>', "folder that the plan's files may not be outside of")
      .addHelpText('after', `\nExample:\n  zonewise ${name} ${example} --out ${name}.json\n`);
  plan('simulate', 'replay a plan: every step with its events and the outcome; JSON').action(
    async (path: string, options: ReplayOptions) => {
      const { simulatePlan } = await import('./commands/replay-plan');
      process.exitCode = simulatePlan(path, options);
    },
  );
  plan(
    'headroom',
    'how many more guests of each flavour of a plan its hosts take; JSON',
    'examples/plans/pass-two-hosts.yaml',
  )
    .option('--flavour <name...>', 'only these flavours of the plan')
    .option('--page-cache <mib>', 'page cache that every node has to keep')
    .action(async (path: string, options: HeadroomOptions) => {
      const { headroomOfPlan } = await import('./commands/headroom');
      process.exitCode = headroomOfPlan(path, options);
    });
  plan('advise', 'look for better settings for a plan, with evidence')
    .option('-o, --output <format>', 'json or text', 'json')
    .option('--profile <name>', 'balanced, locality, density or latency')
    .option('--options <file>', 'JSON: weights, constraints and budget as the service takes them')
    .option('--files <folder>', 'write there what applies the advice and takes it back')
    .option('--progress', 'say on stderr how far it is and when there is a first answer')
    .action(async (path: string, options: AdviseOptions) => {
      const { advisePlan } = await import('./commands/replay-plan');
      process.exitCode = advisePlan(path, options);
    });
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
