import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failedAllocationLog } from '../apps/api/src/diagnoses/diagnosis-examples';
import { headroomOfPlan } from '../apps/cli/src/commands/headroom';
import { diagnoseLog, importFolder } from '../apps/cli/src/commands/read-facts';
import { advisePlan, simulatePlan } from '../apps/cli/src/commands/replay-plan';
import { serveTestApp, TestApp } from './support/app';
import { Client, type Json } from './support/client';

const ROOT = join(__dirname, '..');
const EXAMPLES = join(ROOT, 'examples');

/** What only the service has: it stores what it answers. */
const STORED = ['id', 'hostId', 'jobId', 'createdAt', 'basis'];

/** The same of a recommendation, which has a life of its own there. */
const LIFE = [
  'name',
  'associatedInsights',
  'stateInfo',
  'xorGroupId',
  'etag',
  'lastRefreshTime',
  'files',
];

/** The host of examples/plan.yaml with its guests. */
const GUESTS = { demand: { touchPercent: 100 }, domains: ['db1', 'web1', 'web2', 'job1'] };

const without = (body: object, fields: string[]): Json =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !fields.includes(name)));

describe('the command line answers the same input with the same JSON as the service', () => {
  let test: TestApp;
  let client: Client;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    ({ test, client } = await serveTestApp());
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
    const { status, body } = await client.post(`/v1/hosts/${hostId}/simulations`, GUESTS, {
      prefer: 'wait=60',
    });
    expect(status).toBe(201);
    const { host, ...own } = written((out) => simulatePlan(join(EXAMPLES, 'plan.yaml'), { out }));
    expect(host).toBe('host');
    expect(own.steps.length).toBeGreaterThan(3);
    expect(own).toEqual(without(body, STORED));
  });

  it('advise: the recommendation and those that exclude it, but for their lives in the store', async () => {
    const hostId = await client.storeExample('cli-json-advise');
    const options = { profile: 'locality' as const };
    const answer = await client.post(
      `/v1/hosts/${hostId}/recommendations`,
      { ...GUESTS, options },
      { prefer: 'wait=60' },
    );
    expect(answer.status).toBe(201);
    const own = written((out) => advisePlan(join(EXAMPLES, 'plan.yaml'), { ...options, out }));
    const { host, caveats, exclusive, ...advice } = own;
    // Of a plan that is read without doubts nothing is to be told besides.
    expect([host, caveats]).toEqual(['host', []]);
    /** Only what is stored can drift. */
    const content = (stored: Json): Json => {
      const { evidence, ...rest } = without(stored, [...STORED, ...LIFE]);
      const risks = evidence.risks.filter(({ kind }: Json) => kind !== 'drift');
      return { ...rest, evidence: { ...evidence, risks } };
    };
    expect(advice.evidence.replays).toBeGreaterThan(10);
    expect(advice).toEqual(content(answer.body));
    const group = `/v1/hosts/${hostId}/recommendations?xorGroupId=${answer.body.xorGroupId}`;
    const { items } = (await client.get(group)).body;
    const others = items.filter(({ id }: Json) => id !== answer.body.id);
    const stored = await Promise.all(
      others.map(async ({ id }: Json) => (await client.get(`/v1/recommendations/${id}`)).body),
    );
    expect(exclusive.length).toBeGreaterThan(0);
    expect(stored.map(content)).toEqual(exclusive);
  });

  it('headroom: beside guests that run and are planned, under limits', async () => {
    const flavours = { small: { memoryMib: 512 }, large: { memoryMib: 1536, vcpus: 2 } };
    const limits = { maxStallMs: 50 };
    const examples = join(folder, 'examples');
    cpSync(EXAMPLES, examples, { recursive: true });
    const plan = join(examples, 'plan.yaml');
    const text = readFileSync(plan, 'utf8').replace(/^limits:[^]*/m, '');
    writeFileSync(
      plan,
      `${text}limits: ${JSON.stringify(limits)}\nflavours: ${JSON.stringify(flavours)}\n`,
    );
    const own = written((out) => headroomOfPlan(plan, { pageCache: '32', out }));
    const hostId = await client.storeExample('cli-json-headroom');
    const { status, body } = await client.post(`/v1/hosts/${hostId}/headroom`, {
      ...GUESTS,
      ...{ flavours, limits, pageCacheMib: 32 },
    });
    expect(status).toBe(200);
    expect(own.flavours.map(({ flavour }: Json) => flavour)).toEqual(['small', 'large']);
    expect(own).toEqual({ host: 'host', ...body });
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
