import type { Outcome, RecommendationContent } from '@zonewise/advisor';
import { hostTextsOf, type HostTexts } from '@zonewise/host-facts';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../version';
import { Client } from './client';
import { recordingTable, simulationOf, type Recordings } from './recording';
import { report } from './report';
import { startService } from './service';

export interface DemoOptions {
  /** Leave the service up until a signal ends it. */
  keep: boolean;
  /** Where the patched XML and the sysctl files are written. */
  outFolder: string;
}

interface Job {
  id: string;
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  progress: number;
  message: string | null;
  resultId: string | null;
  error: unknown;
}

interface AdviceFile {
  name: string;
  purpose: keyof typeof PURPOSES;
  url: string;
}

const PURPOSES = {
  apply: 'to install',
  diff: 'what changes, to read',
  rollback: 'the way back',
};
const HOST_NAME = 'example-2n';
const PLANNED = ['web1', 'web2', 'job1'];
const POLL_MS = 100;

const example = (...path: string[]): string =>
  readFileSync(join(packageRoot(), 'examples', ...path), 'utf8');

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What the capabilities document says already. */
const SAID_TWICE = 'numactl-hardware';

/** The example host's texts under the field names of `POST /v1/hosts/import`. */
function exampleTexts(): HostTexts & { capabilities: string } {
  const names = readdirSync(join(packageRoot(), 'examples', 'host'));
  const told = names.filter((name) => name !== SAID_TWICE).sort();
  return {
    capabilities: example('host-capabilities.xml'),
    ...hostTextsOf(told, (name) => example('host', name)),
  };
}

/** How many texts a request carries, those of maps included. */
function countTexts(value: unknown): number {
  if (typeof value === 'string') return 1;
  return Object.values(value as object).reduce<number>((sum, part) => sum + countTexts(part), 0);
}

async function storeExamples(client: Client): Promise<string> {
  const texts = exampleTexts();
  const host = await client.json<{ id: string }>('POST', '/v1/hosts/import', {
    name: HOST_NAME,
    description: 'two nodes of 4 GiB, node 0 full of page cache',
    ...texts,
  });
  say(`  host ${HOST_NAME} imported from ${countTexts(texts)} texts as the host printed them`);
  await client.form('PUT', `/v1/hosts/${host.id}/domains/db1?state=running`, {
    xml: example('db1.xml'),
    numaMaps: example('host', 'guest.db1.numa_maps'),
    smapsRollup: example('host', 'guest.db1.smaps_rollup'),
  });
  say('  domain db1 stored: running, its pages per node read from numa_maps');
  for (const name of PLANNED) {
    await client.xml(
      'PUT',
      `/v1/hosts/${host.id}/domains/${name}?state=planned`,
      example(`${name}.xml`),
    );
  }
  say(`  domains ${PLANNED.join(', ')} stored: planned, numatune preferred, node 0`);
  return host.id;
}

/** Follows a job to its end and shows its progress where somebody watches. */
async function finish(client: Client, job: Job): Promise<string> {
  let shown = '';
  for (;;) {
    const now = await client.json<Job>('GET', `/v1/jobs/${job.id}`);
    const line = `  ${Math.round(now.progress * 100)} % ${now.message ?? now.state}`;
    if (line !== shown) {
      process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
      shown = line;
    }
    if (now.state === 'succeeded' && now.resultId !== null) {
      if (process.stderr.isTTY) process.stderr.write('\n');
      return now.resultId;
    }
    if (now.state === 'failed' || now.state === 'cancelled') {
      throw new Error(`the recommendation ${now.state}: ${JSON.stringify(now.error)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function writeFiles(client: Client, files: AdviceFile[], folder: string): Promise<void> {
  if (files.length === 0) {
    say('\nNothing to write: the advice changes nothing.');
    return;
  }
  mkdirSync(folder, { recursive: true });
  say(`\nWritten to ${folder}/`);
  for (const { name, purpose, url } of files) {
    writeFileSync(join(folder, name), await client.text(url));
    say(`  ${name.padEnd(20)} ${PURPOSES[purpose]}`);
  }
}

/** Replays every recorded setting in full and shows both. */
async function besideRecordings(client: Client, hostId: string): Promise<string> {
  const { recordings } = JSON.parse(example('recorded-kernel.json')) as Recordings;
  const pairs: Parameters<typeof recordingTable>[0][number][] = [];
  for (const recording of recordings) {
    const body = simulationOf(recording, PLANNED);
    const job = await client.json<Job>('POST', `/v1/hosts/${hostId}/simulations`, body);
    const id = await finish(client, job);
    const { outcome } = await client.json<{ outcome: Outcome }>('GET', `/v1/simulations/${id}`);
    pairs.push({ recording, outcome });
  }
  return recordingTable(pairs);
}

async function mainJob(client: Client, options: DemoOptions): Promise<void> {
  say('Importing');
  const hostId = await storeExamples(client);
  say('Replaying candidates');
  const job = await client.json<Job>('POST', `/v1/hosts/${hostId}/recommendations`, {});
  const id = await finish(client, job);
  const content = await client.json<RecommendationContent & { files: AdviceFile[] }>(
    'GET',
    `/v1/recommendations/${id}`,
  );
  say(`\n${report(content)}`);
  say(`\n${await besideRecordings(client, hostId)}`);
  await writeFiles(client, content.files, options.outFolder);
}

/**
 * The main job from end to end over HTTP, on a service of its own.
 * @returns exit code 0; whatever goes wrong is thrown.
 */
export async function demo(options: DemoOptions): Promise<number> {
  say('Starting the service');
  const service = await startService();
  try {
    await mainJob(new Client(service.address), options);
    if (options.keep) {
      say(`\nThe service stays up: ${service.address}/docs (end it with Ctrl-C)`);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.once(signal, () => void service.stop());
      }
      await service.ended;
    }
  } finally {
    await service.stop();
  }
  return 0;
}
