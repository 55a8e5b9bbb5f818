import request from 'supertest';
import { createTestApp, TestApp } from './support/app';
import { recordedBody, recordedText } from './support/facts';

const GIB = 262144;

interface Row {
  nodeId: number;
  zone: string;
  minPages: number;
  lowPages: number;
  highPages: number;
  protectionPages: number[];
  pcpBatchPages: number;
  pcpHighPages: number;
  printed: Record<string, unknown> | null;
  checks: Record<
    'low' | 'min',
    { allowed: boolean; missingPages: number; explanation: string[] }
  > & {
    eligible: boolean;
  };
}

describe('layout and kernels', () => {
  let testApp: TestApp;
  let host: { id: string; model: { nodes: { zones: { spannedPages: number }[] }[] } };
  beforeAll(async () => {
    testApp = await createTestApp();
    const { body } = await http().post('/v1/hosts/import').send(recordedBody('host')).expect(201);
    host = body;
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);
  const ofHost = (path: string) => http().get(`/v1/hosts/${host.id}/${path}`);
  const compute = (path: string, body: object) => http().post(`/v1/${path}/compute`).send(body);

  describe('memory models', () => {
    it("shows a stored host's sections, node states and what each model costs", async () => {
      const { body } = await ofHost('memory-model?model=sparsemem&pfn=0,1048576').expect(200);
      expect(body).toMatchObject({
        model: 'sparsemem',
        architecture: 'x86-64',
        sectionBytes: 128 * 2 ** 20,
        pagesPerSection: 32768,
        uma: false,
        nodeStates: { N_ONLINE: [0, 1], N_NORMAL_MEMORY: [0, 1], N_MEMORY: [0, 1], N_CPU: [0, 1] },
      });
      expect(body.comparison.map(({ model }: { model: string }) => model)).toEqual([
        'flatmem',
        'discontigmem',
        'sparsemem',
        'sparsemem-vmemmap',
      ]);
      expect(body.cost).toEqual(body.comparison[2]);
      expect(body.cost.memmapBytes).toBe(body.cost.arrays * 2 ** 21);
      expect(body.frames[0]).toMatchObject({ pfn: 0, section: 0, backToPfn: 0 });
      expect(body.frames[1].section).toBe(32);
      expect(body.caveats[0].code).toBe('holes-assumed');
      const stored = await http().get(`/v1/hosts/${host.id}`).expect(200);
      expect(stored.body.views.nodeStates).toEqual(body.nodeStates);
    });

    it('has a virtual address per frame with vmemmap, its default', async () => {
      const { body } = await ofHost('memory-model?pfn=4096').expect(200);
      expect(body.model).toBe('sparsemem-vmemmap');
      expect(body.frames[0].place).toEqual({
        array: 0,
        index: 4096,
        address: '0xffffea0000040000',
      });
    });

    it('compares models for memory with holes', async () => {
      const { body } = await compute('memory-models', {
        model: 'discontigmem',
        ranges: [
          { nodeId: 0, startPfn: 0, pages: 3 * GIB },
          { nodeId: 0, startPfn: 4 * GIB, pages: 2 * GIB },
          { nodeId: 1, startPfn: 1024 * GIB, pages: 2 * GIB },
        ],
        cpus: [{ nodeId: 0, cpus: [0] }],
        possibleNodes: [2],
        devices: [{ nodeId: 1, startPfn: 2048 * GIB, pages: 64 * GIB, memmapOn: 'device' }],
      }).expect(200);
      const holes = body.comparison.map(({ holePages }: { holePages: number }) => holePages / GIB);
      expect(holes).toEqual([1019, 1, 0, 0]);
      expect(body.nodeStates).toMatchObject({
        N_POSSIBLE: [0, 1, 2],
        N_MEMORY: [0, 1],
        N_CPU: [0],
      });
      expect(body.devices[0]).toMatchObject({ managedPages: 0, usablePages: 63 * GIB });
      const zones = body.zones.map((row: Row) => `${row.nodeId} ${row.zone}`);
      expect(zones).toEqual(['0 DMA', '0 DMA32', '0 Normal', '1 Normal']);
    });

    it('knows 32-bit machines, machines of one node, and larger pages', async () => {
      const { body } = await compute('memory-models', {
        model: 'flatmem',
        architecture: 'i386-pae',
        ranges: [{ nodeId: 0, startPfn: 0, pages: 4 * GIB }],
      }).expect(200);
      expect(body.uma).toBe(true);
      const sizes = body.zones.map((row: { presentPages: number }) => row.presentPages / 256);
      expect(sizes).toEqual([16, 880, 3200]);
      const large = await compute('memory-models', {
        model: 'sparsemem',
        architecture: 'loongarch-16k',
        ranges: [{ nodeId: 0, startPfn: 0, pages: 65536 }],
      }).expect(200);
      expect(large.body).toMatchObject({ pageBytes: 16384, sectionBytes: 512 * 2 ** 20 });
      expect(large.body.cost.arrays).toBe(2);
    });

    it.each<[string, object, string]>([
      [
        'ranges that overlap',
        {
          ranges: [
            { nodeId: 0, startPfn: 0, pages: 10 },
            { nodeId: 1, startPfn: 9, pages: 10 },
          ],
        },
        'ranges[1]',
      ],
      [
        'a device that is not aligned',
        {
          model: 'sparsemem-vmemmap',
          devices: [{ nodeId: 0, startPfn: 1048577, pages: 512, memmapOn: 'memory' }],
        },
        'devices[0]',
      ],
      ['no memory', { ranges: [] }, 'ranges'],
      ['an unknown model', { model: 'hugemem' }, 'model'],
      ['an unknown architecture', { architecture: 'vax' }, 'architecture'],
    ])('refuses %s', async (_what, change, path) => {
      const ranges = [{ nodeId: 0, startPfn: 0, pages: 1000 }];
      const { body } = await compute('memory-models', { model: 'sparsemem', ranges, ...change })
        .expect(400)
        .expect('Content-Type', /application\/problem\+json/);
      expect(body).toMatchObject({ code: 'validation-failed', errors: [{ path }] });
    });

    it('refuses an unknown model and an unknown host', async () => {
      const { body } = await ofHost('memory-model?model=hugemem').expect(400);
      expect(body.code).toBe('validation-failed');
      await ofHost('memory-model?pfn=1;2').expect(400);
      const none = await http()
        .get('/v1/hosts/00000000-0000-4000-8000-000000000000/memory-model')
        .expect(404);
      expect(none.body.code).toBe('host-not-found');
    });
  });

  describe('marks and reserves', () => {
    const rows = async (query: string): Promise<Row[]> =>
      (await ofHost(`watermarks${query}`).expect(200)).body.zones as Row[];

    it("are those that the host printed, under the host's own kernel and settings", async () => {
      const { body } = await ofHost('watermarks').expect(200);
      expect(body.profile).toEqual({ kernel: '6.1.y', validated: true });
      expect(body.caveats).toEqual([]);
      const normal = (body.zones as Row[]).filter(({ zone }) => zone === 'Normal');
      expect(normal.length).toBeGreaterThan(0);
      for (const row of normal) {
        expect(row.printed?.protectionPages).toEqual(row.protectionPages);
        expect(Number(row.printed?.minPages) - row.minPages).toBeLessThan(100);
      }
    });

    it('lie closer together before 4.6, and lists are longer later', async () => {
      const old = await rows('?kernel=3.10&settings=kernel');
      const now = await rows('?kernel=6.1&settings=kernel');
      const half = (row: Row): boolean =>
        row.highPages === row.minPages + Math.floor(row.minPages / 2);
      expect(old.filter(({ minPages }) => minPages % 2 === 0).every(half)).toBe(true);
      const normal = (list: Row[]): Row => list.find(({ zone }) => zone === 'Normal')!;
      expect(normal(now).lowPages).toBeGreaterThanOrEqual(normal(old).lowPages);
      expect(normal(old).pcpHighPages).toBe(6 * normal(old).pcpBatchPages);
    });

    it('are labelled under every other kernel', async () => {
      for (const kernel of ['2.6.32', '3.10.0-1160.el7.x86_64', '4.18', '5.14']) {
        const { body } = await ofHost(`watermarks?kernel=${kernel}`).expect(200);
        expect(body.profile.validated).toBe(false);
        expect(body.caveats[0].code).toBe('kernel-not-validated');
      }
      const { body } = await ofHost('watermarks?kernel=6.18').expect(200);
      expect(body.caveats[0].message).toContain('MGLRU');
    });

    it('are refused for kernels that are not known', async () => {
      const { body } = await ofHost('watermarks?kernel=5.15').expect(400);
      expect(body).toMatchObject({ code: 'invalid-parameter', path: 'kernel' });
      expect(body.detail).toContain('2.6.32, 3.10, 4.18');
      await ofHost('watermarks?kernel=new').expect(400);
      await ofHost('watermarks?settings=mine').expect(400);
    });

    it('lists the kernels', async () => {
      const { body } = await http().get('/v1/kernel-profiles').expect(200);
      const items = body.items as { name: string; validated: boolean }[];
      expect(items).toHaveLength(8);
      expect(items.find(({ name }) => name === '6.1.y')?.validated).toBe(true);
      expect(items.find(({ name }) => name === '3.10')?.validated).toBe(false);
      const caps = body.items.map((item: { minFreeKbytesCap: number }) => item.minFreeKbytesCap);
      expect(caps).toEqual([65536, 65536, 65536, 262144, 262144, 262144, 262144, 262144]);
    });
  });

  it('tells how scattered free memory is, order by order', async () => {
    const { body } = await ofHost('fragmentation').expect(200);
    const printed = /Node 0, zone +DMA +(.*)/.exec(recordedText('buddyinfo'))?.[1] ?? '';
    const [dma] = body.zones;
    expect(dma.freeBlocks).toEqual(printed.trim().split(/\s+/).map(Number));
    expect([dma.extfragIndex.length, dma.unusableIndex.length]).toEqual([11, 11]);
    expect([dma.extfragIndex[0], dma.unusableIndex[0]]).toEqual([-1, 0]);
    expect(dma.unusableIndex[10]).toBeGreaterThan(0);
  });

  describe('a log', () => {
    const examples = async (): Promise<Record<'failedRequest' | 'highmem', { value: object }>> => {
      const { body } = await http().get('/openapi.json').expect(200);
      const post = body.paths['/v1/watermarks/compute'].post;
      return post.requestBody.content['application/json'].examples;
    };

    it('of a failed atomic request under 2.6.32 is explained zone by zone', async () => {
      const { failedRequest } = await examples();
      const { body } = await compute('watermarks', failedRequest.value).expect(200);
      const [dma, dma32, normal] = body.zones as [Row, Row, Row];
      expect([normal.minPages, normal.lowPages, normal.highPages]).toEqual([9758, 12197, 14637]);
      expect(dma.protectionPages.slice(0, 4)).toEqual([0, 1951, 96891, 96891]);
      expect(dma32.protectionPages[2]).toBe(94940);
      for (const { checks } of [dma, dma32, normal]) {
        expect([checks.low.allowed, checks.min.allowed]).toEqual([false, false]);
      }
      expect(dma32.checks.min.missingPages).toBe(9);
      expect(normal.checks.min.explanation).toEqual([
        'free pages: 14137 above 3660: passes',
        'pages in blocks of order 1 and above: 1593 not above 1830: refused',
      ]);
      const later = { ...failedRequest.value, kernel: '6.1' };
      const now = await compute('watermarks', later).expect(200);
      expect(now.body.zones[2].checks.min.allowed).toBe(true);
    });

    it('of a 32-bit machine gives the reserves against HighMem', async () => {
      const { highmem } = await examples();
      const { body } = await compute('watermarks', highmem.value).expect(200);
      expect(body.zones.map((row: Row) => row.protectionPages)).toEqual([
        [0, 64, 320, 320],
        [0, 0, 2048, 2048],
        [0, 0, 0, 0],
      ]);
      expect(body.zones[2].minPages).toBe(64);
    });

    it('with printed marks is checked against those: 1355 free, 3 + 2004 needed', async () => {
      const { body } = await compute('watermarks', {
        kernel: '2.6.32',
        zones: [
          {
            zone: 'DMA',
            presentPages: 3837,
            freePages: 1355,
            minPages: 3,
            lowPages: 3,
            highPages: 4,
            protectionPages: [0, 2004, 2004, 2004],
          },
        ],
        request: { order: 0, zone: 'Normal', kind: 'normal' },
      }).expect(200);
      expect(body.zones[0].checks.low).toMatchObject({
        allowed: false,
        steps: [{ neededPages: 2007 }],
      });
    });

    it('tells where zone_reclaim_mode starts as 1 and which pairs it never serves', async () => {
      const matrix = [
        [10, 16, 32, 33],
        [16, 10, 25, 32],
        [32, 25, 10, 16],
        [33, 32, 16, 10],
      ];
      const ask = (kernel: string) =>
        compute('watermarks', {
          kernel,
          zones: [{ zone: 'Normal', presentPages: 1000 }],
          distances: { nodeIds: [0, 1, 2, 3], matrix },
        }).expect(200);
      const { body } = await ask('6.1');
      expect(body.zoneReclaim).toMatchObject({ mode: 0, reclaimDistance: 30 });
      expect(body.zoneReclaim.excluded[0]).toEqual({ nodeId: 0, tooFar: [2, 3] });
      expect((await ask('3.10')).body.zoneReclaim.mode).toBe(1);
    });

    it.each<[string, object, string]>([
      [
        'a zone of another architecture',
        { zones: [{ zone: 'HighMem', presentPages: 1 }] },
        'zones[0].zone',
      ],
      [
        'a zone named twice',
        {
          zones: [
            { zone: 'DMA', presentPages: 1 },
            { zone: 'DMA', presentPages: 1 },
          ],
        },
        'zones[1]',
      ],
      [
        'more managed than present pages',
        { zones: [{ zone: 'DMA', presentPages: 1, managedPages: 2 }] },
        'zones[0].managedPages',
      ],
      [
        'a request for a zone that cannot be',
        { request: { order: 0, zone: 'HighMem', kind: 'normal' } },
        'request.zone',
      ],
      [
        'distances that are no square',
        { distances: { nodeIds: [0, 1], matrix: [[10, 20]] } },
        'distances.matrix',
      ],
    ])('refuses %s', async (_what, change, path) => {
      const zones = [{ zone: 'Normal', presentPages: 1000 }];
      const { body } = await compute('watermarks', { kernel: '6.1', zones, ...change }).expect(400);
      expect(body).toMatchObject({ code: 'validation-failed', errors: [{ path }] });
    });
  });
});
