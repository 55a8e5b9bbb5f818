/** Recommendations held against what a host prints afterwards: the texts of a replay with the advice applied. */
import { databaseKinds, serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

const WAIT = { prefer: 'wait=60' };
const TEXTS = ['zoneinfo', 'buddyinfo', 'pagetypeinfo', 'vmstat', 'meminfo'] as const;

describe.each(databaseKinds('verifications'))('verifications on %s', (kind) => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let advice: Json;
  let path: string;
  /** What the host prints after the change; `before` without the advice. */
  let after: Record<string, unknown>;
  let before: Record<string, unknown>;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
    hostId = await client.storeExample('verified');
    advice = (await client.post(`/v1/hosts/${hostId}/recommendations`, {}, WAIT)).body;
    path = `/v1/recommendations/${advice.id}`;
    const { sysctl, numatune } = advice.evidence.advised;
    after = await printed({ sysctl, numatune });
    before = await printed({});
  });
  afterAll(() => test.close());

  /** A host as it prints itself at the end of a simulation, with where its guests' memory is. */
  async function printed(settings: object): Promise<Record<string, unknown>> {
    const simulation = await client.post(`/v1/hosts/${hostId}/simulations`, settings, WAIT);
    const files = `/v1/simulations/${simulation.body.id}/files`;
    const texts: Record<string, unknown> = {
      sysctl: example('host/sysctl'),
      version: example('host/version'),
      nodeDistance: { 0: example('host/node0.distance'), 1: example('host/node1.distance') },
      nodeCpulist: { 0: example('host/node0.cpulist'), 1: example('host/node1.cpulist') },
    };
    for (const name of TEXTS) texts[name] = (await client.get(`${files}/${name}`)).text;
    const nodes = (await client.get(`${files}/node-meminfo`)).text;
    texts.nodeMeminfo = Object.fromEntries(
      ['0', '1'].map((id) => [
        id,
        nodes
          .split('\n')
          .filter((line) => line.startsWith(`Node ${id} `))
          .join('\n') + '\n',
      ]),
    );
    const guests = simulation.body.outcome.guests as Json[];
    const read = guests.map(async (guest) => {
      const { name } = guest;
      const advised = await client.get(`${path}/files/${name}.xml`);
      const xml = advised.status === 200 ? advised.text : example(`${name}.xml`);
      return [name, { ...numaMaps(guest), xml }];
    });
    texts.guests = Object.fromEntries(await Promise.all(read));
    return texts;
  }

  /** The same with another document of a guest, or none. */
  function withDocument(host: Record<string, unknown>, name: string, xml: string | undefined) {
    const guests = host.guests as Json;
    return { ...host, guests: { ...guests, [name]: { ...guests[name], xml } } };
  }

  function numaMaps({ memoryPages, pagesByNode }: Json): { numaMaps: string } {
    const onNodes = pagesByNode.map((node: Json) => `N${node.nodeId}=${node.pages}`).join(' ');
    const pages = pagesByNode.reduce((sum: number, node: Json) => sum + Number(node.pages), 0);
    expect(pages).toBe(memoryPages);
    return {
      numaMaps: `7f0000000000 default anon=${pages} dirty=${pages} ${onNodes} kernelpagesize_kB=4\n`,
    };
  }

  const verify = (body: unknown, query = '', headers = {}) =>
    client.post(`${path}/verify${query}`, body, headers);

  it('agrees with a host on which the advice was followed, node by node', async () => {
    const answer = await verify(after);
    expect([answer.status, answer.body.summary]).toEqual([
      201,
      'All 14 figures of 2 nodes and 4 guests are within their tolerance.',
    ]);
    const { verdict, nodes, guests, concludedState, settings } = answer.body;
    expect([verdict, concludedState]).toEqual(['AGREES', null]);
    expect(nodes.map((node: Json) => node.nodeId)).toEqual([0, 1]);
    const web1 = guests.find((guest: Json) => guest.name === 'web1');
    expect(web1.nodes[0]).toMatchObject({
      ...{ nodeId: 0, predictedPages: 262144, foundPages: 262144, differencePages: 0 },
      agrees: true,
    });
    for (const setting of settings) expect(setting.applied).toBe(true);
    expect(answer.headers.get('location')).toBe(`${path}/verifications/${answer.body.id}`);
    expect((await client.get(`${path}/verifications/${answer.body.id}`)).body).toEqual(answer.body);
    expect((await client.get(path)).body.stateInfo.state).toBe('ACTIVE');
  });

  it('does not agree where a guest runs without the pins of the advice, and names them', async () => {
    expect(Object.keys(advice.evidence.advised.pinning)).toEqual(['web2']);
    const documents = after.guests as Json;
    const unpinned = String(documents.web2.xml)
      .replace(/<cputune>[^]*<\/cputune>/, '')
      .replace(/<vcpu [^>]*>/, '<vcpu>');
    const everywhere = (await verify(withDocument(after, 'web2', unpinned))).body;
    // strict alone starts QEMU on the CPUs of its nodes.
    expect(everywhere.verdict).toBe('AGREES');
    const elsewhere = example('web2.xml').replace(
      "mode='preferred' nodeset='0'",
      "mode='strict' nodeset='1'",
    );
    const { body } = await verify(withDocument(after, 'web2', elsewhere));
    expect(body.verdict).toBe('NOT_APPLIED');
    expect(body.settings.filter((one: Json) => !one.applied)).toEqual([
      {
        ...{ name: "nodes of the CPUs of web2's vCPUs", advised: 'node 1', found: 'node 0' },
        applied: false,
      },
      {
        ...{ name: "nodes of the CPUs of web2's emulator", advised: 'node 1', found: 'node 0' },
        applied: false,
      },
    ]);
    const undocumented = (await verify(withDocument(after, 'web2', undefined))).body;
    expect(undocumented.verdict).toBe('INCOMPLETE');
    expect(undocumented.summary).toContain(
      'whether numatune of web2 and pins of web2 are as advised',
    );
    expect(undocumented.notCompared.map((one: Json) => one.what)).toEqual([
      'numatune of web2',
      'pins of web2',
    ]);
  });

  it('tells where a host differs on which nothing was changed', async () => {
    const { body } = await verify(before);
    expect(body.verdict).toBe('DIFFERS');
    expect(body.summary).toMatch(/beyond their tolerance, most of all/);
    const pagesOf = (candidate: Json, name: string, nodeId: number): number =>
      candidate.outcome.guests
        .find((guest: Json) => guest.name === name)
        .pagesByNode.find((node: Json) => node.nodeId === nodeId)?.pages ?? 0;
    const { baseline, advised } = advice.evidence;
    for (const { name, nodes } of body.guests) {
      for (const { nodeId, differencePages } of nodes) {
        const expected = pagesOf(baseline, name, nodeId) - pagesOf(advised, name, nodeId);
        expect([name, nodeId, differencePages]).toEqual([name, nodeId, expected]);
      }
    }
    expect(body.guests.some((guest: Json) => !guest.agrees)).toBe(true);
    const generous = await verify(before, '?tolerancePercent=100');
    expect(generous.body.verdict).toBe('AGREES');
  });

  it('names the node that differs, and by how much', async () => {
    const agreed = (await verify(after)).body;
    const { nodeMeminfo, meminfo, vmstat, ...rest } = after;
    expect([nodeMeminfo, meminfo, vmstat]).not.toContain(undefined);
    const lessPages = 50_000;
    const [head = '', node1 = ''] = String(after.zoneinfo).split(/(?=^Node 1, zone +Normal)/m);
    const changed = node1.replace(
      /(nr_(?:zone_)?inactive_file) (\d+)/g,
      (_all, name, pages) => `${name} ${Math.max(0, Number(pages) - lessPages)}`,
    );
    expect(changed).not.toBe(node1);
    const { body } = await verify({ ...rest, zoneinfo: head + changed });
    expect(body.verdict).toBe('DIFFERS');
    const [first, second] = body.nodes;
    expect([first.fileCache.agrees, second.fileCache.agrees]).toEqual([true, false]);
    expect(second.fileCache.foundPages).toBe(agreed.nodes[1].fileCache.foundPages - lessPages);
    expect(second.fileCache.differencePages).toBe(
      second.fileCache.foundPages - second.fileCache.predictedPages,
    );
    expect(body.summary).toContain('node 1');
  });

  it('says what was not gathered', async () => {
    const host = { ...after, guests: undefined };
    const { body } = await verify(host);
    expect(body.verdict).toBe('INCOMPLETE');
    expect(body.notCompared.map((one: Json) => one.what)).toEqual(
      expect.arrayContaining(['guest db1', 'guest web1', 'numatune of web1']),
    );
  });

  it('refuses what it cannot read, and stores nothing of it', async () => {
    const count = async () => (await client.get(`${path}/verifications`)).body.items.length;
    const stored = await count();
    const other = { ...after, guests: { web9: { numaMaps: '' } } };
    expect((await verify(other)).body.code).toBe('invalid-residency');
    const stranger = await verify(withDocument(after, 'web1', example('web2.xml')));
    expect([stranger.body.code, stranger.body.errors?.[0]?.path]).toEqual([
      'invalid-residency',
      'guests.web1.xml',
    ]);
    expect((await verify({ ...after, zoneinfo: 'Node 0, zone' })).body.code).toBe('invalid-facts');
    expect((await verify({ ...after, guests: { web1: 1 } })).body.code).toBe('validation-failed');
    expect((await verify(after, '?conclude=maybe')).body.code).toBe('validation-failed');
    const stale = await verify(after, '', { 'if-match': '"9"' });
    expect([stale.status, stale.body.code]).toEqual([412, 'stale-etag']);
    const nobody = '/v1/recommendations/00000000-0000-4000-8000-000000000000';
    expect((await client.post(`${nobody}/verify`, after)).body.code).toBe(
      'recommendation-not-found',
    );
    expect((await client.get(`${path}/verifications/x`)).body.code).toBe('verification-not-found');
    expect(await count()).toBe(stored);
  });

  it('judges what is hostile, or not of this host, without failing', async () => {
    const count = async () =>
      (await client.get(`${path}/verifications?limit=100`)).body.items.length;
    const stored = await count();
    const zoneinfo = String(after.zoneinfo);
    const guest = (numaMaps: string) => ({ ...after, guests: { web1: { numaMaps } } });
    const hostile: [body: object, code: string][] = [
      [
        { ...after, zoneinfo: zoneinfo.replace(/free (\s*)\d+/g, 'pages free -1') },
        'invalid-facts',
      ],
      [
        { ...after, zoneinfo: zoneinfo.replace(/managed +\d+/g, `managed ${'9'.repeat(40)}`) },
        'invalid-facts',
      ],
      [{ ...after, zoneinfo: '\0'.repeat(1000) }, 'invalid-facts'],
      [{ ...after, buddyinfo: 'Node 0, zone Normal 1e9' }, 'invalid-facts'],
      [{ ...after, nodeDistance: { 4096: '10' } }, 'invalid-facts'],
      [{ ...after, nodeMeminfo: { toString: 'x' } }, 'validation-failed'],
      [
        { ...after, guests: { __proto__: null, ['x'.repeat(5000)]: { numaMaps: '' } } },
        'validation-failed',
      ],
      [{ ...after, guests: { web1: { numaMaps: 1 } } }, 'validation-failed'],
      [{ ...after, guests: { web1: { numaMaps: '', shell: 'rm' } } }, 'validation-failed'],
      [{ ...after, guests: [] }, 'validation-failed'],
      [guest('7f0000000000 default anon=-5 N0=-5'), 'invalid-residency'],
      [guest(`7f0000000000 default anon=1 N0=${'9'.repeat(30)}`), 'invalid-residency'],
      [
        guest('7f0000000000 default anon=262144 N77=262144 kernelpagesize_kB=4'),
        'invalid-residency',
      ],
    ];
    const codes = [];
    for (const [body] of hostile) codes.push((await verify(body)).body.code);
    expect(codes).toEqual(hostile.map(([, code]) => code));
    for (const percent of ['-1', 'NaN', '1e999', '101']) {
      const answer = await verify(after, `?tolerancePercent=${percent}`);
      expect([percent, answer.status, answer.body.path]).toEqual([
        percent,
        400,
        'tolerancePercent',
      ]);
    }
    expect(await count()).toBe(stored);
  });

  it('holds only nodes that both have against each other', async () => {
    const zoneinfo = String(after.zoneinfo).split(/(?=^Node 1, zone)/m)[0];
    const { body } = await verify({
      zoneinfo,
      sysctl: after.sysctl,
      nodeCpulist: { 0: '0-1' },
      nodeDistance: { 0: '10' },
    });
    expect(body.nodes.map((node: Json) => node.nodeId)).toEqual([0]);
    expect(body.notCompared.map((one: Json) => one.what)).toContain('node 1');
    expect(body.verdict).not.toBe('AGREES');
  });

  it('concludes a claimed recommendation when it is asked to', async () => {
    const early = await verify(after, '?conclude=true', { 'if-match': '*' });
    expect([early.status, early.body.code]).toEqual([409, 'invalid-state-transition']);
    const claimed = await client.send('PATCH', path, { state: 'CLAIMED' }, { 'if-match': '"1"' });
    expect(claimed.body.etag).toBe('"2"');
    const blind = await verify(after, '?conclude=true');
    expect([blind.status, blind.body.code]).toEqual([428, 'if-match-required']);
    const host = { ...after, guests: undefined };
    const open = await verify(host, '?conclude=true', { 'if-match': '"2"' });
    expect([open.body.verdict, open.body.concludedState]).toEqual(['INCOMPLETE', null]);
    const done = await verify(after, '?conclude=true', { 'if-match': '"2"' });
    expect([done.body.verdict, done.body.concludedState]).toEqual(['AGREES', 'SUCCEEDED']);
    expect(done.headers.get('etag')).toBe('"3"');
    const { stateInfo, evidence } = (await client.get(path)).body;
    expect(stateInfo.state).toBe('SUCCEEDED');
    expect(evidence).toEqual(advice.evidence);
    const { items } = (await client.get(`${path}/verifications`)).body;
    expect(items.at(-1)).toMatchObject({ id: done.body.id, concludedState: 'SUCCEEDED' });
  });
});
