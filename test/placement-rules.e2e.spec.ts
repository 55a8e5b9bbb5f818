/** What a request for a placement asks of hosts besides room: near nodes, what is reserved, and groups. */
import { join } from 'node:path';
import { exampleTexts } from '../apps/api/src/docs/examples';
import { readFactsFolder } from '../apps/cli/src/gate/plan-file';
import { serveTestApp, TestApp } from './support/app';
import { Client, Json } from './support/client';
import { domainXml } from './support/facts';

const FIXTURES = join(__dirname, '..', 'libs', 'host-facts', 'test', 'fixtures');
const PAGES_PER_MIB = 256;

describe('rules of a placement over HTTP', () => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
  });
  afterAll(() => test.close());

  /** The answer, and no problem. */
  async function place(body: object): Promise<Json> {
    const { status, body: answer } = await client.post('/v1/placements', body);
    expect([status, answer.code]).toEqual([200, undefined]);
    return answer;
  }

  describe('objective', () => {
    // Four nodes of 512 MiB and a CPU; 0 and 1 are near to each other, and so are 2 and 3.
    const facts = readFactsFolder(join(FIXTURES, '6.12-L07-4n-512-dist'));
    const cells = [0, 1].map((id) => `<cell id='${id}' cpus='${id}' memory='300' unit='MiB'/>`);
    const xml = `<domain type='kvm'><name>db</name><memory unit='MiB'>600</memory><vcpu>2</vcpu>
      <os><type arch='x86_64' machine='q35'>hvm</type></os>
      <cpu><numa>${cells.join('')}</numa></cpu></domain>`;
    // What is there leaves node 1 too little: node 0 has no near node left.
    const there = domainXml(
      'cache',
      250,
      "<numatune><memory mode='strict' nodeset='1'/></numatune>",
    );
    const hosts = [{ name: 'four', facts, domains: [{ xml: there }] }];
    const body = { hosts, guests: [{ xml }] };

    it('locality binds the cells of a guest to near nodes, which density does not look at', async () => {
      const { model } = (await client.post('/v1/hosts/import', { name: 'four', ...facts })).body;
      const apart = ({ hostNodes: [a, b] }: Json): number => model.distances[a][b];
      const [near] = (await place({ ...body, objective: 'locality' })).placements;
      const [dense] = (await place(body)).placements;
      expect(apart(near)).toBe(16);
      expect(apart(dense)).toBeGreaterThan(16);
      for (const { hostNodes, numatune, evidence } of [near, dense]) {
        const cellOf = (cellid: number) =>
          expect.objectContaining({ cellid, mode: 'strict', nodeset: [hostNodes[cellid]] });
        expect(numatune.memnodes).toEqual([cellOf(0), cellOf(1)]);
        const used = evidence.pagesByNode.filter(({ pages }: Json) => pages > 0);
        expect(used).toEqual(
          [...hostNodes].sort().map((nodeId) => ({ nodeId, pages: 300 * PAGES_PER_MIB })),
        );
      }
    });

    it('is told in the answer, and has to be one', async () => {
      expect((await place(body)).objective).toBe('density');
      expect((await place({ ...body, objective: 'locality' })).objective).toBe('locality');
      const { status, body: problem } = await client.post('/v1/placements', {
        ...{ ...body, objective: 'near' },
      });
      expect([status, problem.errors[0].path]).toEqual([400, 'objective']);
      expect(problem.errors[0].message).toContain('locality');
    });
  });

  describe('reserved', () => {
    const facts = exampleTexts();
    const ask = (vcpus: number, reserved: object | undefined, over: object = {}) => ({
      hosts: [{ name: 'kvm1', facts, ...(reserved === undefined ? {} : { reserved }) }],
      flavours: { db: { memoryMib: 1024, vcpus } },
      guests: [{ name: 'db', flavour: 'db' }],
      ...over,
    });

    it('memory of each node is not given to guests, page for page', async () => {
      expect((await place(ask(1, undefined))).placements).toHaveLength(1);
      expect((await place(ask(1, { memoryMib: 64 }))).placements).toHaveLength(1);
      const shortfall = async (memoryMib: number): Promise<number> => {
        const { placements, refused } = await place(ask(1, { memoryMib }));
        expect(placements).toEqual([]);
        expect(refused).toMatchObject([{ guest: 'db', host: 'kvm1', code: 'memory' }]);
        return refused[0].shortfallPages;
      };
      const [less, more] = [await shortfall(3000), await shortfall(3100)];
      expect(less).toBeGreaterThan(0);
      expect(more - less).toBe(100 * PAGES_PER_MIB);
    });

    it('CPUs of each node are not given to guests, whatever the ratio', async () => {
      // Two CPUs on each of two nodes.
      const one = { cpuAllocationRatio: 1 };
      const nodesOf = async (body: object): Promise<number[]> =>
        (await place(body)).placements.flatMap(({ hostNodes }: Json) => hostNodes);
      expect(await nodesOf(ask(2, undefined, one))).toHaveLength(1);
      expect(await nodesOf(ask(2, { cpus: 1 }, one))).toEqual([0, 1]);
      expect(await nodesOf(ask(2, { cpus: 1 }, { cpuAllocationRatio: 2 }))).toHaveLength(1);
      expect(await nodesOf(ask(4, undefined, one))).toEqual([0, 1]);
      const { placements, refused } = await place(ask(4, { cpus: 1 }, one));
      expect(placements).toEqual([]);
      expect(refused).toMatchObject([{ guest: 'db', host: 'kvm1', code: 'vcpus' }]);
      expect((await place(ask(1, { cpus: 2 }))).refused).toHaveLength(1);
    });

    it.each([
      ['negative memory', { memoryMib: -1 }, 'hosts[0].reserved.memoryMib'],
      ['CPUs that are no number', { cpus: 'two' }, 'hosts[0].reserved.cpus'],
      ['an unknown field', { pages: 1 }, 'hosts[0].reserved.pages'],
    ])('refuses %s', async (_what, reserved, path) => {
      const { status, body } = await client.post('/v1/placements', ask(1, reserved));
      expect([status, body.code, body.errors[0].path]).toEqual([400, 'validation-failed', path]);
    });
  });

  describe('groups of hosts', () => {
    const facts = exampleTexts();
    const hosts = [
      { name: 'kvm1', facts, group: 'rack-a' },
      { name: 'kvm2', facts, group: 'rack-b' },
      { name: 'kvm3', facts },
    ];
    const flavours = { small: { memoryMib: 64 } };
    const into = (...groups: (string[] | undefined)[]) => ({
      ...{ hosts, flavours },
      guests: groups.map((hostGroups, i) => ({
        ...{ name: `g${i}`, flavour: 'small' },
        ...(hostGroups === undefined ? {} : { hostGroups }),
      })),
    });
    const hostsOf = ({ placements }: Json): string[] =>
      placements.map(({ guest, host }: Json) => `${guest} ${host}`);

    it('take the guests that name them, and no others are asked', async () => {
      // All of them fit on one host, and density would put them there.
      expect(
        new Set(hostsOf(await place(into(undefined, undefined))).map((one) => one.slice(3))),
      ).toHaveProperty('size', 1);
      const answer = await place(into(['rack-a'], ['rack-b'], ['rack-b', 'none']));
      expect(hostsOf(answer)).toEqual(['g0 kvm1', 'g1 kvm2', 'g2 kvm2']);
      expect(answer.refused).toEqual([]);
    });

    it('a guest whose groups nobody is in is refused, and says of each host why', async () => {
      const answer = await place(into(['rack-c'], ['rack-a']));
      expect(hostsOf(answer)).toEqual(['g1 kvm1']);
      expect(answer.refused).toMatchObject([{ guest: 'g0', code: 'host-group' }]);
      const empty = await place(into([]));
      expect(empty.refused).toMatchObject([{ guest: 'g0', code: 'host-group' }]);
    });

    it('are kept where a host of the group is full', async () => {
      const full = hosts.map((host) =>
        host.name === 'kvm1' ? { ...host, reserved: { memoryMib: 8192 } } : host,
      );
      const answer = await place({ ...into(['rack-a'], undefined), hosts: full });
      expect(answer.refused).toMatchObject([{ guest: 'g0', host: 'kvm1', code: 'memory' }]);
      expect(hostsOf(answer)).toEqual([expect.stringMatching(/^g1 kvm[23]$/)]);
    });

    it.each([
      ['a text instead of a list', 'rack-a'],
      ['an empty name', ['']],
      ['a number', [1]],
    ])('refuses %s', async (_what, hostGroups) => {
      const body = into(hostGroups as string[]);
      const { status, body: problem } = await client.post('/v1/placements', body);
      expect([status, problem.errors[0].path]).toEqual([400, 'guests[0].hostGroups']);
    });
  });
});
