import request from 'supertest';
import { createTestApp, databaseKinds, TestApp } from './support/app';
import { domainXml, preferred, recordedBody, recordedText } from './support/facts';

describe.each(databaseKinds('domains'))('domains on %s', (kind) => {
  let testApp: TestApp;
  let url: string;
  beforeAll(async () => {
    testApp = await createTestApp({ kind });
    const { body } = await request(testApp.server)
      .post('/v1/hosts/import')
      .send(recordedBody('host'))
      .expect(201);
    url = `/v1/hosts/${body.id}/domains`;
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);
  const put = (name: string, xml: string, state?: string) =>
    http()
      .put(`${url}/${name}`)
      .query(state === undefined ? {} : { state })
      .type('application/xml')
      .send(xml);

  it('stores a planned domain and gives back its view and its very document', async () => {
    const xml = `\ufeff${domainXml('web1', 1024, preferred(0)).replaceAll('\n', '\r\n')}`;
    const { body, headers } = await put('web1', xml).expect(201);
    expect(headers.location).toBe(`${url}/web1`);
    expect(headers.etag).toBe('"1"');
    expect(body).toMatchObject({ name: 'web1', state: 'planned', residency: null, version: 1 });
    expect(body.view.numatune.memory).toEqual({
      mode: 'preferred',
      placement: 'static',
      nodeset: [0],
    });
    expect(body.view).not.toHaveProperty('positions');
    expect(body.placement.guest.regions[0].policy).toEqual({ mode: 'preferred', nodes: [0] });

    const json = await http().get(`${url}/web1`).expect(200);
    expect(json.body).toEqual(body);
    const original = await http()
      .get(`${url}/web1`)
      .accept('application/xml')
      .buffer(true)
      .parse((response, done) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => done(null, text));
      })
      .expect(200)
      .expect('Content-Type', /application\/xml/);
    expect(original.body).toBe(xml);
    await http().get(`${url}/web1`).set('If-None-Match', '"1"').expect(304);
    const refused = await http().get(`${url}/web1`).accept('image/png').expect(406);
    expect(refused.body.code).toBe('not-acceptable');
  });

  it('replaces a domain, keeping its id and its state', async () => {
    const first = await put('web2', domainXml('web2', 512), 'running').expect(201);
    const second = await put('web2', domainXml('web2', 768)).expect(200);
    expect(second.body).toMatchObject({ id: first.body.id, state: 'running', version: 2 });
    expect(second.body.memoryKib).toBe(768 * 1024);
    await http()
      .put(`${url}/web2`)
      .set('If-Match', '"1"')
      .type('text/xml')
      .send(domainXml('web2', 1024))
      .expect(412);
    await http()
      .put(`${url}/web2`)
      .set('If-None-Match', '*')
      .type('application/xml')
      .send(domainXml('web2', 1024))
      .expect(412);
    await http()
      .put(`${url}/nothing-yet`)
      .set('If-Match', '"1"')
      .type('application/xml')
      .send(domainXml('nothing-yet', 1024))
      .expect(412);
  });

  it('reads the residency of a running domain from numa_maps and smaps_rollup', async () => {
    const { body } = await http()
      .put(`${url}/db1?state=running`)
      .attach('xml', Buffer.from(domainXml('db1', 768, preferred(1))), { filename: 'db1.xml' })
      .attach('numaMaps', Buffer.from(recordedText('guest.db1.numa_maps')), { filename: 'm' })
      .attach('smapsRollup', Buffer.from(recordedText('guest.db1.smaps_rollup')), { filename: 's' })
      .expect(201);
    expect(body).toMatchObject({ state: 'running', residencySource: 'numa_maps' });
    const node1 = body.residency.find((entry: { nodeId: number }) => entry.nodeId === 1);
    expect(node1.pages).toBe(196608);
    expect(node1.hugePages).toBe(384);

    const kept = await put('db1', domainXml('db1', 768, preferred(1))).expect(200);
    expect(kept.body.residency).toEqual(body.residency);
    const stopped = await http().patch(`${url}/db1`).send({ state: 'planned' }).expect(200);
    expect(stopped.body).toMatchObject({ residency: null, residencySource: null });
  });

  it('marks a residency that was estimated, and replaces it by a measured one', async () => {
    const { body } = await put('db2', domainXml('db2', 512, preferred(1)), 'running').expect(201);
    expect(body.residencySource).toBe('estimated');
    expect(body.residencyNotes[0].code).toBe('residency-estimated');
    const total = body.residency.reduce(
      (sum: number, entry: { pages: number }) => sum + entry.pages,
      0,
    );
    expect(total).toBeLessThanOrEqual(512 * 256);
    const measured = await http()
      .patch(`${url}/db2`)
      .send({ numaMaps: recordedText('guest.db1.numa_maps') })
      .expect(200);
    expect(measured.body).toMatchObject({ residencySource: 'numa_maps', version: 2 });
    const notes = measured.body.residencyNotes.map((note: { code: string }) => note.code);
    expect(notes).toContain('huge-pages-unknown');
  });

  it('reads numastat -p, and refuses it beside numa_maps or for a node that the host lacks', async () => {
    const table = (node: number) =>
      `Per-node process memory usage (in MBs) for PID 4242 (qemu-system-x86)
                           Node ${node}           Total
                  --------------- ---------------
Huge                         0.00            0.00
Heap                         4.00            4.00
Stack                        0.04            0.04
Private                    256.50          256.50
----------------  --------------- ---------------
Total                      260.54          260.54
`;
    await put('db3', domainXml('db3', 512), 'running').expect(201);
    const { body } = await http()
      .patch(`${url}/db3`)
      .send({ numastat: table(1) })
      .expect(200);
    expect(body.residencySource).toBe('numastat');
    expect(body.residency).toEqual([{ nodeId: 1, pages: 256.5 * 256, hugePages: 0 }]);
    const unknown = await http()
      .patch(`${url}/db3`)
      .send({ numastat: table(7) })
      .expect(422);
    expect(unknown.body).toMatchObject({ code: 'invalid-residency', path: 'numastat' });
    const both = await http()
      .patch(`${url}/db3`)
      .send({ numastat: table(1), numaMaps: recordedText('guest.db1.numa_maps') })
      .expect(422);
    expect(both.body.code).toBe('invalid-residency');
    const broken = await http().patch(`${url}/db3`).send({ numaMaps: '7f00\n' }).expect(422);
    expect(broken.body).toMatchObject({ code: 'invalid-residency' });
    const planned = await http()
      .patch(`${url}/db3`)
      .send({ state: 'planned', numastat: table(1) })
      .expect(422);
    expect(planned.body.path).toBe('state');
    const { body: after } = await http().get(`${url}/db3`).expect(200);
    expect(after).toMatchObject({ version: 2, state: 'running' });
  });

  it('refuses a document whose name is another one than in the address', async () => {
    const { body } = await put('web9', domainXml('web1', 512)).expect(422);
    expect(body).toMatchObject({
      code: 'name-mismatch',
      path: '/domain/name',
      expected: 'web9',
      found: 'web1',
      line: 3,
      column: 3,
    });
    await http().get(`${url}/web9`).expect(404);
  });

  it('refuses a nodeset that names a node the host lacks, with line and column', async () => {
    const { body } = await put('web8', domainXml('web8', 512, preferred(7))).expect(422);
    expect(body).toMatchObject({
      code: 'unknown-host-node',
      path: '/domain/numatune/memory/@nodeset',
      line: 6,
    });
    expect(body.column).toBeGreaterThan(1);
    await http().get(`${url}/web8`).expect(404);
  });

  it('leaves the stored document as it was when its replacement is refused', async () => {
    await put('kept', domainXml('kept', 512)).expect(201);
    await put('kept', domainXml('kept', 512, '<numatune><memory mode="best"/></numatune>')).expect(
      422,
    );
    const { body } = await http().get(`${url}/kept`).expect(200);
    expect(body.version).toBe(1);
  });

  it('lists and removes', async () => {
    await put('gone', domainXml('gone', 256)).expect(201);
    const names = async () => {
      const { body } = await http().get(`${url}?limit=100`).expect(200);
      return body.items.map((domain: { name: string }) => domain.name) as string[];
    };
    expect(await names()).toContain('gone');
    await http().delete(`${url}/gone`).set('If-Match', '"9"').expect(412);
    await http().delete(`${url}/gone`).expect(204);
    expect(await names()).not.toContain('gone');
    const { body } = await http().delete(`${url}/gone`).expect(404);
    expect(body.code).toBe('domain-not-found');
  });

  it('takes many first PUTs of one name at once: one creates, the others replace', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => put('rush', domainXml('rush', 256))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201]);
    const { body } = await http().get(`${url}/rush`).expect(200);
    expect(body.version).toBe(6);
  });

  it('inspects a document without storing it', async () => {
    const { body } = await http()
      .post('/v1/domains/inspect')
      .type('application/xml')
      .send(domainXml('only-looked-at', 512, preferred(7)))
      .expect(200);
    expect(body).toMatchObject({ name: 'only-looked-at', memoryKib: 512 * 1024 });
    await http().get(`${url}/only-looked-at`).expect(404);
  });

  it('inspects several documents in one upload, for the libvirt that is asked for', async () => {
    const inspect = (xml: string, query = '') =>
      http().post(`/v1/domains/inspect${query}`).type('application/xml').send(xml);
    const two = `${domainXml('a', 512, preferred(0))}\n${domainXml('b', 256, preferred(1))}`;
    const { body } = await inspect(two).expect(200);
    expect(body.domains).toMatchObject([
      { name: 'a', memoryKib: 512 * 1024 },
      { name: 'b', memoryKib: 256 * 1024 },
    ]);
    const cells = "<cpu><numa><cell cpus='0' memory='512' unit='MiB'/></numa></cpu>";
    const memnode = "<numatune><memnode cellid='0' mode='restrictive' nodeset='0'/></numatune>";
    const alone = `<domain type='kvm'><name>c</name><vcpu>1</vcpu>${memnode}${cells}</domain>`;
    await inspect(alone).expect(422);
    await inspect(alone, '?libvirtVersion=9.0.0').expect(200);
    await inspect(alone, '?libvirtVersion=new').expect(400);
  });

  it('answers the placement view in the documented shape', async () => {
    const xml = `<domain type='kvm'>
  <name>g</name>
  <maxMemory slots='2' unit='GiB'>4</maxMemory>
  <memory unit='GiB'>1</memory>
  <currentMemory unit='MiB'>512</currentMemory>
  <memoryBacking><hugepages><page size='2' unit='MiB' nodeset='1'/></hugepages><locked/><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu placement='static' cpuset='0-3,^1' current='2'>4</vcpu>
  <numatune><memory mode='strict' nodeset='0-1'/><memnode cellid='1' mode='preferred' nodeset='1'/></numatune>
  <cpu><numa><cell cpus='0-1' memory='512' unit='MiB'/><cell cpus='2-3' memory='512' unit='MiB' memAccess='private'/></numa></cpu>
</domain>`;
    const inspect = http().post('/v1/domains/inspect').type('application/xml');
    const { body } = await inspect.send(xml).expect(200);
    expect(body).toMatchObject({
      ...{ name: 'g', memoryKib: 1048576, currentMemoryKib: 524288, maxMemoryKib: 4194304 },
      vcpu: { count: 4, current: 2, placement: 'static', cpuset: [0, 2, 3] },
      numatune: {
        memory: { mode: 'strict', placement: 'static', nodeset: [0, 1] },
        memnodes: [{ cellid: 1, mode: 'preferred', nodeset: [1] }],
      },
      cells: [
        { id: 0, cpus: [0, 1], memoryKib: 524288, memAccess: null },
        { id: 1, cpus: [2, 3], memoryKib: 524288, memAccess: 'private' },
      ],
      memoryBacking: {
        hugepages: [{ sizeKib: 2048, nodeset: [1] }],
        ...{ locked: true, source: 'memfd', access: 'shared' },
      },
      warnings: [],
    });
    expect(body).not.toHaveProperty('start');
  });

  describe('started on a host', () => {
    const inspect = (xml: string, query: object) =>
      http().post('/v1/domains/inspect').query(query).type('application/xml').send(xml);
    const hostId = () => url.split('/')[3] ?? '';
    const start = async (xml: string, query: object = {}) => {
      const { body } = await inspect(xml, { hostId: hostId(), ...query }).expect(200);
      const { possible, problems } = body.start as { possible: boolean; problems: unknown[] };
      expect(possible).toBe(problems.length === 0);
      return problems;
    };
    const strict = (nodeset: string): string =>
      `<numatune><memory mode='strict' nodeset='${nodeset}'/></numatune>`;
    const huge = '<memoryBacking><hugepages/></memoryBacking>';

    it('says what its start would find missing, with the place in the document', async () => {
      expect(await start(domainXml('a', 512, preferred(0)))).toEqual([]);
      expect(await start(domainXml('a', 512, preferred(7)))).toMatchObject([
        { code: 'unknown-host-node', path: '/domain/numatune/memory/@nodeset', line: 6 },
      ]);
      expect(await start(domainXml('a', 4096, strict('0')))).toMatchObject([
        { code: 'memory-does-not-fit', path: '/domain/memory', found: '4194304 KiB', line: 4 },
      ]);
      expect(await start(domainXml('a', 512, strict('0') + huge))).toMatchObject([
        { code: 'hugepages-unavailable', path: '/domain/memoryBacking/hugepages' },
      ]);
    });

    it('applies the rules of the kernel and libvirt that it is told of', async () => {
      const several = preferred(0).replace("nodeset='0'", "nodeset='0-1'");
      const xml = domainXml('a', 512, several);
      const refused = [{ code: 'preferred-single-node', found: '0-1' }];
      expect(await start(xml)).toEqual([]);
      expect(await start(xml, { kernelRelease: '5.14.0-70.el9' })).toMatchObject(refused);
      expect(await start(xml, { libvirtVersion: '8.10.0' })).toMatchObject(refused);
      await inspect(xml, { kernelRelease: 'new' }).expect(400);
    });

    it('takes a capabilities document for a host, and one host only', async () => {
      const capabilities =
        "<capabilities><host><topology><cells num='1'><cell id='4'><memory unit='KiB'>262144</memory><pages unit='KiB' size='4'>65536</pages></cell></cells></topology></host></capabilities>";
      const post = (xml: string, query: object = {}) =>
        http()
          .post('/v1/domains/inspect')
          .query(query)
          .field('xml', xml)
          .field('capabilities', capabilities);
      const two = domainXml('a', 256, strict('4')) + domainXml('b', 257, strict('4'));
      const { body } = await post(two).expect(200);
      expect(body.domains).toMatchObject([
        { name: 'a', start: { possible: true, problems: [] } },
        { name: 'b', start: { possible: false, problems: [{ code: 'memory-does-not-fit' }] } },
      ]);
      await post(two, { hostId: hostId() }).expect(400);
      const unknown = await inspect(domainXml('a', 256), { hostId: 'none' }).expect(404);
      expect(unknown.body.code).toBe('host-not-found');
    });
  });
});
