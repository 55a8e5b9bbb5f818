import { once } from 'node:events';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DataSource } from 'typeorm';
import { Presence } from '../apps/api/src/database/presence';
import { IdempotencyKey } from '../apps/api/src/work/idempotency-key.entity';
import { JobRunner } from '../apps/api/src/jobs/job-runner';
import { WORK_LIMITS, WorkLimits } from '../apps/api/src/work/work-pool';
import {
  createSecondApp,
  createTestApp,
  databaseKinds,
  serveTestApp,
  TestApp,
} from './support/app';
import { Client } from './support/client';
import { addressOf, startProcess } from './support/service-process';

const kinds = databaseKinds('two processes on one database');

// Advice is replayed, some of it twice.
jest.setTimeout(300_000);

describe.each(kinds)('an Idempotency-Key on %s', (kind) => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
  });
  afterAll(() => test.close());

  it('is free again when the process that was answering has ended, and in use while it lives', async () => {
    const open = (key: string, processNumber: number) =>
      test.app.get(DataSource).getRepository(IdempotencyKey).insert({
        key,
        processNumber,
        fingerprint: '',
        createdAt: '2026-01-01T00:00:00.000Z',
        expiresAt: '2999-01-01T00:00:00.000Z',
      });
    const { number } = test.app.get(Presence);
    await open('of-the-living', number);
    await open('of-the-dead', number === 1 ? 2 : 1);
    const ask = (key: string) => client.post('/v1/diagnoses', {}, { 'idempotency-key': key });
    expect((await ask('of-the-living')).body.code).toBe('idempotency-key-in-use');
    expect((await ask('of-the-dead')).body.code).toBe('validation-failed');
    // What failed is not kept.
    expect((await ask('of-the-dead')).body.code).toBe('validation-failed');
  });
});

// With SQLite there is one process; databaseKinds has said so where PostgreSQL is left out.
const onPostgres = kinds.includes('postgres') ? describe : undefined;
onPostgres?.('two processes on one PostgreSQL database', () => {
  const kind = 'postgres';
  let test: TestApp;
  let second: NestExpressApplication;
  let first: Client;
  let other: Client;
  let hostId: string;

  beforeAll(async () => {
    test = await createTestApp({ kind });
    second = await createSecondApp(test);
    await test.app.listen(0, '127.0.0.1');
    await second.listen(0, '127.0.0.1');
    first = new Client(await test.app.getUrl());
    other = new Client(await second.getUrl());
    hostId = await first.storeHost('shared');
    await first.storeDomain(hostId, 'web1');
    for (const app of [test.app, second]) app.get<WorkLimits>(WORK_LIMITS).pollMs = 100;
  });
  afterAll(async () => {
    await second.close();
    await test.close();
  });

  const advise = (client: Client, seed: number) =>
    client.post(`/v1/hosts/${hostId}/recommendations`, { seed });
  const database = () => test.app.get(DataSource);
  const numberOf = (app: NestExpressApplication) => app.get(Presence).number;
  const runnerOf = async (jobId: string): Promise<number | null> => {
    const [row] = await database().query('SELECT "processNumber" FROM jobs WHERE id = $1', [jobId]);
    return row.processNumber;
  };

  it('share the jobs: each is run once, by whichever has a thread, and both tell of it', async () => {
    // Long enough each that the other process looks for work while one is running.
    const ids: string[] = [];
    for (let seed = 11; seed <= 14; seed += 1) {
      ids.push((await advise(first, seed)).body.id as string);
    }
    const jobs = await Promise.all(ids.map((id) => first.finish(id)));
    for (const job of jobs) expect(job).toMatchObject({ state: 'succeeded', attempts: 1 });
    const runners = await Promise.all(ids.map(runnerOf));
    expect(new Set(runners)).toEqual(new Set([numberOf(test.app), numberOf(second)]));
    expect(new Set(jobs.map(({ resultId }) => resultId)).size).toBe(ids.length);
  });

  it('cancel each other’s jobs', async () => {
    const { id } = (await advise(first, 4)).body;
    await other.untilRunning(id);
    const [canceller, worker] =
      (await runnerOf(id)) === numberOf(second) ? [first, second] : [other, test.app];
    expect((await canceller.send('DELETE', `/v1/jobs/${id}`)).body.state).toBe('cancelled');
    while (worker.get(JobRunner).runs(id)) await other.get('/health/live');
    expect((await first.get(`/v1/jobs/${id}`)).body).toMatchObject({
      state: 'cancelled',
      resultId: null,
    });
  });

  it('leave alone what runs elsewhere when they start, and take up what a lost session left', async () => {
    const { id } = (await advise(first, 5)).body;
    await other.untilRunning(id);
    const before = await runnerOf(id);
    const third = await createSecondApp(test);
    await third.close();
    expect(await runnerOf(id)).toBe(before);
    expect((await first.get(`/v1/jobs/${id}`)).body.attempts).toBe(1);

    const worker = before === numberOf(second) ? second : test.app;
    await database().query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1`,
      [before],
    );
    const job = await first.finish(id);
    // Under a new number the same process may be the one to take it up.
    expect(numberOf(worker)).not.toBe(before);
    expect(job).toMatchObject({ state: 'succeeded', attempts: 2 });
    const results = await database().query(
      'SELECT DISTINCT "xorGroupId" FROM recommendations WHERE "jobId" = $1',
      [id],
    );
    // One job may answer several recommendations, which exclude each other: one group is one answer.
    expect(results).toHaveLength(1);
  });

  it('take up at once what a killed process was running', async () => {
    if (test.settings.database.kind !== 'postgres') throw new Error('This test is for PostgreSQL.');
    const child = startProcess({
      PORT: '0',
      DATABASE_URL: test.settings.database.url,
      LOG_LEVEL: 'error',
      ZONEWISE_WORKERS: '1',
    });
    const exited = once(child, 'exit');
    const killed = new Client(await addressOf(child));
    const known = new Set([numberOf(test.app), numberOf(second)]);
    // The other two are busy or quick; of enough jobs the third process gets one.
    const ids: string[] = [];
    let victim: string | undefined;
    for (let seed = 10; victim === undefined; seed += 1) {
      ids.push((await advise(killed, seed)).body.id as string);
      for (const id of ids) {
        const runner = await runnerOf(id);
        if (runner !== null && !known.has(runner)) victim = id;
      }
    }
    child.kill('SIGKILL');
    await exited;
    for (const id of ids.filter((id) => id !== victim))
      await first.send('DELETE', `/v1/jobs/${id}`);
    const job = await first.finish(victim);
    expect(job).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(known).toContain(await runnerOf(victim));
  });
});
