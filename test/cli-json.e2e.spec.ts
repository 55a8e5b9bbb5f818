import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failedAllocationLog } from '../apps/api/src/diagnoses/diagnosis-examples';
import { diagnoseLog, importFolder } from '../apps/cli/src/commands/read-facts';
import { simulatePlan } from '../apps/cli/src/commands/replay-plan';
import { createTestApp, TestApp } from './support/app';
import { Client, type Json } from './support/client';

const ROOT = join(__dirname, '..');
const EXAMPLES = join(ROOT, 'examples');

/** What only the service has: it stores what it answers. */
const STORED = ['id', 'hostId', 'jobId', 'createdAt', 'basis'];

const without = (body: object, fields: string[]): Json =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !fields.includes(name)));

describe('the command line answers the same input with the same JSON as the service', () => {
  let test: TestApp;
  let client: Client;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    test = await createTestApp();
    await test.app.listen(0, '127.0.0.1');
    client = new Client(await test.app.getUrl());
  });
  afterAll(async () => {
    await test.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a command writes where it is told to. */
  function written(run: (out: string) => number): Json {
    const out = join(folder, 'answer.json');
    expect(run(out)).toBe(0);
    return JSON.parse(readFileSync(out, 'utf8'));
  }

  it('simulate: every field but the name of the host and the ids of what is stored', async () => {
    const hostId = await client.storeExample('cli-json');
    const { status, body } = await client.post(
      `/v1/hosts/${hostId}/simulations`,
      { demand: { touchPercent: 100 }, domains: ['db1', 'web1', 'web2', 'job1'] },
      { prefer: 'wait=60' },
    );
    expect(status).toBe(201);
    const { host, ...own } = written((out) => simulatePlan(join(EXAMPLES, 'plan.yaml'), { out }));
    expect(host).toBe('host');
    expect(own.steps.length).toBeGreaterThan(3);
    expect(own).toEqual(without(body, STORED));
  });

  it('import: the model, and where each of its values comes from', async () => {
    const capabilities = join(EXAMPLES, 'host-capabilities.xml');
    const own = written((out) => importFolder(join(EXAMPLES, 'host'), { capabilities, out }));
    const { status, body } = await client.get(
      `/v1/hosts/${await client.storeHost('cli-json-import')}`,
    );
    expect(status).toBe(200);
    const { model, provenance, differences, caveats } = body;
    expect(model.nodes).toHaveLength(2);
    expect(own).toEqual({ model, provenance, differences, caveats });
  });

  it.each([
    ["the console's example", failedAllocationLog.value.log],
    [
      'a log of 2.6.32',
      readFileSync(join(ROOT, 'libs/host-facts/test/fixtures/logs/order1-2.6.32.txt'), 'utf8'),
    ],
  ])('diagnose: %s', async (_what, log) => {
    const path = join(folder, 'kernel.txt');
    writeFileSync(path, log);
    const own = written((out) => diagnoseLog(path, { out }));
    const { status, body } = await client.post('/v1/diagnoses', { log });
    expect(status).toBe(200);
    expect(body.items).toHaveLength(1);
    expect(own).toEqual(body);
  });
});
