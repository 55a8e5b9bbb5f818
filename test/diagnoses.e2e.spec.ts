import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { failedAllocationLog } from '../apps/api/src/diagnoses/diagnosis-examples';
import { createTestApp, TestApp } from './support/app';
import type { Json } from './support/client';
import { domainXml, recordedBody } from './support/facts';

const logText = (name: string): string =>
  readFileSync(join(__dirname, '../libs/host-facts/test/fixtures/logs', name), 'utf8');

describe('POST /v1/diagnoses', () => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp();
  });
  afterAll(() => testApp.close());
  const post = (body: object) => request(testApp.server).post('/v1/diagnoses').send(body);

  it("explains the console's example zone by zone", async () => {
    const { body } = await post(failedAllocationLog.value).expect(200);
    const { items } = body as { items: { zones: object[]; advice: object[] }[] };
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      kind: 'allocation-failure',
      line: 1,
      kernel: { checkedAs: '2.6.32' },
      request: { order: 1, kind: 'atomic', canWait: false },
      advice: [
        { code: 'raise-min-free', evidence: { missingPages: 9 } },
        { code: 'larger-blocks', evidence: { order: 1 } },
      ],
    });
    expect(items[0]?.zones).toMatchObject([
      { zone: 'DMA', min: { allowed: false } },
      {
        zone: 'DMA32',
        min: { explanation: ['free pages: 95007 not above 75 + 94940 = 95015: refused'] },
      },
      { zone: 'Normal', min: { refusedBy: 'larger-blocks' } },
    ]);
  });

  it('explains the refusal on a host of 96 GB by every number that the kernel compared', async () => {
    const { body } = await post({ log: logText('order1-2.6.32.txt') }).expect(200);
    const [{ request: asked, zones, kernel }] = body.items;
    expect(kernel).toEqual({
      release: '2.6.32-220.23.1.el6.x86_64',
      checkedAs: '2.6.32',
      note: null,
    });
    expect(asked).toMatchObject({ order: 1, pages: 2, mask: '0x20', zoneClass: 'Normal' });
    const compared = zones.map(({ zone, freePages, reservePages, low, min }: Json) => ({
      ...{ zone, freePages, reservePages },
      low: low.steps.map((step: Json) => [step.freePages, step.neededPages, step.passes]),
      min: min.steps.map((step: Json) => [step.freePages, step.neededPages, step.passes]),
    }));
    expect(compared).toEqual([
      {
        ...{ zone: 'DMA', freePages: 3949, reservePages: 96891 },
        low: [[3948, 1 + 96891, false]],
        min: [[3948, 1 + 96891, false]],
      },
      {
        ...{ zone: 'DMA32', freePages: 95008, reservePages: 94940 },
        low: [[95007, 250 + 94940, false]],
        // An interrupt may go to three eighths of the mark: 200, 100, 75.
        min: [[95007, 75 + 94940, false]],
      },
      {
        ...{ zone: 'Normal', freePages: 14138, reservePages: 0 },
        low: [
          [14137, 12197, true],
          [1593, 6098, false],
        ],
        min: [
          [14137, 3660, true],
          [1593, 1830, false],
        ],
      },
    ]);
    expect(zones[1].min.missingPages).toBe(9);
  });

  it('takes the kernel of a stored host where the log names none', async () => {
    const { body: host } = await request(testApp.server)
      .post('/v1/hosts/import')
      .send(recordedBody('host'))
      .expect(201);
    const log = failedAllocationLog.value.log.replace(/^.*Pid: .*\n/m, '');
    const { body } = await post({ log, hostId: (host as { id: string }).id }).expect(200);
    expect(body).toMatchObject({ items: [{ kernel: { checkedAs: '6.1.y' } }] });
  });

  it('refuses a log without a report, and a host that is not there', async () => {
    const { body } = await post({ log: 'all is well\n' }).expect(422);
    expect(body).toMatchObject({ code: 'invalid-facts', errors: [{ code: 'no-report' }] });
    const hostId = '00000000-0000-4000-8000-000000000000';
    await post({ ...failedAllocationLog.value, hostId }).expect(404);
  });
});

describe('a host imported from a kernel log alone', () => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp();
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);

  it('is replayed: the guest fails again on the node that was full, and not beside it', async () => {
    const kernelLog = logText('policy-oom-6.1.txt');
    const { body: host }: { body: Json } = await http()
      .post('/v1/hosts/import')
      .send({ name: 'from-log', kernelLog })
      .expect(201);
    expect(host.caveats.map(({ code }: Json) => code)).toEqual(
      expect.arrayContaining(['host-from-kernel-log', 'node-not-in-log', 'zones-laid-out']),
    );
    expect(host.views.zones.slice(0, 3)).toMatchObject([
      { nodeId: 0, zone: 'DMA', freePages: 652, minPages: 10, lowPages: 13, highPages: 16 },
      { nodeId: 0, zone: 'DMA32', freePages: 592, minPages: 104, managedPages: 36918 },
      { nodeId: 0, zone: 'Normal', freePages: 306, minPages: 363, managedPages: 127891 },
    ]);
    // 477 of node 0's pages are its share of the minimum, 168649 of 457818 pages.
    expect(host.model.sysctl.min_free_kbytes).toBe(4 * Math.round((477 * 457_818) / 168_649));
    const kindOf = (path: string) =>
      host.provenance.find((entry: Json) => entry.path === path)?.kind as string;
    expect(kindOf('nodes.0.zones.Normal')).toBe('read');
    expect(kindOf('nodes.0.zones.Normal.startPfn')).toBe('derived');
    expect(kindOf('nodes.1.zones.Normal')).toBe('derived');
    expect(host.sources).toEqual([
      expect.objectContaining({ name: 'kernelLog', bytes: Buffer.byteLength(kernelLog) }),
    ]);
    await http()
      .put(`/v1/hosts/${host.id}/domains/web1`)
      .type('application/xml')
      .send(domainXml('web1', 96, "<numatune><memory mode='strict' nodeset='0'/></numatune>"))
      .expect(201);
    const simulated = async (body: object): Promise<Json> =>
      (
        await http()
          .post(`/v1/hosts/${host.id}/simulations`)
          .set('Prefer', 'wait=60')
          .send(body)
          .expect(201)
      ).body;
    const bound = await simulated({});
    expect(bound.outcome.oomKills).toEqual(['web1']);
    const beside = await simulated({ numatune: { web1: { mode: 'strict', nodeset: [1] } } });
    expect(beside.outcome.oomKills).toEqual([]);
    expect(beside.outcome.guests[0].pagesByNode).toContainEqual({ nodeId: 1, pages: 24_576 });
  });

  it('is refused where the log reports nothing of zones, and nothing is stored', async () => {
    for (const kernelLog of ['all is well\n', 'a: page allocation failure: order:0, mode:0x0\n']) {
      const { body } = await http()
        .post('/v1/hosts/import')
        .send({ name: 'none', kernelLog })
        .expect(422);
      expect(body).toMatchObject({ code: 'invalid-facts', errors: [{ path: 'kernelLog' }] });
    }
    const { body } = await http().get('/v1/hosts').expect(200);
    expect(body.items.map(({ name }: Json) => name)).toEqual(['from-log']);
  });
});
