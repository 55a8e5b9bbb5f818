import { serveTestApp, TestApp } from './support/app';
import { recordedText } from './support/facts';
import { Client, example } from './support/client';

const NAMES = [
  'zoneinfo',
  'buddyinfo',
  'pagetypeinfo',
  'vmstat',
  'meminfo',
  'node-meminfo',
  'numastat',
  'numastat-m',
  'sar-b',
];

describe('texts of a simulated host over HTTP', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let simulation: { id: string; steps: { n: number }[]; numastat: { numaHit: number }[] };

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('printed');
    const wait = { prefer: 'wait=60' };
    simulation = (await client.post(`/v1/hosts/${hostId}/simulations`, {}, wait)).body;
  });
  afterAll(() => test.close());

  const file = (name: string, query = '') =>
    client.get(`/v1/simulations/${simulation.id}/files/${name}${query}`);

  it.each(NAMES)('%s is plain text', async (name) => {
    const answer = await file(name);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(answer.text).toMatch(/\n$/);
  });

  it('starts as the host printed itself', async () => {
    const parts = [0, 1].map((node) => recordedText(`node${node}.numastat`));
    const zoneinfo = (await file('zoneinfo', '?step=0')).text;
    const printed = recordedText('zoneinfo');
    const sizes = (text: string) =>
      text.split('\n').filter((line) => /^Node|^ +(spanned|present|managed|start_pfn)/.test(line));
    expect(sizes(zoneinfo)).toEqual(sizes(printed));
    const numastat = (await file('numastat', '?step=0')).text;
    const hits = parts.map((text) => /^numa_hit (\d+)$/m.exec(text)?.[1]);
    expect(numastat.split('\n')[1]?.split(/\s+/)).toEqual(['numa_hit', ...hits]);
    expect((await file('meminfo', '?step=0')).text).toContain(
      /^VmallocUsed:.*\n/m.exec(recordedText('meminfo'))?.[0],
    );
  });

  it('starts with the free blocks and pageblocks that the host printed', async () => {
    for (const name of ['buddyinfo', 'pagetypeinfo']) {
      expect((await file(name, '?step=0')).text).toBe(recordedText(name));
    }
  });

  it('accounts for the free pages of its last step block by block', async () => {
    const numbers = (text: string, pattern: RegExp): number[][] =>
      [...text.matchAll(pattern)].map(([, list]) => list!.trim().split(/ +/).map(Number));
    const pagesOf = (blocks: number[]): number =>
      blocks.reduce((sum, count, order) => sum + count * 2 ** order, 0);
    const blocks = numbers((await file('buddyinfo')).text, /^Node .*, zone +\w+ (.*)$/gm);
    const { zoneTable } = (await client.get(`/v1/simulations/${simulation.id}`)).body;
    expect(blocks.map(pagesOf)).toEqual(
      zoneTable.map((row: { freePages: number }) => row.freePages),
    );
    const types = (await file('pagetypeinfo')).text;
    const lists = numbers(types, /^Node .*, type +\w+ (.*)$/gm);
    expect(lists).toHaveLength(5 * blocks.length);
    expect(lists.reduce((sum, list) => sum + pagesOf(list), 0)).toBe(
      blocks.reduce((sum, list) => sum + pagesOf(list), 0),
    );
    // Node 0: DMA 8, DMA32 1016 and Normal 1024 pageblocks; node 1: 2048.
    const pageblocks = numbers(types, /^Node \d, zone +\w+ +((?:\d+ +){5})$/gm);
    expect(pageblocks.map((row) => row.reduce((sum, count) => sum + count, 0))).toEqual([
      8, 1016, 1024, 2048,
    ]);
  });

  it('ends with what the simulation says of its last step', async () => {
    const last = simulation.steps.length;
    expect((await file('vmstat')).text).toBe((await file('vmstat', `?step=${last}`)).text);
    const hits = /^numa_hit +(\d+) +(\d+)$/m.exec((await file('numastat')).text);
    expect(hits?.slice(1).map(Number)).toEqual(simulation.numastat.map((row) => row.numaHit));
    const before = (await file('vmstat', '?step=0')).text;
    const counted = (text: string): number => Number(/^pgfault (\d+)$/m.exec(text)?.[1]);
    expect(counted((await file('vmstat')).text)).toBeGreaterThan(counted(before));
  });

  it('has a line of rates for each step and one for their average', async () => {
    const lines = (await file('sar-b')).text.trimEnd().split('\n');
    expect(lines[2]).toMatch(/^00:00:00 +pgpgin\/s pgpgout\/s +fault\/s .* %vmeff$/);
    expect(lines).toHaveLength(3 + simulation.steps.length + 1);
    expect((await file('sar-b', '?step=1')).text.trimEnd().split('\n')).toHaveLength(5);
  });

  it('says which files and steps there are', async () => {
    const unknown = await file('slabinfo');
    expect([unknown.status, unknown.body.code, unknown.body.path]).toEqual([
      404,
      'file-not-found',
      'name',
    ]);
    for (const name of NAMES) expect(unknown.body.detail).toContain(name);
    const last = simulation.steps.length;
    const beyond = await file('zoneinfo', `?step=${last + 1}`);
    expect([beyond.status, beyond.body.code, beyond.body.path]).toEqual([
      404,
      'file-not-found',
      'step',
    ]);
    expect(beyond.body.detail).toContain(`0 (before the first) to ${last}`);
    expect(beyond.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });

  it.each(['?step=-1', '?step=1.5', '?step=', '?step=last', '?step=1&step=2', '?steps=1'])(
    'refuses %s',
    async (query) => {
      const answer = await file('zoneinfo', query);
      expect([answer.status, answer.body.code]).toEqual([400, 'validation-failed']);
    },
  );

  it('knows no other simulation', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000';
    for (const id of [nobody, 'x']) {
      const answer = await client.get(`/v1/simulations/${id}/files/zoneinfo`);
      expect([answer.status, answer.body.code]).toEqual([404, 'simulation-not-found']);
    }
  });

  it('shows in its documentation what it answers', async () => {
    const { body } = await client.get('/openapi.json');
    const operation = body.paths['/v1/simulations/{simulationId}/files/{name}'].get;
    const names = operation.parameters.find((each: { name: string }) => each.name === 'name');
    expect(names.schema.enum).toEqual(NAMES);
    const shown = operation.responses['200'].content['text/plain'].examples.numastat.value;
    expect((await file('numastat', '?step=0')).text).toBe(shown);
  });

  it("prints what is not modelled as 0 once the host's model has been replaced", async () => {
    const other = await client.storeExample('changing');
    const path = `/v1/hosts/${other}/simulations`;
    const { body } = await client.post(path, { domains: ['db1'] }, { prefer: 'wait=60' });
    const percpu = async () => {
      const { text } = await client.get(`/v1/simulations/${body.id}/files/meminfo`);
      return /^Percpu: +(\d+) kB$/m.exec(text)?.[1];
    };
    expect(await percpu()).toBe(/^Percpu: +(\d+) kB$/m.exec(example('host/meminfo'))?.[1]);
    const change = async (fields: object) => {
      const answer = await client.send('PATCH', `/v1/hosts/${other}`, fields);
      expect(answer.status).toBe(200);
    };
    await change({ description: 'Rack 5' });
    expect(await percpu()).not.toBe('0');
    const { model } = (await client.get(`/v1/hosts/${other}`)).body;
    await change({ model });
    expect(await percpu()).toBe('0');
  });

  it("has the kernel's report of a kill in the simulation itself", async () => {
    // A quarter of the host kept free leaves node 1 too small for all guests together.
    const strict = { mode: 'strict', nodeset: [1] };
    const numatune = { web1: strict, web2: strict, job1: strict };
    const ask = { numatune, sysctl: { min_free_kbytes: 2_000_000 } };
    const wait = { prefer: 'wait=60' };
    const { body } = await client.post(`/v1/hosts/${hostId}/simulations`, ask, wait);
    const { events } = (await client.get(`/v1/simulations/${body.id}`)).body;
    const kill = events.find((event: { type: string }) => event.type === 'oom_kill');
    expect(kill.report[0]).toMatch(
      new RegExp(`^${kill.invokedBy} invoked oom-killer: gfp_mask=0x`),
    );
    expect(kill.report).toContain('Mem-Info:');
    expect(kill.report.at(-2)).toContain(
      'oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=1,',
    );
    expect(kill.report.at(-1)).toContain(` (${kill.victim}) total-vm:`);
    expect(kill.summary).toMatch(/^node 1 Normal: free \d+, min \d+/);
  });
});
