import { serveTestApp, TestApp } from './support/app';
import { Client } from './support/client';

/** Node 1 of the example host ends at 10 GiB, with pages that boot keeps; here there is nothing but free memory. */
const FREE_BLOCK = { node: 1, startMib: 9984, mib: 128 };

describe('memory hotplug over HTTP', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('hotplugged');
  });
  afterAll(() => test.close());

  const simulate = (hotplug: unknown) =>
    client.post(
      `/v1/hosts/${hostId}/simulations`,
      { domains: [], demand: { hotplug } },
      { prefer: 'wait=60' },
    );

  it('tells of each block what became of it', async () => {
    const { status, body } = await simulate([
      { action: 'offline', ...FREE_BLOCK },
      { action: 'offline', node: 0, startMib: 4096, mib: 128 },
    ]);
    expect(status).toBe(201);
    expect(body.steps.map((step: { status: string }) => step.status)).toEqual(['ok', 'refused']);
    expect(body.events).toMatchObject([
      { step: 1, type: 'memory_block', outcome: 'offlined', zone: 'Normal', nodeId: 1 },
      { step: 2, type: 'memory_block', outcome: 'refused', error: 'EBUSY', pfn: 1_048_576 },
    ]);
  });

  it('prints the new sizes, and zone Movable once it has memory', async () => {
    const { body } = await simulate([
      { action: 'offline', ...FREE_BLOCK },
      { action: 'online_movable', ...FREE_BLOCK },
    ]);
    const sizes = async (step: number, zone: string): Promise<number[]> => {
      const path = `/v1/simulations/${body.id}/files/zoneinfo?step=${step}`;
      const { text } = await client.get(path);
      const [, part = ''] = text.split(new RegExp(`Node 1, zone +${zone}\n`));
      const names = ['spanned', 'present', 'managed'];
      return names.map((name) => Number(new RegExp(`${name} +(\\d+)`).exec(part)?.[1]));
    };
    const [spanned, present, managed] = await sizes(0, 'Normal');
    const less = [spanned!, present! - 32_768, managed! - 32_768];
    expect(await sizes(0, 'Movable')).toEqual([0, 0, 0]);
    expect(await sizes(1, 'Normal')).toEqual(less);
    expect(await sizes(2, 'Normal')).toEqual(less);
    expect(await sizes(2, 'Movable')).toEqual([32_768, 32_768, 32_768]);
    const meminfo = async (step: number): Promise<number> => {
      const { text } = await client.get(`/v1/simulations/${body.id}/files/meminfo?step=${step}`);
      return Number(/^MemTotal: +(\d+) kB$/m.exec(text)?.[1]);
    };
    expect((await meminfo(0)) - (await meminfo(1))).toBe(131_072);
    expect(await meminfo(2)).toBe(await meminfo(0));
  });

  it.each([
    [{ ...FREE_BLOCK, action: 'sideways' }, 400, 'validation-failed'],
    [{ ...FREE_BLOCK, action: 'offline', at: 'noon' }, 400, 'validation-failed'],
    [{ ...FREE_BLOCK, action: 'offline', mib: 100 }, 422, 'invalid-simulation-request'],
    [{ ...FREE_BLOCK, action: 'offline', node: 9 }, 422, 'invalid-simulation-request'],
    [{ ...FREE_BLOCK, action: 'online', blockMib: 192 }, 422, 'invalid-simulation-request'],
    [{ ...FREE_BLOCK, action: 'online', startMib: 2 ** 25 }, 422, 'invalid-simulation-request'],
  ])('refuses %j with %i %s', async (entry, status, code) => {
    const answer = await simulate([entry]);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });
});
