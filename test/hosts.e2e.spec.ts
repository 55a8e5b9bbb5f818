import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { createTestApp, databaseKinds, TestApp } from './support/app';
import { domainXml, preferred, recordedBody, recordedParts, recordedText } from './support/facts';

const CAPABILITIES = `<capabilities><host><cpu><arch>x86_64</arch></cpu><topology><cells num='2'>
<cell id='0'><memory unit='KiB'>4194304</memory><distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances><cpus num='1'><cpu id='0'/></cpus></cell>
<cell id='1'><memory unit='KiB'>4194304</memory><distances><sibling id='0' value='21'/><sibling id='1' value='10'/></distances><cpus num='1'><cpu id='1'/></cpus></cell>
</cells></topology></host></capabilities>`;

describe.each(databaseKinds('hosts'))('hosts on %s', (kind) => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp({ kind });
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);

  async function importHost(name: string): Promise<request.Response> {
    return http().post('/v1/hosts/import').send(recordedBody(name)).expect(201);
  }

  it('imports a recorded host from JSON text fields', async () => {
    const { body, headers } = await importHost('json-host');
    expect(headers.location).toBe(`/v1/hosts/${body.id}`);
    expect(headers.etag).toBe('"1"');
    expect(body.summary).toMatchObject({ nodes: 2, cpus: 4 });
    expect(body.model.distances).toEqual([
      [10, 21],
      [21, 10],
    ]);
    expect(body.views.fallbackOrder).toEqual([
      { nodeId: 0, order: [0, 1] },
      { nodeId: 1, order: [1, 0] },
    ]);
    const rows = body.views.zones.map((row: { zone: string }) => row.zone);
    expect(rows).toEqual(expect.arrayContaining(['DMA', 'DMA32', 'Normal']));
    expect(body.views.nodes[0].states).toEqual(['online', 'has_memory', 'has_cpu']);
    const { name, bytes, sha256 } = body.sources.find(
      (source: { name: string }) => source.name === 'zoneinfo',
    );
    expect(name).toBe('zoneinfo');
    expect(bytes).toBe(recordedText('zoneinfo').length);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(body).not.toHaveProperty('sourceTexts');
  });

  it('imports the same from multipart files', async () => {
    const multipart = http().post('/v1/hosts/import').field('name', 'multipart-host');
    for (const [name, text] of recordedParts()) {
      void multipart.attach(name, Buffer.from(text), { filename: name });
    }
    const { body } = await multipart.expect(201);
    const json = await importHost('json-twin');
    expect(body.model).toEqual(json.body.model);
    expect(body.sources.map((source: { name: string }) => source.name).sort()).toEqual(
      recordedParts()
        .map(([name]) => name)
        .sort(),
    );
  });

  it('stores a canonical host that it answered before, and gives it back unchanged', async () => {
    const { body: imported } = await importHost('source-of-model');
    const { body } = await http()
      .post('/v1/hosts')
      .send({ name: 'canonical', description: 'by hand', model: imported.model })
      .expect(201);
    expect(body.model).toEqual(imported.model);
    expect(body.description).toBe('by hand');
    const { body: again } = await http().get(`/v1/hosts/${body.id}`).expect(200);
    expect(again).toEqual(body);
  });

  it('inspects without storing', async () => {
    const before = await http().get('/v1/hosts?limit=100').expect(200);
    const texts = { ...recordedBody('unused'), name: undefined };
    const { body } = await http().post('/v1/hosts/inspect').send(texts).expect(200);
    expect(body.model.nodes).toHaveLength(2);
    expect(body.provenance.length).toBeGreaterThan(0);
    expect(body.topology.nodes[1]).toMatchObject({
      id: 1,
      cpus: [2, 3],
      distances: [
        { id: 0, value: 21 },
        { id: 1, value: 10 },
      ],
    });
    const after = await http().get('/v1/hosts?limit=100').expect(200);
    expect(after.body.items).toEqual(before.body.items);
  });

  it('inspects a capabilities document alone', async () => {
    const { body } = await http()
      .post('/v1/hosts/inspect')
      .send({ capabilities: CAPABILITIES })
      .expect(200);
    expect(body.model).toBeNull();
    expect(body.caveats[0].code).toBe('topology-only');
    expect(body.topology.nodes.map((node: { memoryKib: number }) => node.memoryKib)).toEqual([
      4194304, 4194304,
    ]);
    const bare = await http()
      .post('/v1/hosts/inspect')
      .type('application/xml')
      .send(CAPABILITIES)
      .expect(200);
    expect(bare.body).toEqual(body);
  });

  it('prints a host as its kernel would, each text or all of them', async () => {
    const { body: host } = await importHost('printed');
    const url = `/v1/hosts/${host.id}?format=text`;
    const text = async (view: string) => {
      const answer = await http().get(`${url}&view=${view}`).expect(200);
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      return answer.text;
    };
    // The host runs the kernel whose layout is printed: byte by byte what it printed itself.
    expect(await text('buddyinfo')).toBe(recordedText('buddyinfo'));
    expect(await text('pagetypeinfo')).toBe(recordedText('pagetypeinfo'));
    const marks = (zoneinfo: string) => zoneinfo.match(/^ +(min|low|high|protection:) .*$/gm);
    expect(marks(await text('zoneinfo'))).toEqual(marks(recordedText('zoneinfo')));
    expect(await text('zonelists')).toContain('Fallback order for Node 1: 1 0 \n');
    const all = (await http().get(url).expect(200)).text;
    for (const name of ['zoneinfo', 'extfrag_index', 'node-states', 'zone-ranges', 'numastat-m'])
      expect(all).toContain(`==> ${name} <==\n`);
    await http().get(`${url}&view=passwd`).expect(400);
    const { views } = (await http().get(`/v1/hosts/${host.id}`).expect(200)).body;
    expect(views.zoneReclaim).toMatchObject({ mode: 0, reclaimDistance: 30 });
    expect(views.fragmentation).toHaveLength(views.zones.length);
    expect(views.memmap.map(({ model }: { model: string }) => model)).toContain('flatmem');
  });

  it('takes a host of four nodes from numactl alone, with what is too far for node reclaim', async () => {
    const numactlHardware = readFileSync(
      join(__dirname, '../libs/host-facts/test/fixtures/numactl-4nodes.txt'),
      'utf8',
    );
    const { body } = await http()
      .post('/v1/hosts/import')
      .send({ name: 'four-nodes', numactlHardware })
      .expect(201);
    expect(body.views.fallbackOrder).toEqual([
      { nodeId: 0, order: [0, 1, 2, 3] },
      { nodeId: 1, order: [1, 0, 2, 3] },
      { nodeId: 2, order: [2, 3, 1, 0] },
      { nodeId: 3, order: [3, 2, 1, 0] },
    ]);
    // Distances 32 and 33 are beyond 30.
    expect(body.views.zoneReclaim.excluded).toEqual([
      { nodeId: 0, tooFar: [2, 3] },
      { nodeId: 1, tooFar: [3] },
      { nodeId: 2, tooFar: [0] },
      { nodeId: 3, tooFar: [0, 1] },
    ]);
    const zones = body.views.zones as Record<string, number | string | number[]>[];
    expect(zones.map(({ nodeId, zone }) => `${String(nodeId)} ${String(zone)}`)).toEqual([
      ...['0 DMA', '0 DMA32', '0 Normal', '1 Normal', '2 Normal', '3 Normal'],
    ]);
    // 4 GiB less 16 MiB are DMA32; what follows on the node, through the ratio 256, is its reserve.
    const behind = 64794 * 256 - 1_048_576;
    expect(zones[1]).toMatchObject({
      managedPages: 1_044_480,
      protectionPages: [0, 0, ...Array<number>(3).fill(Math.floor(behind / 256))],
    });
    // min_free_kbytes for six zones with huge pages is 11 pageblocks each, 33792 pages; node 1 has 65404 of
    // 261004 MB of them, and a thousandth of its memory between the marks.
    expect(body.model.sysctl.min_free_kbytes).toBe(135_168);
    expect(zones[3]).toMatchObject({
      ...{ nodeId: 1, managedPages: 65404 * 256, freePages: 58642 * 256 },
      ...{ minPages: 8467, lowPages: 8467 + 16743, highPages: 8467 + 2 * 16743 },
      protectionPages: [0, 0, 0, 0, 0],
    });
    expect(body.views.nodeStates).toMatchObject({ N_MEMORY: [0, 1, 2, 3], N_CPU: [0, 1, 2, 3] });
    const derived = body.provenance.filter(({ kind }: { kind: string }) => kind === 'derived');
    expect(derived).toContainEqual(
      expect.objectContaining({ path: 'nodes.2.zones.Normal.minPages' }),
    );
  });

  it('refuses a second host of the same name', async () => {
    await importHost('twice');
    const { body } = await http()
      .post('/v1/hosts/import')
      .send(recordedBody('twice'))
      .expect(409)
      .expect('Content-Type', /application\/problem\+json/);
    expect(body).toMatchObject({ code: 'name-taken', path: 'name' });
  });

  it('answers 304 to a known version and 412 to a change of another one', async () => {
    const { body: host } = await importHost('etags');
    const url = `/v1/hosts/${host.id}`;
    await http().get(url).set('If-None-Match', '"1"').expect(304);
    const changed = await http()
      .patch(url)
      .set('If-Match', '"1"')
      .send({ description: 'moved to rack 5' })
      .expect(200);
    expect(changed.headers.etag).toBe('"2"');
    const stale = await http()
      .patch(url)
      .set('If-Match', '"1"')
      .send({ description: 'moved to rack 6' })
      .expect(412);
    expect(stale.body).toMatchObject({ code: 'stale-etag', path: 'If-Match' });
    expect(stale.headers.etag).toBe('"2"');
    await http().delete(url).set('If-Match', '"1"').expect(412);
    const { body } = await http().get(url).set('If-None-Match', '"1"').expect(200);
    expect(body.description).toBe('moved to rack 5');
  });

  it('replaces the model only while the stored domains fit it', async () => {
    const { body: host } = await importHost('model-change');
    const url = `/v1/hosts/${host.id}`;
    await http()
      .put(`${url}/domains/web1`)
      .type('application/xml')
      .send(domainXml('web1', 256, preferred(1)))
      .expect(201);
    const node0 = { ...host.model, nodes: [host.model.nodes[0]], distances: [[10]] };
    const refused = await http().patch(url).send({ model: node0 }).expect(422);
    expect(refused.body.code).toBe('unknown-host-node');
    await http().delete(`${url}/domains/web1`).expect(204);
    const { body } = await http().patch(url).send({ model: node0 }).expect(200);
    expect(body.summary.nodes).toBe(1);
    expect(body.version).toBe(2);
  });

  it('takes a model without the settings of compaction, and refuses one that no host can have', async () => {
    const { body: host } = await importHost('without-compaction');
    const { sysctl, distances } = host.model;
    const rest = { ...sysctl };
    delete rest.compaction_proactiveness;
    delete rest.compact_unevictable_allowed;
    delete rest.extfrag_threshold;
    const model = { ...host.model, sysctl: rest };
    await http().post('/v1/hosts').send({ name: 'sparse', model }).expect(201);
    const near = distances.map((row: number[], i: number) => row.map((d, j) => (i === j ? d : 1)));
    const refused = await http()
      .post('/v1/hosts')
      .send({ name: 'near', model: { ...model, distances: near } })
      .expect(422);
    expect(refused.body.errors).toMatchObject([
      { code: 'distance-matrix', path: 'model.distances[0][1]' },
      { code: 'distance-matrix', path: 'model.distances[1][0]' },
    ]);
  });

  it('removes a host with its domains', async () => {
    const { body: host } = await importHost('removed');
    const url = `/v1/hosts/${host.id}`;
    await http()
      .put(`${url}/domains/web1`)
      .type('application/xml')
      .send(domainXml('web1', 256))
      .expect(201);
    await http().delete(url).expect(204);
    await http().get(url).expect(404);
    const { body } = await http().get(`${url}/domains/web1`).expect(404);
    expect(body.code).toBe('host-not-found');
  });

  it('pages through the list without repeating or losing hosts', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: Record<string, string> = { limit: '2', ...(cursor === null ? {} : { cursor }) };
      const { body } = await http().get('/v1/hosts').query(query).expect(200);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map((host: { name: string }) => host.name));
      cursor = body.nextCursor;
    } while (cursor !== null);
    const { body } = await http().get('/v1/hosts?limit=100').expect(200);
    expect(seen).toEqual(body.items.map((host: { name: string }) => host.name));
    expect(seen.length).toBeGreaterThan(4);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('commits exactly one of many concurrent changes of the same version', async () => {
    const { body: host } = await importHost('race');
    const url = `/v1/hosts/${host.id}`;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        http()
          .patch(url)
          .set('If-Match', '"1"')
          .send({ description: `writer ${n}` }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([
      200,
      ...Array<number>(9).fill(412),
    ]);
    const { body } = await http().get(url).expect(200);
    const winner = answers.findIndex(({ status }) => status === 200);
    expect(body.description).toBe(`writer ${winner}`);
  });

  it('stores one of many concurrent imports of the same name', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () =>
        http().post('/v1/hosts/import').send(recordedBody('import-race')),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
  });
});
