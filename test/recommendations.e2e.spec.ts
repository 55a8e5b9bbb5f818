import { buildGuestSpec } from '@zonewise/plan';
import { parseDomain } from '@zonewise/libvirt-xml';
import { serveTestApp, TestApp } from './support/app';
import { Client, example, Json } from './support/client';

/** Nodes whose CPUs run the vCPUs of a document on a host. */
function cpuNodesOf(xml: string, model: Json): number[] {
  const parsed = parseDomain(xml);
  const spec = parsed.ok ? buildGuestSpec(parsed.value, model, { state: 'planned' }) : parsed;
  if (!spec.ok) throw new Error(JSON.stringify(spec.problems));
  return [...new Set(spec.value.guest.regions.flatMap(({ cpuNodes }) => cpuNodes))];
}

describe('recommendations over HTTP', () => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let advice: Json;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp());
    hostId = await client.storeExample('advised');
    const path = `/v1/hosts/${hostId}/recommendations`;
    const answer = await client.post(path, {}, { prefer: 'wait=60' });
    expect([answer.status, answer.body.code]).toEqual([201, undefined]);
    expect(answer.headers.get('location')).toBe(`/v1/recommendations/${answer.body.id}`);
    advice = answer.body;
  });
  afterAll(() => test.close());

  it('changes something and shows by replays that it is better', () => {
    expect(advice.name).toBe(`hosts/${hostId}/recommendations/${advice.id}`);
    const operations = advice.content.operationGroups.flatMap((group: Json) => group.operations);
    expect(operations.length).toBeGreaterThan(0);
    for (const { reason } of operations) expect(reason).toMatch(/\d/);
    const { baseline, advised, alternatives } = advice.evidence;
    expect(advised.outcome.remoteShare).toBeLessThan(baseline.outcome.remoteShare);
    expect(advised.outcome.oomKills).toEqual([]);
    for (const { whyNot } of alternatives) expect(whyNot).toMatch(/\S/);
    expect(advice.stateInfo).toEqual({ state: 'ACTIVE', stateMetadata: {} });
  });

  it('has files that apply it and take it back', async () => {
    const { items } = (await client.get(`/v1/recommendations/${advice.id}/files`)).body;
    expect(items).toEqual(advice.files);
    const hostModel = (await client.get(`/v1/hosts/${hostId}`)).body.model;
    expect(Object.keys(advice.evidence.advised.pinning)).toEqual(['web2']);
    const text = async (name: string) =>
      (await client.get(`/v1/recommendations/${advice.id}/files/${name}`)).text;
    for (const { name, domain, purpose, bytes } of items) {
      const content = await text(name);
      expect(Buffer.byteLength(content)).toBe(bytes);
      if (name.endsWith('.conf')) expect(content).toMatch(/^(# )?vm\.zone_reclaim_mode = \d/m);
      else if (name.endsWith('.sh')) expect(content).toMatch(/^#!\/bin\/sh\n/);
      else if (purpose === 'rollback') expect(content).toBe(example(`${domain}.xml`));
      else if (purpose === 'apply') {
        const advised = advice.evidence.advised.numatune[domain];
        const parsed = parseDomain(content);
        const memory = parsed.ok ? parsed.value.numatune.memory : null;
        expect(memory).toMatchObject(advised);
        const pinned = advice.evidence.advised.pinning?.[domain];
        if (pinned !== undefined) expect(cpuNodesOf(content, hostModel)).toEqual(pinned.nodes);
      } else expect(content).toContain('numatune');
    }
    const changed = advice.content.operationGroups
      .flatMap((group: Json) => group.operations)
      .map((operation: Json) =>
        operation.resourceType === 'sysctl' ? undefined : operation.resource,
      );
    // The settings file is always there: it also tells what the advice rests on.
    expect(new Set(items.map((file: Json) => file.domain))).toEqual(
      new Set([...changed, undefined]),
    );
    const missing = await client.get(`/v1/recommendations/${advice.id}/files/nothing.xml`);
    expect([missing.status, missing.body.code]).toEqual([404, 'file-not-found']);
  });

  it('is listed without its evidence', async () => {
    const { body } = await client.get(`/v1/hosts/${hostId}/recommendations`);
    // Its alternatives follow.
    expect(body.items[0].id).toBe(advice.id);
    for (const item of body.items) expect(item.xorGroupId).toBe(advice.xorGroupId);
    expect(body.items[0].evidence).toBeUndefined();
    expect(body.items[0].files).toEqual(advice.files);
  });

  it('moves through its states under If-Match', async () => {
    const path = `/v1/recommendations/${advice.id}`;
    const patch = (state: string, etag = '*', more = {}) =>
      client.send('PATCH', path, { state, ...more }, { 'if-match': etag });
    const first = await client.get(path);
    expect(first.headers.get('etag')).toBe('"1"');
    expect((await client.get(path, { 'if-none-match': '"1"' })).status).toBe(304);

    const blind = await client.send('PATCH', path, { state: 'DISMISSED' });
    expect([blind.status, blind.body.code]).toEqual([428, 'if-match-required']);
    expect(blind.headers.get('etag')).toBe('"1"');
    const dismissed = await patch('DISMISSED', '"1"');
    expect([dismissed.status, dismissed.headers.get('etag')]).toEqual([200, '"2"']);
    const stale = await patch('ACTIVE', '"1"');
    expect([stale.status, stale.body.code]).toEqual([412, 'stale-etag']);
    expect((await patch('ACTIVE')).body.stateInfo.state).toBe('ACTIVE');
    const early = await patch('SUCCEEDED');
    expect([early.status, early.body.code]).toEqual([409, 'invalid-state-transition']);
    const claimed = await patch('CLAIMED', '"3"', { stateMetadata: { ticket: 'OPS-1' } });
    expect(claimed.body.stateInfo).toEqual({
      state: 'CLAIMED',
      stateMetadata: { ticket: 'OPS-1' },
    });
    expect((await patch('SUCCEEDED')).body.etag).toBe('"5"');
    expect((await patch('ACTIVE')).status).toBe(409);
    expect((await patch('SOLD')).body.code).toBe('validation-failed');
    expect((await patch('ACTIVE', undefined, { stateMetadata: { a: 1 } })).status).toBe(400);
    expect((await client.get(path)).body.evidence).toEqual(first.body.evidence);
  });

  it('knows no other ids', async () => {
    const nobody = '/v1/recommendations/00000000-0000-4000-8000-000000000000';
    for (const path of [nobody, `${nobody}/files`, `${nobody}/files/x`, '/v1/recommendations/x']) {
      const answer = await client.get(path);
      expect([answer.status, answer.body.code]).toEqual([404, 'recommendation-not-found']);
    }
  });
});
