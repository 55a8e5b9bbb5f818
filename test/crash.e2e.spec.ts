import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Json } from './support/client';
import { addressOf, startProcess } from './support/service-process';

interface Running {
  process: ChildProcess;
  client: Client;
}

/** Starts the real service on this database. */
async function start(databasePath: string): Promise<Running> {
  const child = startProcess({
    PORT: '0',
    DATABASE_URL: `sqlite:${databasePath}`,
    LOG_LEVEL: 'error',
    ZONEWISE_WORKERS: '1',
  });
  return { process: child, client: new Client(await addressOf(child)) };
}

async function kill({ process: child }: Running, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

// Several starts of a whole process each, which compile their sources: a busy machine takes its time.
jest.setTimeout(300_000);

describe('kill -9', () => {
  let folder: string;
  let running: Running | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-crash-'));
  });
  afterEach(async () => {
    if (running !== undefined) await kill(running, 'SIGKILL');
    running = undefined;
    rmSync(folder, { recursive: true, force: true });
  });
  const begin = async (): Promise<Client> => {
    running = await start(join(folder, 'crash.sqlite'));
    return running.client;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (running !== undefined) await kill(running, signal);
    running = undefined;
  };

  it('loses nothing that was acknowledged, and finishes the job at the next start', async () => {
    let client = await begin();
    const hostId = await client.storeExample('survivor');
    const accepted = await client.post(`/v1/hosts/${hostId}/simulations`, { seed: 11 });
    await end('SIGKILL');
    expect(accepted.status).toBe(202);

    client = await begin();
    const job = await client.finish(accepted.body.id);
    expect(job).toMatchObject({ state: 'succeeded', hostId });
    expect((await client.get(job.resultUrl)).body.basis.seed).toBe(11);
    expect((await client.get(`/v1/hosts/${hostId}`)).body.name).toBe('survivor');
    const domains = await client.get(`/v1/hosts/${hostId}/domains`);
    expect(domains.body.items.map((item: Json) => item.name).sort()).toEqual([
      'db1',
      'job1',
      'web1',
      'web2',
    ]);
  });

  it('between the stored job and the answer: the same Idempotency-Key gets that job, and no second', async () => {
    let client = await begin();
    const hostId = await client.storeExample('interrupted');
    const path = `/v1/hosts/${hostId}/recommendations`;
    const key = { 'idempotency-key': 'once', prefer: 'wait=60' };
    const unanswered = client.post(path, { seed: 7 }, key).then(
      ({ status }) => status,
      () => 'no answer',
    );
    let jobs: Json[] = [];
    while (jobs.length === 0) jobs = (await client.get('/v1/jobs')).body.items;
    await end('SIGKILL');
    expect(await unanswered).toBe('no answer');

    client = await begin();
    const other = await client.post(path, { seed: 8 }, key);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
    const again = await client.post(path, { seed: 7 }, key);
    expect([again.status, again.body.id]).toEqual([202, jobs[0].id]);
    expect(again.headers.get('location')).toBe(`/v1/jobs/${jobs[0].id}`);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const done = await client.finish(jobs[0].id);
    // It was waiting or running when the process was killed.
    expect(done.state).toBe('succeeded');
    expect((await client.get('/v1/jobs')).body.items).toHaveLength(1);
  });

  it('gives up a job that ends the process three times; stopping in order does not count', async () => {
    let client = await begin();
    const hostId = await client.storeExample('hopeless');
    const { id } = (await client.post(`/v1/hosts/${hostId}/recommendations`, {})).body;
    await client.untilRunning(id);
    await end('SIGTERM');
    for (const attempt of [1, 2, 3]) {
      client = await begin();
      await client.untilRunning(id);
      expect((await client.get(`/v1/jobs/${id}`)).body.attempts).toBe(attempt);
      await end('SIGKILL');
    }
    client = await begin();
    const { state, error, attempts } = await client.finish(id);
    expect([state, error.code, attempts]).toEqual(['failed', 'attempts-exhausted', 3]);
  });
});
