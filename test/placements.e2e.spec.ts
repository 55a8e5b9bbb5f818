import fc from 'fast-check';
import { placementExamples } from '../apps/api/src/placements/placement-examples';
import { exampleTexts } from '../apps/api/src/docs/examples';
import { placeGuests } from '@zonewise/plan';
import { createTestApp, serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

describe('placements over HTTP', () => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
  });
  afterAll(() => test.close());

  const place = (body: unknown, headers?: Record<string, string>) =>
    client.post('/v1/placements', body, headers);
  const facts = exampleTexts();
  const flavours = { small: { memoryMib: 256, vcpus: 1 } };
  const base = { hosts: [{ name: 'kvm1', facts }], flavours };
  const small = (count: number) => [{ name: 'small', flavour: 'small', count }];

  it('has examples that work as they stand', async () => {
    const examples = placementExamples();
    expect(Object.keys(examples)).toEqual(['threeGuests', 'flavours', 'evacuation']);
    for (const { value } of Object.values(examples)) {
      const { status, body } = await place(value);
      expect([status, body.refused]).toEqual([200, []]);
      expect(body.placements.length).toBeGreaterThan(0);
    }
  });

  it('answers host, numatune, host nodes, pinning and what the replay ended with', async () => {
    const { body } = await place(placementExamples()['threeGuests']!.value);
    for (const placed of body.placements as Json[]) {
      expect(placed.numatune).toEqual({ mode: 'strict', nodeset: placed.hostNodes });
      expect(placed.pinning.emulator).toEqual(placed.hostNodes[0] === 0 ? [0, 1] : [2, 3]);
      const evidence = body.hosts.find(({ host }: Json) => host === placed.host);
      expect(evidence.stateHash).toBe(placed.evidence.stateHash);
      const [there] = placed.evidence.pagesByNode.filter(({ pages }: Json) => pages > 0);
      expect(there.nodeId).toBe(placed.hostNodes[0]);
    }
  });

  it('places on stored hosts beside their domains, and empties one', async () => {
    const [first, second] = [await client.storeHost('place1'), await client.storeHost('place2')];
    await client.storeDomain(first, 'db1');
    const hosts = [{ hostId: first }, { hostId: second, name: 'other' }];
    const placed = await place({
      hosts,
      flavours,
      guests: small(2),
      antiAffinity: [['small', 'db1']],
    });
    expect(placed.body.placements).toMatchObject([{ guest: 'small-1', host: 'other' }]);
    expect(placed.body.refused).toMatchObject([{ guest: 'small-2', code: 'anti-affinity' }]);
    const emptied = await place({ hosts, evacuate: first });
    expect(emptied.body).toMatchObject({
      evacuated: 'place1',
      placements: [{ guest: 'db1', from: 'place1', host: 'other' }],
    });
  });

  it('refuses a guest with node, zone, mark and shortfall', async () => {
    const guests = [{ name: 'large', flavour: 'large' }];
    const large = { large: { memoryMib: 7000, vcpus: 1 } };
    const cells = example('web1.xml').replace(
      /<cpu [^>]*\/>/,
      "<cpu><numa><cell id='0' cpus='0-1' memory='7' unit='GiB'/></numa></cpu>",
    );
    for (const body of [{ guests: [{ xml: cells }] }, { guests, flavours: large }]) {
      const { status, body: answer } = await place({ ...base, ...body });
      expect([status, answer.placements]).toEqual([200, []]);
      expect(answer.refused).toMatchObject([
        {
          ...{ stage: 'arithmetic', code: 'memory', host: 'kvm1' },
          ...{ node: expect.any(Number), zone: expect.stringMatching(/^(DMA32|Normal)$/) },
          mark: { name: 'low', pages: expect.any(Number) },
          shortfallPages: expect.any(Number),
        },
      ]);
    }
  });

  it('writes pools of huge pages first, and places on them', async () => {
    const pooled = { pooled: { memoryMib: 64, hugepagesKib: 2048 } };
    const asked = (hugepages: object[]) =>
      place({
        hosts: [{ name: 'kvm1', facts, hugepages }],
        ...{ flavours: pooled, guests: [{ name: 'db', flavour: 'pooled' }] },
      });
    const { body } = await asked([{ node: 1, count: 64 }]);
    expect(body.placements).toMatchObject([{ guest: 'db', hostNodes: [1] }]);
    expect((await asked([{ node: 1, count: 8 }])).body.refused).toMatchObject([
      { guest: 'db', code: 'hugepages', sizeKib: 2048, shortfallHugepages: 24 },
    ]);
    const wrong = await asked([{ node: 9, count: 8 }]);
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([422, '/hosts/0/hugepages/0/node']);
  });

  it('becomes a job where it is large or asked for as one', async () => {
    const body = { ...base, guests: small(2) };
    const now = await place(body);
    const waited = await place(body, { prefer: 'respond-async, wait=50' });
    expect([waited.status, waited.body]).toEqual([201, now.body]);
    const location = waited.headers.get('location') ?? '';
    expect((await client.get(location)).body).toEqual(now.body);
    expect((await client.send('DELETE', location)).status).toBe(204);
    expect((await client.get(location)).body.code).toBe('placement-not-found');
    const hosts = Array.from({ length: 17 }, (_, i) => ({ name: `kvm${i}`, facts }));
    const large = await place({ ...body, hosts, guests: small(1) });
    expect([large.status, large.body.kind, large.body.hostId]).toEqual([202, 'placement', null]);
    const wrong = await place({ ...body, evacuate: 'kvm9' }, { prefer: 'respond-async, wait=50' });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'placement-not-readable']);
  });

  it('replays many hosts in threads, with the answer of one', async () => {
    const hosts = Array.from({ length: 10 }, (_, i) => ({
      ...{ name: `kvm${i}`, facts, sysctl: { swappiness: 10 * i } },
    }));
    const body = { hosts, flavours, guests: small(10), objective: 'spread' as const };
    const { id } = (await place(body, { prefer: 'respond-async' })).body;
    const { resultUrl } = await client.finish(id as string);
    const answer = (await client.get(resultUrl)).body;
    expect(answer.search).toMatchObject({ replays: 10, sharedReplays: 0 });
    const here = placeGuests({
      ...body,
      hosts: hosts.map(({ facts: texts, ...host }, i) => ({
        ...{ ...host, path: `/hosts/${i}`, host: { facts: texts } },
      })),
      guests: body.guests.map((guest, i) => ({ ...guest, path: `/guests/${i}` })),
    });
    expect(here.ok ? JSON.parse(JSON.stringify(here.value)) : here).toEqual(answer);
  });

  it('places on thousands of hosts, and tells of each why it does not take a guest', async () => {
    const hardware = (mib: number) => `available: 2 nodes (0-1)
node 0 cpus: 0 1 2 3
node 0 size: 1024 MB
node 0 free: ${mib} MB
node 1 cpus: 4 5 6 7
node 1 size: 1024 MB
node 1 free: ${mib} MB
node distances:
node   0   1
  0:  10  21
  1:  21  10
`;
    const texts = [400, 600].map((mib) => ({
      ...{ version: '6.1.0', numactlHardware: hardware(mib) },
    }));
    const hosts = Array.from({ length: 3000 }, (_, i) => ({
      name: `kvm${i}`,
      facts: texts[i % 2],
    }));
    const guests = [...small(40), { name: 'large', flavour: 'large', count: 2 }];
    const sizes = { ...flavours, large: { memoryMib: 4000, vcpus: 1 } };
    const asked = await place({ hosts, guests, flavours: sizes });
    expect(asked.status).toBe(202);
    const { resultUrl } = await client.finish(asked.body.id as string);
    const { placements, refused, search, caveats } = (await client.get(resultUrl)).body;
    expect(placements).toHaveLength(40);
    expect(search.replays).toBeLessThan(5);
    const [large, alike] = refused;
    const told = large.hosts.flatMap(({ hosts: names }: Json) => names);
    expect(new Set(told).size).toBe(3000);
    expect(large.hosts.reduce((sum: number, { count }: Json) => sum + count, 0)).toBe(3000);
    for (const { code, zone, mark, shortfallPages } of large.hosts) {
      expect([code, zone, mark.name]).toEqual(['memory', expect.any(String), 'low']);
      expect(shortfallPages).toBeGreaterThan(0);
    }
    expect(alike).toMatchObject({ guest: 'large-2', sameAs: 'large-1', hosts: [] });
    expect(caveats[0].message).toMatch(/^kvm0, kvm1, .* and 2992 more: /);
  });

  it.each([
    ['no hosts', { ...base, hosts: [] }, 400, 'hosts'],
    [
      'too many hosts',
      { ...base, hosts: Array.from({ length: 10_001 }, (_, i) => ({ name: `kvm${i}` })) },
      400,
      'hosts',
    ],
    ['a host twice', { ...base, hosts: [base.hosts[0], base.hosts[0]] }, 422, '/hosts/1'],
    ['no host at all', { ...base, hosts: [{ name: 'x' }] }, 422, '/hosts/0'],
    [
      'broken facts',
      { hosts: [{ facts: { zoneinfo: 'Node 0, zone' } }] },
      422,
      '/hosts/0/facts/zoneinfo',
    ],
    ['an unknown field', { ...base, guest: [] }, 400, 'guest'],
    [
      'an unknown flavour',
      { ...base, guests: [{ name: 'a', flavour: 'tiny' }] },
      422,
      '/guests/0/flavour',
    ],
    ['a guest without text', { ...base, guests: [{ name: 'a' }] }, 422, '/guests/0'],
    ['broken XML', { ...base, guests: [{ xml: '<domain>' }] }, 422, '/guests/0/xml'],
    ['a null guest', { ...base, guests: [null] }, 400, 'guests'],
    ['an objective that is none', { ...base, objective: 'best' }, 400, 'objective'],
    ['lists that are none', { ...base, antiAffinity: ['a'] }, 400, 'antiAffinity'],
    ['too many guests', { ...base, guests: [...small(20_000), ...small(1)] }, 422, '/guests'],
    ['a count beyond the limit', { ...base, guests: small(20_001) }, 400, 'guests[0].count'],
    ['an unknown host to empty', { ...base, evacuate: 'kvm9' }, 422, '/evacuate'],
    [
      'an unknown stored host',
      { hosts: [{ hostId: '00000000-0000-4000-8000-000000000000' }] },
      404,
      undefined,
    ],
  ])('refuses %s', async (_what, body, status, path) => {
    const answer = await place(body, { prefer: 'respond-async, wait=50' });
    expect([answer.status, answer.body.status]).toEqual([status, status]);
    const codes: Record<number, string> = { 400: 'validation-failed', 404: 'host-not-found' };
    expect(answer.body.code).toBe(codes[status] ?? 'placement-not-readable');
    if (path === undefined) return;
    expect(answer.body.errors.map((error: Json) => error.path)).toContainEqual(
      expect.stringContaining(path),
    );
  });

  it('ends as a job that says what to do where its time is over', async () => {
    const other = await createTestApp({ settings: { jobLimitMs: 1 } });
    try {
      await other.app.listen(0, '127.0.0.1');
      const short = new Client(await other.app.getUrl());
      const body = { ...base, guests: small(2) };
      const { id } = (await short.post('/v1/placements', body, { prefer: 'respond-async' })).body;
      const job = await short.finish(id as string);
      expect(job).toMatchObject({
        state: 'failed',
        resultUrl: null,
        error: { code: 'time-limit' },
      });
      expect(job.error.detail).toMatch(/limit of 0\.001 seconds.*fewer hosts.*JOB_MINUTES/);
    } finally {
      await other.close();
    }
  });

  it('answers any request with a result or with a problem that is the caller’s', async () => {
    const junk = fc.oneof(
      fc.constant(null),
      fc.string(),
      fc.integer(),
      fc.constant([]),
      fc.constant({}),
    );
    const field = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 20, arbitrary }, junk);
    const guest = fc.record(
      {
        name: field(fc.constantFrom('a', 'b', 'c')),
        flavour: field(fc.constantFrom('small', 'none')),
        xml: field(fc.constant(example('web1.xml'))),
        count: field(fc.integer({ min: 0, max: 3 })),
        hostGroups: field(fc.array(fc.constantFrom('rack', 'other'))),
      },
      { requiredKeys: [] },
    );
    const host = fc.record(
      {
        name: field(fc.constantFrom('kvm1', 'kvm2')),
        facts: field(fc.constant(facts)),
        group: field(fc.constantFrom('rack', 'other')),
        domains: field(fc.constant([{ xml: example('web2.xml') }])),
        reserved: field(fc.record({ memoryMib: fc.integer({ min: -1, max: 9000 }) })),
        pageCacheMib: field(fc.integer({ min: -1, max: 9000 })),
      },
      { requiredKeys: ['facts'] },
    );
    const body = fc.record(
      {
        hosts: field(fc.array(host, { minLength: 1, maxLength: 2 })),
        guests: field(fc.array(guest, { maxLength: 3 })),
        flavours: field(fc.constant(flavours)),
        objective: field(fc.constantFrom('density', 'locality', 'spread')),
        antiAffinity: field(fc.array(fc.array(fc.constantFrom('a', 'b', 'web2')))),
        evacuate: field(fc.constantFrom('kvm1', 'kvm2')),
        cpuAllocationRatio: field(fc.integer({ min: 0, max: 8 })),
      },
      { requiredKeys: ['hosts'] },
    );
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(body, async (request) => {
        const { status, body: answer } = await place(request);
        seen.add(status);
        expect([200, 400, 422]).toContain(status);
        if (status !== 200) expect(answer).toMatchObject({ code: expect.any(String), status });
      }),
      // The first is right whatever else is drawn; few of the others are.
      { numRuns: 120, examples: [[{ hosts: [{ facts, name: 'kvm1' }] }]] },
    );
    expect([...seen].sort()).toEqual([200, 400, 422]);
  });
});
