/** What advice answers where there is nothing to advise about: a type that says what, from the first request that can tell. */
import { serveTestApp, TestApp } from './support/app';
import { Client, Json, example } from './support/client';

const WAIT = { prefer: 'wait=60' };

describe('hosts and guests that nothing can be advised about', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let model: Json;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('refusing');
    model = (await client.get(`/v1/hosts/${hostId}`)).body.model;
  });
  afterAll(() => test.close());

  const ask = (options: object, id = hostId) =>
    client.post(`/v1/hosts/${id}/recommendations`, { options }, WAIT);
  const store = (name: string, over: object) =>
    client.post('/v1/hosts', { name, model: { ...model, ...over } });
  const problem = ({ status, body }: Awaited<ReturnType<typeof ask>>) => {
    const [first] = body.errors ?? [];
    return [status, body.code, first?.code, first?.path];
  };

  it('a host without nodes, or of a kernel that is not replayed, is not stored', async () => {
    expect(problem(await store('empty', { nodes: [], distances: [] }))).toEqual([
      ...[422, 'invalid-host-model', 'node-without-cpus', 'model.nodes'],
    ]);
    const nodes = model.nodes.map((node: Json) => ({ ...node, zones: [] }));
    expect(problem(await store('bare', { nodes }))).toEqual([
      ...[422, 'invalid-host-model', 'no-memory', 'model.nodes'],
    ]);
    const old = await store('old', { kernelProfile: '4.18' });
    expect(problem(old)).toEqual([
      ...[400, 'validation-failed', 'invalid-field', 'model.kernelProfile'],
    ]);
    expect(old.body.errors[0]).toMatchObject({ found: '"4.18"' });
    expect(old.body.detail).toContain('5.10, 6.1.y, 6.12');
  });

  it('advice for a host that runs another kernel than the rules tells so', async () => {
    const { body } = await store('other-kernel', { kernelRelease: '4.18.0-513.el8.x86_64' });
    const xml = { 'content-type': 'application/xml' };
    await client.send('PUT', `/v1/hosts/${body.id}/domains/web1`, example('web1.xml'), xml);
    const advice = await ask({ budget: { replaysMax: 4 } }, body.id);
    expect(advice.status).toBe(201);
    const risk = advice.body.evidence.risks.find(
      ({ code }: Json) => code === 'kernel-not-validated',
    );
    expect(risk).toMatchObject({ kind: 'mechanism' });
    expect(risk.message).toContain('4.18.0-513.el8.x86_64');
  });

  it('constraints that contradict each other or name what is not there are refused with their place', async () => {
    const path = '/options/constraints';
    const all = model.nodes.map(({ nodeId }: Json) => nodeId);
    expect(problem(await ask({ constraints: { forbiddenNodes: all } }))).toEqual([
      ...[422, 'advice-not-possible', 'contradictory-constraints'],
      `${path}/forbiddenNodes`,
    ]);
    expect(problem(await ask({ constraints: { maxOvercommitPercent: 1 } }))).toEqual([
      ...[422, 'advice-not-possible', 'contradictory-constraints'],
      `${path}/maxOvercommitPercent`,
    ]);
    expect(problem(await ask({ constraints: { fixedHugepages: [9] } }))).toEqual([
      ...[422, 'invalid-simulation-request', 'unknown-node', `${path}/fixedHugepages/0`],
    ]);
    for (const constraints of [{ fixedThp: ['shmem_enabled'] }, { fixedHugepages: ['0'] }]) {
      expect((await ask({ constraints })).body.code).toBe('validation-failed');
    }
  });

  it('a guest that is to stay on a pool that is to stay too small for it is such a contradiction', async () => {
    const pooled = example('web1.xml')
      .replace(/<name>web1/, '<name>pooled')
      .replace(/<uuid>.*<\/uuid>/, '')
      .replace(/( *)<vcpu/, '$1<memoryBacking><hugepages/></memoryBacking>\n$1<vcpu');
    expect(pooled).toContain('<hugepages/>');
    const put = await client.send('PUT', `/v1/hosts/${hostId}/domains/pooled`, pooled, {
      'content-type': 'application/xml',
    });
    expect([put.status, put.body.code]).toEqual([201, undefined]);
    const fixedHugepages = model.nodes.map(({ nodeId }: Json) => nodeId);
    const constraints = { pinnedGuests: ['pooled'], fixedHugepages };
    const answer = await ask({ constraints });
    expect(problem(answer)).toEqual([
      ...[422, 'advice-not-possible', 'contradictory-constraints'],
      '/options/constraints/fixedHugepages',
    ]);
    expect(answer.body.errors[0].message).toMatch(/^pooled is to stay as it is, .* 512 huge pages/);
    const { status } = await client.send('DELETE', `/v1/hosts/${hostId}/domains/pooled`);
    expect(status).toBe(204);
  });

  it('a guest that no host node and not all of them together can hold is a finding with its shortfall', async () => {
    const host = (await store('too-small', {})).body;
    const giant = example('web1.xml')
      .replace(/<name>web1/, '<name>giant')
      .replace(/<uuid>.*<\/uuid>/, '')
      .replace(/<(memory|currentMemory) unit[^<]*</g, "<$1 unit='GiB'>64<");
    const put = await client.send('PUT', `/v1/hosts/${host.id}/domains/giant`, giant, {
      'content-type': 'application/xml',
    });
    expect([put.status, put.body.code]).toEqual([201, undefined]);
    const { status, body } = await ask({ budget: { replaysMax: 4 } }, host.id);
    expect([status, body.finding, body.priority]).toEqual([201, 'DOES_NOT_FIT', 'P1']);
    expect(body.description).toMatch(
      /^The plan does not fit: .* giant would be killed; at least [\d,]+ pages \([\d,]+ MiB\) are missing/,
    );
    const [unplaced] = body.evidence.unplaced;
    expect(unplaced).toMatchObject({ guest: 'giant' });
    expect(unplaced.shortPages).toBe(unplaced.wantedPages - unplaced.roomPages);
    expect(unplaced.wantedPages).toBeGreaterThanOrEqual(64 * 262144);
    expect(body.evidence.margin.verdict).toBe('Without any growth giant would be killed.');
  });
});
