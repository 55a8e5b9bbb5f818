import { DataSource } from 'typeorm';
import request from 'supertest';
import { dataSourceOptions, openDataSource } from '../apps/api/src/database/data-source';
import { createTestApp, createTestDatabase, databaseKinds, TestApp } from './support/app';
import { domainXml, preferred, recordedBody, recordedText } from './support/facts';
import { gzippedTarOf } from './support/tar';

describe.each(databaseKinds('snapshots'))('snapshots on %s', (kind) => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp({ kind });
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);

  async function stored(name: string): Promise<string> {
    const { body } = await http().post('/v1/hosts/import').send(recordedBody(name)).expect(201);
    return `/v1/hosts/${body.id}`;
  }

  const texts = (change: Record<string, unknown> = {}) => {
    const body = { ...recordedBody(''), ...change };
    return Object.fromEntries(Object.entries(body).filter(([field]) => field !== 'name'));
  };
  const drier = () => ({
    zoneinfo: recordedText('zoneinfo').replace(/nr_file_pages\s+\d+/g, 'nr_file_pages 1000'),
    sysctl: recordedText('sysctl').replace(/swappiness *= *\d+/, 'swappiness = 3'),
  });

  it('keeps what a host was when it is described anew, and tells what drifted', async () => {
    const url = await stored('drifting');
    const { body: before } = await http().get(url).expect(200);
    const created = await http().post(`${url}/snapshots`).send(texts(drier())).expect(201);
    expect(created.headers.location).toBe(`${url}/snapshots/2`);
    expect(created.headers.etag).toBe('"2"');
    const { body: after } = await http().get(url).expect(200);
    expect(after.model.nodes[0].filePages).toBe(1000);
    expect(after.version).toBe(2);
    const { body: list } = await http().get(`${url}/snapshots`).expect(200);
    expect(list.items.map(({ number }: { number: number }) => number)).toEqual([1, 2]);
    expect(list.items[0]).not.toHaveProperty('model');
    const { body: first } = await http().get(`${url}/snapshots/1`).expect(200);
    expect(first.model).toEqual(before.model);
    const { body: drift } = await http().get(`${url}/snapshots/compare?from=1&to=2`).expect(200);
    expect(drift.nodes[0].filePages).toEqual({
      from: before.model.nodes[0].filePages,
      to: 1000,
    });
    expect(drift.settings).toContainEqual({
      name: 'sysctl.swappiness',
      from: String(before.model.sysctl.swappiness),
      to: '3',
    });
    const { body: latest } = await http().get(`${url}/snapshots/compare`).expect(200);
    expect(latest).toEqual(drift);
  });

  it('keeps the residency of guests with each snapshot', async () => {
    const url = await stored('with-guests');
    const archive = (maps: string) =>
      gzippedTarOf([
        { path: 'a/proc/zoneinfo', text: recordedText('zoneinfo') },
        ...[0, 1].flatMap((node) =>
          ['cpulist', 'distance'].map((file) => ({
            path: `a/sys/devices/system/node/node${node}/${file}`,
            text: recordedText(`node${node}.${file}`),
          })),
        ),
        { path: 'a/guests/9/name', text: 'web1' },
        { path: 'a/guests/9/domain.xml', text: domainXml('web1', 256, preferred(1)) },
        { path: 'a/guests/9/numa_maps', text: maps },
      ]);
    const send = async (maps: string) => {
      const body = await archive(maps);
      await http()
        .post(`${url}/snapshots`)
        .set('Content-Type', 'application/gzip')
        .send(body)
        .expect(201);
    };
    await send('7f0000000000 default anon=4096 N1=4096\n');
    await send('7f0000000000 default anon=4096 N0=1024 N1=3072\n');
    const { body } = await http().get(`${url}/snapshots/compare?from=2&to=3`).expect(200);
    expect(body.guests).toEqual([
      {
        name: 'web1',
        pagesByNode: {
          from: [{ nodeId: 1, pages: 4096 }],
          to: [
            { nodeId: 0, pages: 1024 },
            { nodeId: 1, pages: 3072 },
          ],
        },
      },
    ]);
    const { body: domain } = await http().get(`${url}/domains/web1`).expect(200);
    expect(domain).toMatchObject({ version: 2, state: 'running' });
  });

  it('makes a host what it was when its kernel reported a failure', async () => {
    const url = await stored('failing');
    const { body: host } = await http().get(url).expect(200);
    const lines = host.model.nodes[1].zones.map(
      (zone: { name: string; managedPages: number; presentPages: number }) =>
        `Node 1 ${zone.name} free:400kB min:2000kB low:2500kB high:3000kB active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB present:${4 * zone.presentPages}kB managed:${4 * zone.managedPages}kB`,
    );
    const head = 'qemu: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL)';
    const kernelLog = [head, ...lines].join('\n');
    const { body } = await http().post(`${url}/snapshots`).send({ kernelLog }).expect(201);
    expect(body.model.nodes[1].zones[0]).toMatchObject({ freePages: 100, minPages: 500 });
    expect(body.caveats[0].code).toBe('from-kernel-log');
    const { body: drift } = await http().get(`${url}/snapshots/compare`).expect(200);
    expect(drift.zones[0]).toMatchObject({ nodeId: 1, freePages: { to: 100 } });
    const both = { kernelLog, meminfo: recordedText('meminfo') };
    const refused = await http().post(`${url}/snapshots`).send(both).expect(400);
    expect(refused.body.errors[0].path).toBe('kernelLog');
    await http().post(`${url}/snapshots`).send({ kernelLog: 'all is well' }).expect(422);
  });

  it('stores one when a model is replaced, and none when something else is', async () => {
    const url = await stored('replaced');
    const { body: host } = await http().get(url).expect(200);
    await http().patch(url).send({ description: 'rack 5' }).expect(200);
    await http().patch(url).send({ model: host.model }).expect(200);
    const { body } = await http().get(`${url}/snapshots`).expect(200);
    expect(body.items).toHaveLength(2);
    const { body: drift } = await http().get(`${url}/snapshots/compare`).expect(200);
    expect([drift.nodes, drift.zones, drift.settings]).toEqual([[], [], []]);
  });

  it('refuses what does not fit, and leaves nothing behind', async () => {
    const url = await stored('refusing');
    await http()
      .put(`${url}/domains/web1`)
      .type('application/xml')
      .send(domainXml('web1', 256, preferred(1)))
      .expect(201);
    const single = await http()
      .post(`${url}/snapshots`)
      .send({ meminfo: recordedText('meminfo') })
      .expect(422);
    expect(single.body.code).toBe('unknown-host-node');
    await http().post(`${url}/snapshots`).set('If-Match', '"7"').send(texts()).expect(412);
    await http().post(`${url}/snapshots`).send({ name: 'x' }).expect(400);
    const { body } = await http().get(`${url}/snapshots`).expect(200);
    expect(body.items).toHaveLength(1);
    for (const path of ['2', '0', 'x', 'compare?from=1&to=2', 'compare']) {
      const { body: problem } = await http().get(`${url}/snapshots/${path}`).expect(404);
      expect(problem.code).toBe('snapshot-not-found');
    }
    await http().get(`${url}/snapshots/compare?from=x`).expect(400);
    await http().delete(url).expect(204);
    await http().get(`${url}/snapshots`).expect(404);
  });

  it('numbers concurrent ones without a gap', async () => {
    const url = await stored('racing');
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => http().post(`${url}/snapshots`).send(texts())),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    expect(answers.map(({ body }) => body.number as number).sort()).toEqual([2, 3, 4, 5, 6]);
  });
});

it.each(databaseKinds('first snapshots'))(
  'hosts stored before have what they are now as their first snapshot, on %s',
  async (kind) => {
    const { database, drop } = await createTestDatabase(kind);
    const dataSource = await openDataSource(dataSourceOptions(database));
    try {
      // Back to before there were snapshots, however many migrations came after.
      const hasSnapshots = async (): Promise<boolean> => {
        const queryRunner = dataSource.createQueryRunner();
        return queryRunner.hasTable('host_snapshots').finally(() => queryRunner.release());
      };
      while (await hasSnapshots()) await dataSource.undoLastMigration();
      await storeOldHost(dataSource);
      await dataSource.runMigrations();
      const rows = await dataSource.query<Record<string, unknown>[]>(
        'SELECT "hostId", "number", "model", "guests", "createdAt" FROM "host_snapshots"',
      );
      expect(rows).toEqual([
        { hostId: 'host-1', number: 1, model: '{"a":1}', guests: '[]', createdAt: 'later' },
      ]);
    } finally {
      await dataSource.destroy();
      await drop();
    }
  },
);

async function storeOldHost(dataSource: DataSource): Promise<void> {
  const columns = {
    id: 'host-1',
    name: 'old',
    model: '{"a":1}',
    ...{ summary: '{}', provenance: '[]', differences: '[]', caveats: '[]', sources: '[]' },
    ...{ sourceTexts: '{}', createdAt: 'then', updatedAt: 'later' },
  };
  const names = Object.keys(columns).map((name) => `"${name}"`);
  const values = Object.values(columns).map((value) => `'${value}'`);
  await dataSource.query(
    `INSERT INTO "hosts" (${names.join()}, "version") VALUES (${values.join()}, 3)`,
  );
}
