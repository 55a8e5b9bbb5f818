import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { headroomOfPlan } from '../apps/cli/src/commands/headroom';
import { databaseKinds, serveTestApp, TestApp } from './support/app';
import { Client, Json } from './support/client';

describe('headroom of a stored host', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let counted: Json;
  const ask = { flavours: { small: { memoryMib: 1024 } }, pageCacheMib: 64 };

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeHost('for-headroom');
    const { status, body } = await client.post(`/v1/hosts/${hostId}/headroom`, ask);
    expect(status).toBe(200);
    counted = body;
  });
  afterAll(() => test.close());

  it('is counted by node and in total, by adding up and by replay', () => {
    const [{ flavour, total, nodes }] = counted.flavours;
    expect([flavour, counted.pageCacheMib]).toEqual(['small', 64]);
    expect(nodes.map(({ node }: { node: number }) => node)).toEqual([0, 1]);
    for (const count of [total, ...nodes]) {
      expect(count.guests).toBeGreaterThan(0);
      expect(count.endedBy.message).not.toBe('');
      expect(count.byAddingUp.endedBy).toMatchObject({ code: 'memory', zone: expect.any(String) });
    }
  });

  it('is the JSON of zonewise headroom for the same host', async () => {
    const { model } = (await client.get(`/v1/hosts/${hostId}`)).body;
    const folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    let text = '';
    const write = jest.spyOn(process.stdout, 'write').mockImplementation((part) => {
      text += String(part);
      return true;
    });
    try {
      const idle = { name: 'kvm1', model };
      const other = { name: 'kvm2', model };
      const { flavours } = ask;
      const guests = [{ name: 'a', flavour: 'small' }];
      const plan = { hosts: [idle, other], flavours, guests, assignments: { kvm2: ['a'] } };
      writeFileSync(join(folder, 'plan.yaml'), JSON.stringify(plan));
      const options = { host: 'kvm1', pageCache: '64' };
      expect(headroomOfPlan(join(folder, 'plan.yaml'), options)).toBe(0);
    } finally {
      write.mockRestore();
      rmSync(folder, { recursive: true });
    }
    expect(JSON.parse(text)).toEqual({ host: 'kvm1', ...counted });
  });

  it.each([
    ['no flavours', {}, 400, 'flavours'],
    ['an empty list of them', { flavours: {} }, 400, 'flavours'],
    ['a flavour without size', { flavours: { a: { vcpus: 1 } } }, 400, 'flavours.a'],
    ['a negative cache', { ...ask, pageCacheMib: -1 }, 400, 'pageCacheMib'],
    [
      'a node that the host lacks',
      { flavours: { a: { memoryMib: 1, numatune: { mode: 'strict', nodeset: '9' } } } },
      422,
      '/flavours/a',
    ],
  ])('refuses %s', async (_what, body, status, path) => {
    const answer = await client.post(`/v1/hosts/${hostId}/headroom`, body);
    expect([answer.status, answer.body.errors[0].path]).toEqual([status, path]);
  });
});

describe.each(databaseKinds('headroom'))('headroom by a job on %s', (kind) => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
  });
  afterAll(() => test.close());

  it('is kept until it is removed', async () => {
    const path = `/v1/hosts/${await client.storeHost('for-a-job')}/headroom`;
    const ask = { flavours: { large: { memoryMib: 2048 } } };
    const answer = await client.post(path, ask, { prefer: 'respond-async' });
    expect([answer.status, answer.body.kind]).toEqual([202, 'headroom']);
    const { resultUrl } = await client.finish(answer.body.id as string);
    expect((await client.get(resultUrl)).body).toEqual((await client.post(path, ask)).body);

    expect((await client.send('DELETE', resultUrl)).status).toBe(204);
    for (const method of ['GET', 'DELETE']) {
      const gone = await client.send(method, resultUrl);
      expect([gone.status, gone.body.code]).toEqual([404, 'headroom-not-found']);
    }
    // The job says where its answer was; it is no reason to fail.
    const job = await client.get(`/v1/jobs/${answer.body.id}`);
    expect(job.body).toMatchObject({ state: 'succeeded', resultUrl });
  });
});
