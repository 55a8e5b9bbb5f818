import { JobEvents } from '../apps/api/src/jobs/job-events';
import { WORK_LIMITS, WorkLimits } from '../apps/api/src/work/work-pool';
import { databaseKinds, serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

describe.each(databaseKinds('jobs'))('jobs on %s', (kind) => {
  let test: TestApp;
  let client: Client;
  let hostId: string;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
    hostId = await client.storeExample('worked-on');
  });
  afterAll(() => test.close());

  const advise = (headers = {}, body: unknown = {}) =>
    client.post(`/v1/hosts/${hostId}/recommendations`, body, headers);
  const simulate = (headers = {}, body: unknown = {}) =>
    client.post(`/v1/hosts/${hostId}/simulations`, body, headers);

  it('accepts, reports states and progress, and ends with a result', async () => {
    const accepted = await advise();
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('location')).toBe(`/v1/jobs/${accepted.body.id}`);
    expect(Number(accepted.headers.get('retry-after'))).toBeGreaterThan(0);

    const states: string[] = [];
    const progress: number[] = [];
    for await (const { event, data } of client.events(accepted.body.id)) {
      if (event === 'state') states.push(data.state);
      else progress.push(data.progress);
    }
    expect(states.at(-1)).toBe('succeeded');
    expect(progress.length).toBeGreaterThan(0);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const job = (await client.get(`/v1/jobs/${accepted.body.id}`)).body;
    expect(job).toMatchObject({ state: 'succeeded', progress: 1, attempts: 1, error: null });
    expect((await client.get(job.resultUrl)).body.jobId).toBe(job.id);
    const again = [];
    for await (const { data } of client.events(job.id)) again.push(data.state);
    expect(again).toEqual(['succeeded']);
  });

  it('keeps the event loop free while it works', async () => {
    const { body } = await advise();
    await client.untilRunning(body.id);
    expect((await client.get('/health/live')).status).toBe(200);
    expect((await client.get(`/v1/jobs/${body.id}`)).body.state).toBe('running');
    await client.send('DELETE', `/v1/jobs/${body.id}`);
  });

  it('cancels running and waiting jobs, and no ended ones', async () => {
    const running = (await advise()).body;
    const waiting = (await advise()).body;
    await client.untilRunning(running.id);
    expect((await client.get(`/v1/jobs/${waiting.id}`)).body.state).toBe('queued');
    for (const { id } of [waiting, running]) {
      const cancelled = await client.send('DELETE', `/v1/jobs/${id}`);
      expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled']);
      const second = await client.send('DELETE', `/v1/jobs/${id}`);
      expect([second.status, second.body.code]).toEqual([409, 'job-final']);
    }
    const next = await simulate({ prefer: 'wait=60' });
    expect(next.status).toBe(201);
    const { body } = await client.get(`/v1/jobs?state=cancelled&limit=100`);
    expect(body.items.map((job: Json) => job.id)).toEqual(
      expect.arrayContaining([running.id, waiting.id]),
    );
    expect(body.items.every((job: Json) => job.resultId === null)).toBe(true);
  });

  it('tells whoever waits that the job was cancelled', async () => {
    const key = { 'idempotency-key': `cancelled-${kind}` };
    const answer = advise({ prefer: 'wait=60', ...key });
    let id: string | undefined;
    while (id === undefined) {
      const page = await client.get('/v1/jobs?state=running&limit=100');
      id = page.body.items[0]?.id as string | undefined;
    }
    await client.send('DELETE', `/v1/jobs/${id}`);
    const { status, body } = await answer;
    expect([status, body.code]).toEqual([409, 'job-final']);
  });

  it('stops when its host is deleted', async () => {
    const other = await client.storeExample('deleted-meanwhile');
    const { body } = await client.post(`/v1/hosts/${other}/recommendations`, {});
    await client.untilRunning(body.id);
    await client.send('DELETE', `/v1/hosts/${other}`);
    expect((await client.get(`/v1/jobs/${body.id}`)).status).toBe(404);
    expect((await simulate({ prefer: 'wait=60' })).status).toBe(201);
  });

  it('forgets readers that leave', async () => {
    const events = test.app.get(JobEvents);
    const { body } = await advise();
    const left = new AbortController();
    const reader = client.events(body.id, left.signal);
    await reader.next();
    expect(events.size).toBe(1);
    left.abort();
    const drain = async (): Promise<void> => {
      while (!(await reader.next()).done);
    };
    await expect(drain()).rejects.toThrow();
    while (events.size > 0) await client.get('/health/live');
    await client.send('DELETE', `/v1/jobs/${body.id}`);
  });

  it('answers 202 when Prefer runs out first', async () => {
    const answer = await advise({ prefer: 'wait=0' });
    expect(answer.status).toBe(202);
    await client.send('DELETE', `/v1/jobs/${answer.body.id}`);
  });

  it('keeps its bounds when many come at once', async () => {
    const limits = test.app.get<WorkLimits>(WORK_LIMITS);
    const { maxWaiting } = limits;
    limits.maxWaiting = 2;
    try {
      const answers = await Promise.all(Array.from({ length: 12 }, () => advise()));
      const accepted = answers.filter(({ status }) => status === 202);
      // Two may wait and one runs; while they are stored one more may end its wait.
      expect(accepted.length).toBeGreaterThanOrEqual(1);
      expect(accepted.length).toBeLessThanOrEqual(4);
      expect(answers.filter(({ status }) => status === 503)).toHaveLength(12 - accepted.length);
      for (const { body } of accepted) await client.send('DELETE', `/v1/jobs/${body.id}`);
    } finally {
      limits.maxWaiting = maxWaiting;
    }
  });

  it('refuses work beyond its bounds with 503', async () => {
    const limits = test.app.get<WorkLimits>(WORK_LIMITS);
    const { maxWaiting } = limits;
    limits.maxWaiting = 0;
    try {
      const answer = await simulate();
      expect([answer.status, answer.body.code]).toEqual([503, 'queue-full']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    } finally {
      limits.maxWaiting = maxWaiting;
    }
  });

  it('ends a job at its time limit', async () => {
    const limits = test.app.get<WorkLimits>(WORK_LIMITS);
    const { jobMs } = limits;
    limits.jobMs = 1;
    try {
      const answer = await advise({ prefer: 'wait=60' });
      expect([answer.status, answer.body.code]).toEqual([503, 'time-limit']);
    } finally {
      limits.jobMs = jobMs;
    }
  });

  it('lists in pages and knows no other ids', async () => {
    const first = (await client.get(`/v1/jobs?limit=1&hostId=${hostId}`)).body;
    const second = (await client.get(`/v1/jobs?limit=1&cursor=${first.nextCursor}`)).body;
    expect(second.items[0].id).not.toBe(first.items[0].id);
    expect((await client.get('/v1/jobs?cursor=x')).body.code).toBe('invalid-cursor');
    expect((await client.get('/v1/jobs?state=lost')).body.code).toBe('validation-failed');
    const nobody = '/v1/jobs/00000000-0000-4000-8000-000000000000';
    for (const [method, path] of [
      ['GET', nobody],
      ['GET', `${nobody}/events`],
      ['DELETE', nobody],
      ['GET', '/v1/jobs/x'],
    ] as const) {
      const answer = await client.send(method, path);
      expect([answer.status, answer.body.code]).toEqual([404, 'job-not-found']);
    }
  });

  describe('Idempotency-Key', () => {
    it('gives the first answer again, and refuses another request', async () => {
      const key = { 'idempotency-key': `simulate-${kind}` };
      const first = await simulate({ ...key, prefer: 'wait=60' }, { seed: 3 });
      const again = await simulate({ ...key, prefer: 'wait=60' }, { seed: 3 });
      expect([again.status, again.body]).toEqual([first.status, first.body]);
      expect(again.headers.get('location')).toBe(first.headers.get('location'));
      expect(again.headers.get('idempotent-replayed')).toBe('true');
      const other = await simulate(key, { seed: 4 });
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
      const elsewhere = await advise(key, { seed: 3 });
      expect(elsewhere.status).toBe(422);
    });

    it('lets one of several at the same time through', async () => {
      const key = { 'idempotency-key': `parallel-${kind}` };
      const answers = await Promise.all(
        [1, 2, 3, 4].map(() => simulate({ ...key, prefer: 'wait=60' }, { seed: 5 })),
      );
      const made = answers.filter(({ status }) => status === 201);
      expect(new Set(made.map(({ body }) => body.id)).size).toBe(1);
      for (const { status, body } of answers) {
        if (status !== 201) expect([status, body.code]).toEqual([409, 'idempotency-key-in-use']);
      }
    });

    it('does not keep what failed', async () => {
      const key = { 'idempotency-key': `failed-${kind}` };
      expect((await simulate(key, { seed: -1 })).status).toBe(400);
      const good = await simulate({ ...key, prefer: 'wait=60' }, { seed: 1 });
      expect(good.status).toBe(201);
      expect((await simulate({ 'idempotency-key': 'a b' })).body.code).toBe('invalid-parameter');
    });

    it('covers hosts, as JSON and as files', async () => {
      const form = () => {
        const data = new FormData();
        data.append('name', 'idempotent');
        for (const name of ['zoneinfo', 'meminfo', 'sysctl']) {
          data.append(name, new Blob([example(`host/${name}`)]), name);
        }
        data.append('node0.cpulist', new Blob([example('host/node0.cpulist')]), 'cpulist');
        return data;
      };
      const key = { 'idempotency-key': `import-${kind}` };
      const first = await client.send('POST', '/v1/hosts/import', form(), key);
      expect(first.status).toBe(201);
      const again = await client.send('POST', '/v1/hosts/import', form(), key);
      expect([again.status, again.body.id]).toEqual([201, first.body.id]);
      const changed = form();
      changed.append('version', new Blob(['6.1.0']), 'version');
      const other = await client.send('POST', '/v1/hosts/import', changed, key);
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused']);
    });
  });
});
