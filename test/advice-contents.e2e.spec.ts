/** What a stored recommendation holds, over HTTP: the ways to move a running guest, and what no later change touches. */
import { serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';
import { recordedBody } from './support/facts';

const WAIT = { prefer: 'wait=60' };
const XML = { 'content-type': 'application/xml' };

// Advice is replayed, and each route again.
jest.setTimeout(180_000);

describe('a stored recommendation', () => {
  let test: TestApp;
  let client: Client;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
  });
  afterAll(() => test.close());

  const advise = async (hostId: string): Promise<Json> => {
    const answer = await client.post(`/v1/hosts/${hostId}/recommendations`, {}, WAIT);
    expect([answer.status, answer.body.code]).toEqual([201, undefined]);
    return answer.body;
  };
  const filesOf = async (advice: Json): Promise<Record<string, string>> => {
    const path = `/v1/recommendations/${advice.id}/files`;
    const texts: Record<string, string> = {};
    for (const { name } of (await client.get(path)).body.items) {
      texts[name] = (await client.get(`${path}/${name}`)).text;
    }
    return texts;
  };

  it('says with units what matters most, with counters before and after, and what it takes to apply', async () => {
    const hostId = await client.storeExample('complete');
    const { priority, primaryImpact, additionalImpact, content, evidence } = await advise(hostId);
    expect(priority).toMatch(/^P[1-4]$/);
    for (const { unit } of [primaryImpact, ...additionalImpact]) expect(unit).toMatch(/\w/);
    for (const { requiresRestart, reason } of content.operationGroups.flatMap(
      (group: Json) => group.operations,
    )) {
      // All of the changed guests are planned.
      expect(requiresRestart).toBe(false);
      expect(reason).toMatch(/\d/);
    }
    const { before, after, baseline, advised, alternatives, margin } = evidence;
    for (const [shown, { outcome }] of [
      [before, baseline],
      [after, advised],
    ]) {
      const { pgsteal_kswapd = 0, pgsteal_direct = 0 } = shown.counters.vmstat;
      const { kswapdReclaimedPages, directReclaimedPages, nodeReclaimedPages } = outcome;
      const reclaimed = kswapdReclaimedPages + directReclaimedPages + nodeReclaimedPages;
      expect(pgsteal_kswapd + pgsteal_direct).toBe(reclaimed);
      expect(shown.counters.numastat.map((node: Json) => node.nodeId)).toEqual([0, 1]);
    }
    expect(after.counters.vmstat.pgsteal_kswapd).toBeGreaterThan(0);
    expect(margin.verdict).toContain(`${margin.flipsAtPercent ?? margin.testedPercent} %`);
    expect(alternatives.length).toBeGreaterThan(3);
    for (const { whyNot } of alternatives) expect(whyNot).toMatch(/\d/);
  });

  describe('about a running guest away from its CPUs', () => {
    let hostId: string;
    let advice: Json;
    let routes: Record<string, Json>;
    const db1 = example('db1.xml')
      .replaceAll("cpuset='2-3'", "cpuset='0-1'")
      .replace("nodeset='1'", "nodeset='0'");

    beforeAll(async () => {
      hostId = await client.storeHost('away');
      const form = new FormData();
      form.append('xml', new Blob([db1]), 'db1.xml');
      form.append('numaMaps', new Blob([example('host/guest.db1.numa_maps')]), 'numa_maps');
      const path = `/v1/hosts/${hostId}/domains/db1?state=running`;
      expect((await client.send('PUT', path, form)).status).toBe(201);
      advice = await advise(hostId);
      expect(advice.routes.map((one: Json) => [one.guest, one.awayPages])).toEqual([
        ['db1', 196608],
      ]);
      routes = Object.fromEntries(advice.routes[0].routes.map((one: Json) => [one.kind, one]));
    });

    /** What a replay finds near the CPUs for as much memory, started with this numatune. */
    const replayed = async (memoryKib: number, numatune: string): Promise<Json> => {
      const xml = db1
        .replace('<name>db1</name>', '<name>moved</name>')
        .replace(/<uuid>.*<\/uuid>/, '')
        .replaceAll('>786432<', `>${memoryKib}<`)
        .replace("mode='preferred'", `mode='${numatune}'`);
      const path = `/v1/hosts/${hostId}/domains/moved`;
      expect((await client.send('PUT', path, xml, XML)).status).toBeLessThan(300);
      const { sysctl } = advice.evidence.advised;
      const answer = await client.post(`/v1/hosts/${hostId}/simulations`, { sysctl }, WAIT);
      expect(answer.status).toBe(201);
      await client.send('DELETE', path);
      const { guests, oomKills } = answer.body.outcome;
      const moved = guests.find((guest: Json) => guest.name === 'moved');
      const near = moved.pagesByNode.find((node: Json) => node.nodeId === 0);
      return { nearPages: near.pages, oomKills };
    };

    it('says where its pages stay, and that nothing of the advice moves them', () => {
      const [{ guest, nodeId, pages, message }] = advice.immovable;
      expect([guest, nodeId, pages]).toEqual(['db1', 1, 196608]);
      expect(message).toContain('no setting moves pages that are already there');
    });

    it('migratepages gains what a replay finds for it', async () => {
      const { gainPages, commands } = routes['migrate-pages'];
      expect(gainPages).toBe(196608);
      expect(commands[0]).toMatch(/^migratepages "\$\(cat \/run\/libvirt\/qemu\/db1\.pid\)" 1 0$/);
      expect(await replayed(gainPages * 4, 'strict')).toEqual({
        nearPages: gainPages,
        oomKills: [],
      });
    });

    it('a restart gains what a replay of the start finds', async () => {
      const { gainPages } = routes.restart;
      const { nearPages, oomKills } = await replayed(786432, 'preferred');
      expect(oomKills).toEqual([]);
      // Up to 8 MiB stay in per-CPU lists, page tables and blocks of another order.
      expect(Math.abs(nearPages - gainPages)).toBeLessThanOrEqual(2048);
    });

    it('virsh numatune --live gains nothing where it was not started restrictive', () => {
      expect(routes.live).toMatchObject({ possible: false, gainPages: 0, commands: [] });
    });

    it('has the ways in a script that does nothing by itself', async () => {
      const script = (await filesOf(advice))['apply-live.sh'] ?? '';
      for (const { message, possible, commands } of Object.values(routes)) {
        expect(script).toContain(message);
        for (const command of possible ? commands : []) expect(script).toContain(`# ${command}`);
      }
      const active = script.split('\n').filter((line) => !/^(#|$)/.test(line));
      expect(active).toEqual(['set -eu', 'exit 0']);
    });
  });

  it('stays as it is once it is claimed, whatever becomes of its host and guests', async () => {
    const hostId = await client.storeExample('claimed');
    const advice = await advise(hostId);
    const path = `/v1/recommendations/${advice.id}`;
    const files = await filesOf(advice);
    const patch = (body: object, etag = '*') =>
      client.send('PATCH', path, body, { 'if-match': etag });
    const claimed = await patch({ state: 'CLAIMED' }, advice.etag);
    expect(claimed.status).toBe(200);

    for (const change of [{ content: {} }, { evidence: {} }, { priority: 'P1' }, { files: [] }]) {
      const { status, body } = await patch({ state: 'SUCCEEDED', ...change });
      const [field] = Object.keys(change);
      expect([status, body.code, body.path]).toEqual([400, 'validation-failed', field]);
    }
    const { name, ...texts } = recordedBody('again');
    void name;
    const again = await client.post(`/v1/hosts/${hostId}/snapshots`, {
      ...texts,
      sysctl: 'vm.zone_reclaim_mode = 1\n',
    });
    expect(again.status).toBe(201);
    const xml = example('web1.xml').replace(/(<memory unit='KiB'>)\d+/, '$1524288');
    await client.send('PUT', `/v1/hosts/${hostId}/domains/web1`, xml, { ...XML, 'if-match': '*' });
    await client.send('DELETE', `/v1/hosts/${hostId}/domains/job1`);

    const { body: now } = await client.get(path);
    const { stateInfo, etag, updatedAt, lastRefreshTime, ...rest } = now;
    void updatedAt;
    void lastRefreshTime;
    expect([stateInfo.state, etag]).toEqual(['CLAIMED', claimed.body.etag]);
    expect(advice).toMatchObject(rest);
    expect(await filesOf(advice)).toEqual(files);
  });
});
