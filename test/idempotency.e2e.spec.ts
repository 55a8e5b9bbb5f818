/** What a request with an Idempotency-Key makes is made once, wherever the service fails. */
import { IdempotencyKeys } from '../apps/api/src/work/idempotency-keys';
import { databaseKinds, serveTestApp, TestApp } from './support/app';
import { Answer, Client, Json } from './support/client';
import { recordedBody } from './support/facts';

describe.each(databaseKinds('idempotency'))('an Idempotency-Key on %s', (kind) => {
  let test: TestApp;
  let client: Client;
  let keys: IdempotencyKeys;
  let hostId: string;
  let adviceId: string;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
    keys = test.app.get(IdempotencyKeys);
    hostId = await client.storeExample('keyed');
    const path = `/v1/hosts/${hostId}/recommendations`;
    adviceId = (await client.post(path, {}, { prefer: 'wait=60' })).body.id as string;
  });
  afterAll(() => test.close());
  afterEach(() => jest.restoreAllMocks());

  const described = (): Record<string, unknown> => {
    const { name, ...texts } = recordedBody('unused');
    void name;
    return texts;
  };
  const count = async (path: string): Promise<number> =>
    ((await client.get(path)).body.items as Json[]).length;

  /** POSTs that store something, and where what they stored is listed. */
  const stores: [what: string, path: () => string, body: () => object, list: () => string][] = [
    [
      'a job',
      () => `/v1/hosts/${hostId}/simulations`,
      () => ({ seed: 5 }),
      () => `/v1/jobs?hostId=${hostId}&limit=100`,
    ],
    ['a host', () => '/v1/hosts/import', () => recordedBody(`one-${kind}`), () => '/v1/hosts'],
    [
      'a snapshot',
      () => `/v1/hosts/${hostId}/snapshots`,
      described,
      () => `/v1/hosts/${hostId}/snapshots`,
    ],
    [
      'a verification',
      () => `/v1/recommendations/${adviceId}/verify`,
      described,
      () => `/v1/recommendations/${adviceId}/verifications`,
    ],
  ];

  it.each(stores)('makes %s once when its answer is lost', async (what, path, body, list) => {
    const before = await count(list());
    const header = { 'idempotency-key': `lost-${what.replace(' ', '-')}` };
    const post = (): Promise<Answer> => client.post(path(), body(), header);
    jest.spyOn(keys, 'keep').mockRejectedValueOnce(new Error('the database is gone'));
    const lost = await post();
    expect([lost.status, lost.body.code]).toEqual([500, 'internal-error']);
    expect(await count(list())).toBe(before + 1);

    const again = await post();
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([
      what === 'a job' ? 202 : 201,
      'true',
    ]);
    const location = again.headers.get('location') ?? '';
    const stored = await client.get(location);
    expect(stored.status).toBe(200);
    if (what === 'a job') expect(again.body.id).toBe(stored.body.id);
    else expect(again.body).toEqual(stored.body);
    expect(await count(list())).toBe(before + 1);
  });

  it.each(stores)('makes no %s that is not recorded', async (what, path, body, list) => {
    const before = await count(list());
    const header = { 'idempotency-key': `unrecorded-${what.replace(' ', '-')}` };
    const record = keys.record.bind(keys);
    jest.spyOn(keys, 'record').mockImplementationOnce(async (...given) => {
      await record(...given);
      throw new Error('the database is gone');
    });
    const bodyOfOwn = what === 'a host' ? recordedBody(`two-${kind}`) : body();
    const failed = await client.post(path(), bodyOfOwn, header);
    expect([failed.status, failed.body.code]).toEqual([500, 'internal-error']);
    expect(await count(list())).toBe(before);

    const made = await client.post(path(), bodyOfOwn, header);
    expect([made.status, made.headers.get('idempotent-replayed')]).toEqual([
      what === 'a job' ? 202 : 201,
      null,
    ]);
    expect(await count(list())).toBe(before + 1);
  });

  it('is of no use to a request whose process has lost it', async () => {
    const before = await count(`/v1/jobs?hostId=${hostId}&limit=100`);
    const record = keys.record.bind(keys);
    jest.spyOn(keys, 'record').mockImplementationOnce(async (manager, answer) => {
      await manager.query(`DELETE FROM idempotency_keys WHERE "key" = 'taken-away'`);
      await record(manager, answer);
    });
    const path = `/v1/hosts/${hostId}/simulations`;
    const answer = await client.post(path, {}, { 'idempotency-key': 'taken-away' });
    expect([answer.status, answer.body.code]).toEqual([409, 'idempotency-key-in-use']);
    expect(await count(`/v1/jobs?hostId=${hostId}&limit=100`)).toBe(before);
  });

  it('may be used again for a job that failed in time', async () => {
    const header = { 'idempotency-key': 'failing', prefer: 'wait=60' };
    const path = `/v1/hosts/${hostId}/recommendations`;
    const body = { options: { constraints: { forbiddenNodes: [0, 1] } } };
    const answers = [await client.post(path, body, header), await client.post(path, body, header)];
    expect(answers.map(({ status }) => status)).toEqual([422, 422]);
    expect(answers.map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, null]);
  });
});
