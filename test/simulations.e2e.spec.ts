import { serveTestApp, TestApp } from './support/app';
import { Client } from './support/client';

describe('simulations over HTTP', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('simulated');
  });
  afterAll(() => test.close());

  const simulate = (body: unknown, headers = {}) =>
    client.post(`/v1/hosts/${hostId}/simulations`, body, { prefer: 'wait=60', ...headers });

  it('answers the result when it is there in time', async () => {
    const answer = await simulate({});
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe(`/v1/simulations/${answer.body.id}`);
    expect(answer.headers.get('preference-applied')).toBe('wait=60');
    const names = answer.body.outcome.guests.map((guest: { name: string }) => guest.name);
    expect(names.sort()).toEqual(['db1', 'job1', 'web1', 'web2']);
    expect(answer.body.basis.domains).toContainEqual({ name: 'db1', state: 'running', version: 1 });
    expect(answer.body.zoneTable.map((row: { nodeId: number }) => row.nodeId)).toContain(1);
    expect(answer.body.numastat).toHaveLength(2);
    expect(answer.body.vmstat.pgfault).toBeGreaterThan(196_608);
    expect(answer.body.rates).toHaveLength(answer.body.steps.length);
    expect(answer.body.stateHash).toMatch(/^[0-9a-f]{64}$/);
    const stored = await client.get(`/v1/simulations/${answer.body.id}`);
    expect(stored.body).toEqual(answer.body);
  });

  it('never allocates the running guest again', async () => {
    const { body } = await simulate({ domains: ['db1'] });
    const [db1] = body.outcome.guests;
    const residentPages = [{ nodeId: 1, pages: 196_608 }];
    expect(db1.pagesByNode.filter((node: { pages: number }) => node.pages > 0)).toEqual(
      residentPages,
    );
    expect(body.steps.map((step: { op: string }) => step.op)).not.toContain('guest');
  });

  it('gives the same state for the same input', async () => {
    const [one, two] = [await simulate({ seed: 7 }), await simulate({ seed: 7 })];
    expect(one.body.stateHash).toBe(two.body.stateHash);
    expect(one.body.id).not.toBe(two.body.id);
  });

  it('replays under other settings', async () => {
    const asStored = await simulate({});
    const strict = { mode: 'strict', nodeset: [0] };
    const numatune = { web1: strict, web2: strict, job1: strict };
    const changed = await simulate({ numatune });
    expect(asStored.body.outcome.remoteShare).toBeGreaterThan(0.5);
    expect(changed.body.outcome.remoteShare).toBe(0);
    expect(changed.body.basis.numatune).toEqual(numatune);
    const reclaiming = await simulate({ sysctl: { zone_reclaim_mode: 1 } });
    expect(reclaiming.body.outcome.nodeReclaimedPages).toBeGreaterThan(0);
  });

  it('lists without steps, page by page', async () => {
    const first = await client.get(`/v1/hosts/${hostId}/simulations?limit=2`);
    expect(first.body.items).toHaveLength(2);
    expect(first.body.items[0].steps).toBeUndefined();
    const next = `/v1/hosts/${hostId}/simulations?limit=100&cursor=${first.body.nextCursor}`;
    const second = await client.get(next);
    const ids = [...first.body.items, ...second.body.items].map((item: { id: string }) => item.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(second.body.nextCursor).toBeNull();
  });

  it.each([
    [{ domains: ['nobody'] }, 404, 'domain-not-found'],
    [{ domains: 'web1' }, 400, 'validation-failed'],
    [{ demand: null }, 400, 'validation-failed'],
    [{ sysctl: null }, 400, 'validation-failed'],
    [{ domains: null }, 400, 'validation-failed'],
    [{ seed: null }, 400, 'validation-failed'],
    [{ demand: [] }, 400, 'validation-failed'],
    [{ demand: { touchPercent: 101 } }, 400, 'validation-failed'],
    [{ demand: { guests: { web1: { touchPercent: -1 } } } }, 400, 'validation-failed'],
    [{ demand: { guests: { web1: { unknown: 1 } } } }, 400, 'validation-failed'],
    [{ demand: { guests: { nobody: {} } } }, 422, 'invalid-simulation-request'],
    [{ demand: { startOrder: ['nobody'] } }, 422, 'invalid-simulation-request'],
    [{ demand: { backgroundCache: [{ node: 9, mib: 1 }] } }, 422, 'invalid-simulation-request'],
    [{ numatune: { web1: { mode: 'sideways', nodeset: [0] } } }, 400, 'validation-failed'],
    [{ numatune: { web1: { mode: 'strict', nodeset: [9] } } }, 422, 'invalid-simulation-request'],
    [{ numatune: { web1: { mode: 'strict', nodeset: [] } } }, 422, 'invalid-simulation-request'],
    [{ sysctl: { zone_reclaim_mode: 9 } }, 400, 'validation-failed'],
    [{ sysctl: { nonsense: 1 } }, 400, 'validation-failed'],
    [{ profile: 'abacus' }, 400, 'validation-failed'],
    [{ seed: 0.5 }, 400, 'validation-failed'],
    ['{"seed":', 400, 'malformed-json'],
  ])('refuses %j with %i %s and stores nothing', async (body, status, code) => {
    const before = await client.get('/v1/jobs?limit=100');
    const answer = await simulate(body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const after = await client.get('/v1/jobs?limit=100');
    expect(after.body.items).toHaveLength(before.body.items.length);
  });

  it('says why weighted interleave cannot be replayed', async () => {
    const override = { mode: 'weighted-interleave', nodeset: [0, 1] };
    const answer = await simulate({ numatune: { web1: override } });
    expect([answer.status, answer.body.code]).toEqual([400, 'validation-failed']);
    expect(answer.body.detail).toContain('weighted interleave came with Linux 6.9');
  });

  it('knows no other ids', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000';
    for (const id of [nobody, 'x', '%00']) {
      const found = await client.get(`/v1/simulations/${id}`);
      expect([found.status, found.body.code]).toEqual([404, 'simulation-not-found']);
      const made = await client.post(`/v1/hosts/${id}/simulations`, {});
      expect([made.status, made.body.code]).toEqual([404, 'host-not-found']);
      const listed = await client.get(`/v1/hosts/${id}/simulations`);
      expect([listed.status, listed.body.code]).toEqual([404, 'host-not-found']);
    }
  });

  it('keeps results when a domain is deleted and drops them with the host', async () => {
    const other = await client.storeExample('short-lived');
    const path = `/v1/hosts/${other}/simulations`;
    const { body } = await client.post(path, {}, { prefer: 'wait=60' });
    await client.send('DELETE', `/v1/hosts/${other}/domains/web1`);
    expect((await client.get(`/v1/simulations/${body.id}`)).status).toBe(200);
    await client.send('DELETE', `/v1/hosts/${other}`);
    expect((await client.get(`/v1/simulations/${body.id}`)).status).toBe(404);
    expect((await client.get(`/v1/jobs/${body.jobId}`)).status).toBe(404);
  });
});
