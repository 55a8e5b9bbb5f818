import { exampleTexts } from '../apps/api/src/docs/examples';
import { serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

describe('the packing-plan check over HTTP', () => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
  });
  afterAll(() => test.close());

  const planned = ['web1', 'web2', 'job1'].map((name) => ({ name, xml: example(`${name}.xml`) }));
  const running = {
    xml: example('db1.xml'),
    state: 'running',
    numaMaps: example('host/guest.db1.numa_maps'),
    smapsRollup: example('host/guest.db1.smaps_rollup'),
  };
  const plan = {
    host: { facts: exampleTexts() },
    domains: [running, ...planned],
    limits: { maxRemoteShare: 0.1 },
  };
  const check = (body: unknown) => client.post('/v1/packing-plans/check', body);

  it('fails a plan that goes over its limits, which is an answer', async () => {
    const { status, body } = await check(plan);
    expect([status, body.verdict]).toEqual([200, 'fail']);
    const found = body.findings.map(({ code, guest }: Json) => `${code} ${guest}`);
    expect(found).toContain('remote-share web2');
  });

  it('passes the same plan under strict, as inline model or stored host too', async () => {
    const strict = { mode: 'strict', nodeset: [0] };
    const numatune = { web1: strict, web2: strict, job1: strict };
    const first = await check({ ...plan, numatune });
    expect([first.status, first.body.verdict, first.body.findings]).toEqual([200, 'pass', []]);
    const hostId = await client.storeHost('for-plans');
    const { model } = (await client.get(`/v1/hosts/${hostId}`)).body;
    for (const host of [{ hostId }, { model }]) {
      const same = await check({ ...plan, numatune, host });
      expect(same.body.hosts?.[0].outcome.stateHash).toBe(first.body.hosts[0].outcome.stateHash);
    }
  });

  it.each([
    ['no host', { ...plan, host: {} }, 422, '/host'],
    [
      'two hosts',
      { ...plan, host: { facts: {}, hostId: '00000000-0000-4000-8000-000000000000' } },
      422,
      '/host',
    ],
    ['no domains', { ...plan, domains: [] }, 400, 'domains'],
    ['broken XML', { ...plan, domains: [{ xml: '<domain>' }] }, 422, '/domains/0/xml'],
    [
      'a DOCTYPE',
      { ...plan, domains: [{ xml: `<!DOCTYPE d>${example('web1.xml')}` }] },
      422,
      '/domains/0/xml',
    ],
    [
      'another name',
      { ...plan, domains: [{ name: 'web9', xml: example('web1.xml') }] },
      422,
      '/domains/0/name',
    ],
    ['one domain twice', { ...plan, domains: [planned[0], planned[0]] }, 422, '/domains/1/xml'],
    [
      'broken facts',
      { ...plan, host: { facts: { zoneinfo: 'Node 0, zone' } } },
      422,
      '/host/facts/zoneinfo',
    ],
    [
      'a broken numa_maps',
      { ...plan, domains: [{ ...running, numaMaps: 'x' }] },
      422,
      '/domains/0/numaMaps',
    ],
    [
      'an unknown guest',
      { ...plan, demand: { startOrder: ['nobody'] } },
      422,
      '/demand/startOrder/0',
    ],
    ['a null host', { ...plan, host: null }, 400, 'host'],
    ['a null limit', { ...plan, limits: null }, 400, 'limits'],
    ['null facts', { ...plan, host: { facts: null } }, 400, 'host.facts'],
    ['a negative limit', { ...plan, limits: { maxStallMs: -1 } }, 400, 'limits.maxStallMs'],
  ])('refuses %s', async (_what, body, status, path) => {
    const answer = await check(body);
    expect(answer.status).toBe(status);
    expect(answer.body.code).toBe(status === 400 ? 'validation-failed' : 'plan-not-judgeable');
    expect(answer.body.errors[0].path).toContain(path);
  });

  it('gives line and column of a fault in a document', async () => {
    const xml = example('web1.xml').replace(/nodeset=(['"])0\1/, "nodeset='7'");
    const { body } = await check({ ...plan, domains: [{ xml }] });
    expect(body.errors[0]).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
    expect(body.code).toBe('plan-not-judgeable');
  });

  it('judges several hosts by policies and waivers, as the gate does', async () => {
    const facts = exampleTexts();
    const body = {
      hosts: [
        { name: 'kvm1', facts },
        { name: 'kvm2', facts },
      ],
      guests: [
        { name: 'web', flavour: 'bound', count: 2 },
        { name: 'job', flavour: 'small' },
      ],
      flavours: {
        bound: { memoryMib: 1024, numatune: { mode: 'preferred', nodeset: '0' } },
        small: { memoryMib: 64 },
      },
      assignments: { kvm1: ['web'], kvm2: ['job'] },
      policies: { 'remote-share': { maxShare: 0.1 } },
      waivers: [{ rule: 'ZW004', guest: 'web-1', reason: 'moves', expires: '2027-03-31' }],
    };
    const { status, body: answer } = await check({ ...body, today: '2027-03-31' });
    expect([status, answer.verdict]).toEqual([200, 'fail']);
    const found = answer.findings.map((one: Json) => [
      one.rule,
      one.guest,
      one.waived !== undefined,
    ]);
    expect(found).toEqual([
      ['ZW004', 'web-1', true],
      ['ZW004', 'web-2', false],
    ]);
    expect(answer.hosts.map(({ name, verdict }: Json) => `${name} ${verdict}`)).toEqual([
      'kvm1 fail',
      'kvm2 pass',
    ]);
    const wrong = await check({ ...body, policies: { 'remote-shar': {} } });
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, 'policies.remote-shar']);
    expect(wrong.body.detail).toContain('did you mean remote-share?');
    const missing = await check({ ...body, assignments: { kvm1: ['web'] } });
    expect(missing.body.errors[0]).toMatchObject({ code: 'not-assigned', path: '/guests/1' });
  });

  it('publishes the schema of plan files', async () => {
    const { status, body } = await client.get('/schemas/packing-plan.json');
    expect([status, body.title]).toEqual([200, 'Zonewise packing plan']);
  });

  it('knows no other host', async () => {
    const host = { hostId: '00000000-0000-4000-8000-000000000000' };
    expect((await check({ ...plan, host })).body.code).toBe('host-not-found');
  });

  it('judges as a job when asked to, and keeps the verdict until it is removed', async () => {
    const now = (await check({ ...plan, today: '2027-01-01' })).body;
    const asked = { ...plan, today: '2027-01-01' };
    const path = '/v1/packing-plans/check';
    const answer = await client.post(path, asked, { prefer: 'respond-async' });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ kind: 'plan', hostId: null });
    const jobUrl = answer.headers.get('location') ?? '';
    const { state, resultUrl } = await client.finish(answer.body.id as string);
    expect([state, jobUrl]).toEqual(['succeeded', `/v1/jobs/${answer.body.id}`]);
    expect((await client.get(resultUrl)).body).toEqual(now);
    const waited = await client.post(path, asked, { prefer: 'respond-async, wait=60' });
    expect([waited.status, waited.body]).toEqual([201, now]);
    expect((await client.send('DELETE', resultUrl)).status).toBe(204);
    expect((await client.get(resultUrl)).body.code).toBe('verdict-not-found');
    expect((await client.send('DELETE', resultUrl)).status).toBe(404);
  });

  it('makes a job of a plan of many hosts, and of its refusal a problem', async () => {
    const facts = exampleTexts();
    const hosts = Array.from({ length: 17 }, (_, i) => ({ name: `kvm${i}`, facts }));
    const guests = [{ name: 'web', flavour: 'small' }];
    const many = { hosts, guests, flavours: { small: { memoryMib: 64 } } };
    const { status, body } = await client.post(
      '/v1/packing-plans/check',
      { ...many, assignments: { kvm3: ['web'] } },
      { prefer: 'wait=60' },
    );
    expect([status, body.verdict, body.idleHosts.length]).toEqual([201, 'pass', 16]);
    const refused = await client.post(
      '/v1/packing-plans/check',
      { ...many, assignments: { kvm3: ['wbe'] } },
      { prefer: 'wait=60' },
    );
    expect([refused.status, refused.body.code]).toEqual([422, 'plan-not-judgeable']);
    expect(refused.body.errors[0]).toMatchObject({ path: '/assignments/kvm3/0' });
  });

  it('takes background cache and pools of huge pages of a host', async () => {
    const host = { name: 'kvm1', facts: exampleTexts() };
    const flavours = {
      pooled: { memoryMib: 64, hugepagesKib: 2048, numatune: { mode: 'strict', nodeset: '0' } },
    };
    const body = (own: object) => ({
      ...{ hosts: [{ ...host, ...own }], guests: [{ name: 'db', flavour: 'pooled' }], flavours },
    });
    const codes = async (own: object) =>
      (await check(body(own))).body.findings.map(({ code }: Json) => code);
    expect(await codes({})).toContain('failed-start');
    expect(await codes({ hugepages: [{ node: 0, count: 64 }] })).toEqual([]);
    const cached = await check(body({ backgroundCache: [{ node: 0, mib: 8 }] }));
    expect(cached.body.hosts[0].demand.backgroundCache).toEqual([{ node: 0, mib: 8 }]);
    const wrong = await check(body({ hugepages: [{ node: 0, count: -1 }] }));
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, 'hosts[0].hugepages[0].count']);
  });
});
