/** The gate's JSON: the same from the command and from a service, and as the published schema says. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RULE_CODES, VERDICT_SCHEMA, type GateVerdict } from '@zonewise/plan';
import Ajv, { type ValidateFunction } from 'ajv';
import { gate, type GateOptions } from '../apps/cli/src/gate/gate';
import { serveTestApp, TestApp } from './support/app';
import { Client, Json } from './support/client';

const EXAMPLES = join(__dirname, '..', 'examples');
const PLANS = [
  'plan.yaml',
  ...readdirSync(join(EXAMPLES, 'plans'))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `plans/${name}`),
];
const NUMACTL_HARDWARE = `available: 2 nodes (0-1)
node 0 cpus: 0 1
node 0 size: 512 MB
node 0 free: 480 MB
node 1 cpus: 2 3
node 1 size: 512 MB
node 1 free: 480 MB
node distances:
node   0   1
  0:  10  21
  1:  21  10
`;

describe("a plan's verdict as JSON", () => {
  let test: TestApp;
  let server: string;
  let folder: string;
  let validate: ValidateFunction;
  let printed = '';
  /** Verdicts as the service sent them. */
  let sent: Json[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    let client: Client;
    ({ test, client } = await serveTestApp());
    server = await test.app.getUrl();
    const { status, headers, body } = await client.get('/schemas/gate-verdict.json');
    expect([status, headers.get('content-type')]).toEqual([
      200,
      expect.stringMatching(/^application\/schema\+json/),
    ]);
    expect(body).toEqual(VERDICT_SCHEMA);
    validate = new Ajv({ allErrors: true, strict: false }).compile(body as object);
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
    const { fetch } = globalThis;
    jest.spyOn(globalThis, 'fetch').mockImplementation(async (...request) => {
      const answer = await fetch(...request);
      if (answer.ok) sent.push(await answer.clone().json());
      return answer;
    });
  });
  afterEach(() => jest.restoreAllMocks());

  async function run(
    plans: string[],
    options: GateOptions = {},
  ): Promise<{ code: number; text: string }> {
    printed = '';
    sent = [];
    const code = await gate(plans, { output: 'json', today: '2027-01-01', ...options });
    return { code, text: printed };
  }

  /** The document, held against the schema. */
  function valid<T = Json>(value: T): T {
    validate(value);
    const wrong = validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`);
    expect(wrong ?? []).toEqual([]);
    return value;
  }

  function write(name: string, plan: object): string {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(plan));
    return path;
  }

  /** Two hosts of two nodes with 480 MiB free on each, and guests of 200 MiB. */
  function twoHosts(count: number, over: object = {}): object {
    const texts = { version: '6.1.0', numactlHardware: NUMACTL_HARDWARE };
    return {
      hosts: ['kvm1', 'kvm2'].map((name) => ({ name, texts })),
      flavours: { bound: { memoryMib: 200, numatune: { mode: 'strict', nodeset: '0' } } },
      guests: [{ name: 'a', flavour: 'bound', count }],
      assignments: { kvm1: ['a'] },
      ...over,
    };
  }

  it.each(PLANS)('examples/%s: one answer here and there, by the schema', async (name) => {
    const here = await run([join(EXAMPLES, name)]);
    const there = await run([join(EXAMPLES, name)], { server });
    expect(there).toEqual(here);
    valid(JSON.parse(here.text));
    expect(sent).toHaveLength(1);
    const { zonewise, file, ...own } = JSON.parse(here.text);
    expect([zonewise, file]).toEqual([expect.any(String), expect.stringContaining(name)]);
    const [answer] = sent.map((one) => valid(one));
    // The service has no files: places are pointers into what was sent.
    const placeless = (verdict: Json): Json => ({
      ...verdict,
      findings: verdict.findings.map(({ place: _place, related, ...finding }: Json) => ({
        ...finding,
        related: related?.map(({ message }: Json) => message),
      })),
    });
    expect(placeless(answer)).toEqual(placeless(own));
  });

  it('several plans, one that cannot be judged, and what changed', async () => {
    const [good, bad] = [write('good.json', twoHosts(1)), write('bad.json', twoHosts(3))];
    const broken = write('broken.json', { hosts: 1 });
    const { code, text } = await run([good, bad, broken]);
    expect(code).toBe(1);
    expect(valid(JSON.parse(text)).plans.map((one: Json) => one.verdict ?? 'none')).toEqual([
      ...['pass', 'fail', 'none'],
    ]);
    expect(valid(JSON.parse((await run([broken])).text)).problems.length).toBeGreaterThan(0);
    const baseline = join(folder, 'before.json');
    await run([good], { out: baseline });
    write('good.json', twoHosts(3, { policies: { margin: {}, headroom: { minMib: 8 } } }));
    const { difference } = valid(JSON.parse((await run([good], { baseline })).text));
    expect(difference.added.length).toBeGreaterThan(0);
    expect(difference.hosts[0]).toMatchObject({ name: 'kvm1', change: 'worse' });
  });

  it('the schema refuses what is no verdict', async () => {
    const path = write('plan.json', twoHosts(3, { policies: { margin: {}, swap: { maxMib: 0 } } }));
    const verdict = valid(JSON.parse((await run([path])).text));
    const refuses = (value: unknown): void =>
      expect([validate(value), value]).toEqual([false, value]);
    for (const value of [null, [], {}, { verdict: 'pass' }]) refuses(value);
    for (const name of Object.keys(verdict).filter((key) => !['zonewise', 'file'].includes(key))) {
      refuses({ ...verdict, [name]: undefined });
    }
    refuses({ ...verdict, extra: 1 });
    refuses({ ...verdict, findings: [{ ...verdict.findings[0], extra: 1 }] });
    const [host, ...others] = verdict.hosts;
    refuses({ ...verdict, hosts: [{ ...host, stateHash: 'x' }, ...others] });
    const outcome = { ...host.outcome, swappedOutPages: -1 };
    refuses({ ...verdict, hosts: [{ ...host, outcome }, ...others] });
  });

  it('the schema knows the rules and what is needed of a verdict', () => {
    const { definitions } = VERDICT_SCHEMA as { definitions: Record<string, Json> };
    expect(definitions.ruleCode.enum).toEqual(RULE_CODES);
    // What is written at all is needed, but for these.
    const optional: Record<string, string[]> = {
      verdict: ['zonewise', 'file', 'placements', 'difference'],
      host: ['margin', 'headroom', 'sameAs'],
      finding: ['guest', 'node', 'related', 'waived'],
    };
    for (const [name, fields] of Object.entries(optional)) {
      const { properties, required } = definitions[name];
      expect(Object.keys(properties).filter((key) => !required.includes(key))).toEqual(fields);
    }
  });

  describe('assignments: auto with events', () => {
    const flavours = { small: { memoryMib: 128 }, large: { memoryMib: 300 } };
    const plan = (events: object[], over: object = {}): object =>
      twoHosts(0, {
        flavours,
        guests: [
          { name: 'db', flavour: 'large' },
          { name: 'web', flavour: 'small', count: 2 },
          { name: 'late', flavour: 'large' },
        ],
        assignments: 'auto',
        events,
        ...over,
      });
    const pagesOf = ({ hosts }: GateVerdict, guest: string): number =>
      hosts
        .flatMap(({ outcome }) => outcome.guests)
        .filter(({ name }) => name === guest)
        .flatMap(({ pagesByNode }) => pagesByNode)
        .reduce((sum, { pages }) => sum + pages, 0);

    it('places every guest, those that boot later too, and replays what happens', async () => {
      const events = [
        { at: 'noon', balloon: 'db', memoryMib: 100 },
        { stop: 'web-1' },
        { boot: 'late' },
      ];
      const path = write('auto.json', plan(events));
      const here = await run([path]);
      const verdict = valid(JSON.parse(here.text)) as GateVerdict;
      expect([here.code, verdict.findings]).toEqual([0, []]);
      const names = verdict.placements?.map(({ guest }) => guest);
      expect(names).toEqual(['db', 'web-1', 'web-2', 'late']);
      const [db, web1, web2, late] = ['db', 'web-1', 'web-2', 'late'].map((guest) =>
        pagesOf(verdict, guest),
      );
      expect([db, web1, web2, late]).toEqual([100 * 256, 0, 128 * 256, 300 * 256]);
      const told = verdict.hosts.flatMap(({ demand }) => demand.events ?? []);
      expect(told.map(({ event, guest }) => `${event} ${guest}`).sort()).toEqual([
        ...['balloon db', 'boot late', 'stop web-1'],
      ]);
      expect(await run([path], { server })).toEqual(here);
      // Over HTTP as it is posted, without the command.
      const facts = { version: '6.1.0', numactlHardware: NUMACTL_HARDWARE };
      const { hosts, ...rest } = plan(events) as { hosts: { name: string }[] };
      const body = {
        ...rest,
        hosts: hosts.map(({ name }) => ({ name, facts })),
        today: '2027-01-01',
      };
      const posted = await new Client(server).post('/v1/packing-plans/check', body);
      expect([posted.status, valid(posted.body).placements]).toEqual([200, verdict.placements]);
      expect(posted.body.hosts).toEqual(verdict.hosts);
    });

    it('a plan that holds does not where a host is lost with the guests that were placed there', async () => {
      // A node has room for one of them: two hosts hold three, and one host does not.
      const guests = [{ name: 'db', flavour: 'large', count: 3 }];
      const calm = await run([write('calm.json', plan([], { guests }))]);
      const { placements = [] } = JSON.parse(calm.text) as GateVerdict;
      expect(calm.code).toBe(0);
      const lost = placements[0]?.host ?? '';
      const leaving = placements.filter(({ host }) => host === lost).map(({ guest }) => guest);
      const other = lost === 'kvm1' ? 'kvm2' : 'kvm1';
      const events = [{ lose: lost, to: { [other]: leaving } }];
      const path = write('lost.json', plan(events, { guests }));
      const here = await run([path]);
      expect(here.code).toBe(2);
      const { findings } = valid(JSON.parse(here.text)) as GateVerdict;
      expect(findings.every(({ host }) => host === other)).toBe(true);
      expect(await run([path], { server })).toEqual(here);
    });

    it('an event that contradicts the placement is refused here and there, with its place', async () => {
      const path = write('wrong.json', plan([{ stop: 'web-9' }]));
      const here = await run([path]);
      expect(here.code).toBe(1);
      expect(valid(JSON.parse(here.text)).problems).toMatchObject([
        { code: 'unknown-guest', path: '/events/0/stop' },
      ]);
      expect(await run([path], { server })).toEqual(here);
    });
  });
});
