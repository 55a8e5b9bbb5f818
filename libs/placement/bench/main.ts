/** Measures the packer on instances that a seed decides, and a placement with all of its replays. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { replayThreads, type ReplayThreads } from '@zonewise/replay-threads';
import { pack } from '../src';
import { FAMILIES, instance, type Family } from './instances';
import { cpuSeconds, measure, threadSeconds, type Measured } from './measure';
import {
  growthTable,
  instanceTable,
  missedBy,
  summarize,
  verifiedTable,
  type Growth,
  type Verified,
} from './report';
import { placeVerified } from './verified';

const USAGE = `Places guests on hosts and compares with first-fit and best-fit decreasing and with lower bounds.
Seconds are CPU time of this process. docs/PLACEMENT.md says what the families are.
Exit 0: the summary holds what it has to; 1: it does not, and stderr says what it misses.

  --seed N        decides every instance; default 1
  --json FILE     writes everything there as well
  --only FAMILY   one of ${FAMILIES.join(', ')}
  --hosts N       hosts of an instance, with ten guests for each; default 1000
  --instances N   instances of each family; default 3
  --verify WHAT   families that are placed with replays too: a family, all or none; default all
  --threads N     threads that replay; the answers do not depend on it; default: as many as CPUs
  --help          prints this
  --no-growth     leaves out 100, 1,000 and 10,000 hosts
`;

const GUESTS_PER_HOST = 10;
const GROWTH_HOSTS = [100, 1000, 10_000];
const GROWTH_FAMILY: Family = 'cloud-sizes';

function fail(message: string): never {
  process.stderr.write(`${message}\n\n${USAGE}`);
  process.exit(1);
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) {
    fail(`--${name}: found ${text}; expected a whole number from ${least} upwards.`);
  }
  return value;
}

function familiesOf(name: string, text: string): readonly Family[] {
  const found = FAMILIES.find((family) => family === text);
  if (found !== undefined) return [found];
  return fail(`--${name}: there is no family ${text}.`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function read() {
  try {
    return parseArgs({
      options: {
        seed: { type: 'string', default: '1' },
        json: { type: 'string' },
        only: { type: 'string' },
        hosts: { type: 'string', default: '1000' },
        instances: { type: 'string', default: '3' },
        verify: { type: 'string', default: 'all' },
        threads: { type: 'string', default: String(availableParallelism()) },
        'no-growth': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function options(): {
  seed: number;
  json: string | undefined;
  families: readonly Family[];
  hosts: number;
  instances: number;
  verify: readonly Family[];
  threads: number;
  growth: boolean;
} {
  const values = read();
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const families = values.only === undefined ? FAMILIES : familiesOf('only', values.only);
  const verify =
    values.verify === 'all'
      ? families
      : values.verify === 'none'
        ? []
        : familiesOf('verify', values.verify).filter((family) => families.includes(family));
  return {
    seed: whole('seed', values.seed, 0),
    json: values.json,
    families,
    hosts: whole('hosts', values.hosts, 1),
    instances: whole('instances', values.instances, 1),
    verify,
    threads: whole('threads', values.threads, 1),
    growth: !values['no-growth'],
  };
}

async function verified(
  family: Family,
  seed: number,
  hosts: number,
  threads: ReplayThreads,
): Promise<Verified> {
  const made = instance(family, seed, hosts, hosts * GUESTS_PER_HOST);
  const {
    value: answer,
    seconds,
    elapsedSeconds,
  } = await threadSeconds(() =>
    placeVerified(made, threads, (_name, done, of) => {
      if (done % 50 === 0) say(`${family}: ${done} of ${of} hosts replayed`);
    }),
  );
  const { placements, refused, hostsUsed, search } = answer;
  const { rounds, replays, sharedReplays } = search;
  const text = JSON.stringify([placements, refused]);
  return {
    ...{ family, hosts, guests: made.guests.length, placed: placements.length, hostsUsed },
    ...{ refused: refused.length, rounds, replays, sharedReplays, seconds, elapsedSeconds },
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
  };
}

function grown(seed: number, hosts: number): Growth {
  const {
    family,
    hosts: shapes,
    guests,
  } = instance(GROWTH_FAMILY, seed, hosts, hosts * GUESTS_PER_HOST);
  const { seconds } = cpuSeconds(() => pack({ hosts: shapes, guests, objective: 'density' }));
  return { family, hosts, guests: guests.length, arithmeticSeconds: seconds };
}

async function main(): Promise<void> {
  const chosen = options();
  const { seed, json, families, hosts, instances, verify, growth: withGrowth } = chosen;
  const measured: Measured[] = [];
  for (const family of families) {
    for (let i = 0; i < instances; i += 1) {
      // Seeds of neighbouring runs share no instance.
      const own = seed * 1000 + i;
      const result = measure(instance(family, own, hosts, hosts * GUESTS_PER_HOST));
      measured.push(result);
      say(`${family}, seed ${own}: ${result.hostsUsed} hosts`);
    }
  }
  const growth = withGrowth ? GROWTH_HOSTS.map((size) => grown(seed * 1000, size)) : [];
  const replayed: Verified[] = [];
  const threads = replayThreads(chosen.threads);
  for (const family of verify) replayed.push(await verified(family, seed * 1000, hosts, threads));
  await threads.close();
  const summary = summarize(seed, measured, replayed);
  const parts = [
    instanceTable(measured),
    ...(growth.length === 0 ? [] : [growthTable(growth)]),
    ...(replayed.length === 0 ? [] : [verifiedTable(replayed)]),
    JSON.stringify({ summary }, null, 2),
  ];
  process.stdout.write(`${parts.join('\n\n')}\n`);
  if (json !== undefined) {
    const all = { instances: measured, growth, verified: replayed, summary };
    writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
  }
  const missed = missedBy(summary);
  for (const what of missed) say(`missed: ${what}`);
  if (missed.length > 0) process.exitCode = 1;
}

void main();
