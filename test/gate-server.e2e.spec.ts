import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GateVerdict } from '@zonewise/plan';
import { gate } from '../apps/cli/src/gate/gate';
import { serveTestApp, TestApp } from './support/app';
import { Client } from './support/client';

const EXAMPLES = join(__dirname, '..', 'examples');

describe('zonewise gate --server', () => {
  let test: TestApp;
  let client: Client;
  let server: string;
  let folder: string;
  let printed = '';

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    server = await test.app.getUrl();
    folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await test.close();
  });
  beforeEach(() => {
    for (const name of ['stdout', 'stderr'] as const) {
      jest.spyOn(process[name], 'write').mockImplementation((part) => {
        printed += String(part);
        return true;
      });
    }
  });
  afterEach(() => jest.restoreAllMocks());

  async function run(path: string, options: object): Promise<{ code: number; text: string }> {
    printed = '';
    const code = await gate([path], { output: 'json', today: '2027-01-01', ...options });
    return { code, text: printed };
  }

  function write(name: string, plan: object): string {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(plan));
    return path;
  }

  it('takes hosts by their id, which only a service knows', async () => {
    const hostId = await client.storeHost('by-id');
    const guests = [{ name: 'a', flavour: 'small' }];
    const hosts = [{ name: 'kvm1', hostId }];
    const path = write('id.json', { hosts, guests, flavours: { small: { memoryMib: 64 } } });
    const { code, text } = await run(path, { server });
    expect([code, (JSON.parse(text) as GateVerdict).verdict]).toEqual([0, 'pass']);
    const here = await run(path, {});
    expect(here.code).toBe(1);
    expect(here.text).toContain('host-needs-server');
  });

  it('waits for the job of a plan of many hosts', async () => {
    const numactlHardware =
      'available: 1 nodes (0)\nnode 0 cpus: 0\nnode 0 size: 512 MB\nnode 0 free: 480 MB\nnode distances:\nnode   0\n  0:  10\n';
    const hosts = Array.from({ length: 20 }, (_, i) => ({
      name: `kvm${i}`,
      texts: { numactlHardware, version: '6.1.0' },
    }));
    const many = {
      hosts,
      guests: [{ name: 'a', flavour: 'small', count: 20 }],
      flavours: { small: { memoryMib: 64 } },
      assignments: Object.fromEntries(hosts.map(({ name }, i) => [name, [`a-${i + 1}`]])),
    };
    const path = write('many.json', many);
    const there = await run(path, { server });
    expect(there).toEqual(await run(path, {}));
    expect((JSON.parse(there.text) as GateVerdict).hosts).toHaveLength(20);
  });

  it.each<[string, object, RegExp]>([
    [
      'an unknown guest',
      { assignments: { kvm1: ['b'] } },
      /"file":"[^"]*bad\.json".*unknown-guest/s,
    ],
    ['a setting that the service refuses', { sysctl: { swappiness: 500 } }, /\/sysctl\/swappiness/],
  ])('names the place of %s in the plan', async (_what, over, message) => {
    const hosts = [{ name: 'kvm1', texts: { version: '6.1.0', numactlHardware: 'x' } }];
    const flavours = { small: { memoryMib: 64 } };
    const guests = [{ name: 'a', flavour: 'small' }];
    const { code, text } = await run(write('bad.json', { hosts, flavours, guests, ...over }), {
      server,
    });
    expect(code).toBe(1);
    expect(text.replace(/\n\s*/g, '').replace(/": /g, '":')).toMatch(message);
  });

  it('cannot judge when nobody answers, or the address is none', async () => {
    const path = join(EXAMPLES, 'plan.yaml');
    const nobody = await run(path, { server: 'http://127.0.0.1:1' });
    expect(nobody.code).toBe(1);
    expect(nobody.text).toContain('server-failed');
    expect((await run(path, { server: 'ftp://x' })).text).toContain('invalid-option');
  });
});
