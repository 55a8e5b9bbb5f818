/** What a recommendation carries and how it may be asked for, on the recorded host. */
import { join } from 'node:path';
import { advise } from '@zonewise/advisor';
import { planRequests } from '@zonewise/plan';
import { readPlanFile } from '../apps/cli/src/gate/plan-file';
import { databaseKinds, serveTestApp, TestApp } from './support/app';
import { Client, Json } from './support/client';
import { recordedBody } from './support/facts';

const WAIT = { prefer: 'wait=60' };
/** As it crosses HTTP. */
const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value));

describe.each(databaseKinds('advice'))('advice on %s', (kind) => {
  let test: TestApp;
  let client: Client;
  let hostId: string;
  let advice: Json;

  beforeAll(async () => {
    ({ test, client } = await serveTestApp({ kind }));
    hostId = await client.storeExample('explained');
    const answer = await client.post(`/v1/hosts/${hostId}/recommendations`, {}, WAIT);
    expect([answer.status, answer.body.code]).toEqual([201, undefined]);
    advice = answer.body;
  });
  afterAll(() => test.close());

  const ask = (options: object, id = hostId) =>
    client.post(`/v1/hosts/${id}/recommendations`, { options }, WAIT);

  it('says what it gains with units, and what it rests on', () => {
    const { primaryImpact, additionalImpact, associatedInsights, evidence } = advice;
    expect(primaryImpact).toMatchObject({
      ...{ category: 'PERFORMANCE', measure: 'remote-memory', unit: 'percent' },
      after: Math.round(evidence.advised.outcome.remoteShare * 1e5) / 1e3,
    });
    expect(primaryImpact.before).toBeGreaterThan(primaryImpact.after);
    for (const { before, after } of additionalImpact) expect(before).not.toBe(after);
    expect(associatedInsights[0]).toMatchObject({
      ...{ name: `hosts/${hostId}/snapshots/1`, insightSubtype: 'HOST_SNAPSHOT' },
    });
    expect(associatedInsights.length).toBeGreaterThan(1);
  });

  it('is what zonewise advise answers for a plan of the same host and guests', () => {
    const built = planRequests(readPlanFile(join(__dirname, '../examples/plan.yaml')).document);
    if (!built.ok) throw new Error(JSON.stringify(built.problems));
    const [{ request }] = built.value as [(typeof built.value)[number]];
    const { evidence, ...local } = advise({ ...request, demand: {} });
    const names = Object.keys(local).filter((name) => name !== 'exclusive');
    for (const name of names) expect([name, advice[name]]).toEqual([name, plain(local)[name]]);
    const { risks, ...rest } = plain(evidence);
    expect(advice.evidence).toMatchObject(rest);
    // Only what is stored can drift.
    const others = advice.evidence.risks.filter((risk: Json) => risk.kind !== 'drift');
    expect(others).toEqual(risks);
  });

  it('shows both replays step by step, and why memory went where it went', () => {
    const { before, after, baseline, advised } = advice.evidence;
    for (const [shown, candidate] of [
      [before, baseline],
      [after, advised],
    ]) {
      expect(shown.stateHash).toBe(candidate.outcome.stateHash);
      expect(shown.series.map((point: Json) => point.label)).toEqual([
        ...['before the first step', 'web1 starts', 'web2 starts', 'job1 starts'],
        'after the last guest',
      ]);
      const last = shown.series.at(-1);
      for (const { nodeId, ...node } of candidate.outcome.nodes) {
        const seen = last.nodes.find((one: Json) => one.nodeId === nodeId);
        expect({ nodeId, ...node }).toMatchObject(seen);
      }
    }
    const web1 = before.causes.filter((cause: Json) => cause.guest === 'web1');
    expect(web1.map((cause: Json) => cause.code)).toEqual([
      ...['node-below-mark', 'cache-left-alone', 'memory-away'],
    ]);
    const { freePages, neededPages } = web1[0].figures;
    expect(freePages).toBeLessThanOrEqual(neededPages);
    expect(web1[0].text).toContain(freePages.toLocaleString('en-US'));
    expect(web1[1].text).toContain('zone_reclaim_mode is 0');
    const awayPages = baseline.outcome.guests
      .find((guest: Json) => guest.name === 'web1')
      .pagesByNode.find((node: Json) => node.nodeId === 1).pages;
    expect(web1[2].figures.awayPages).toBe(awayPages);
  });

  it('says where the others came short, and what could make it wrong', () => {
    const { shortfall } = advice.evidence.baseline;
    expect(shortfall).toMatchObject({ guest: 'web1', nodeId: 0, mark: 'low' });
    expect(shortfall.shortPages).toBe(
      Math.max(0, shortfall.markPages + 2 ** shortfall.order - shortfall.freePages),
    );
    const kinds = advice.evidence.risks.map((risk: Json) => risk.kind);
    expect(kinds).toEqual(expect.arrayContaining(['pace', 'drift']));
  });

  it('has alternatives that exclude it, of which one can be claimed', async () => {
    const group = `/v1/hosts/${hostId}/recommendations?xorGroupId=${advice.xorGroupId}`;
    const { items } = (await client.get(group)).body;
    expect(items.map((item: Json) => item.id)).toContain(advice.id);
    expect(items.length).toBeGreaterThan(1);
    const other = items.find((item: Json) => item.id !== advice.id);
    const move = (id: string, state: string) =>
      client.send('PATCH', `/v1/recommendations/${id}`, { state }, { 'if-match': '*' });
    const files = (await client.get(`/v1/recommendations/${other.id}/files`)).body.items;
    expect(files.map((file: Json) => file.name)).toEqual(
      expect.arrayContaining(['apply.sh', 'rollback.sh']),
    );
    // Of two claims at the same time one wins.
    const both = await Promise.all([move(advice.id, 'CLAIMED'), move(other.id, 'CLAIMED')]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    const [winner, loser] = both[0].status === 200 ? [advice, other] : [other, advice];
    const refused = await move(loser.id, 'CLAIMED');
    expect([refused.status, refused.body.code]).toEqual([409, 'alternative-claimed']);
    expect(refused.body.detail).toContain(winner.id);
    expect((await move(loser.id, 'DISMISSED')).status).toBe(200);
    expect((await move(loser.id, 'ACTIVE')).status).toBe(200);
    expect((await move(winner.id, 'FAILED')).status).toBe(200);
    expect((await move(loser.id, 'CLAIMED')).status).toBe(200);
    const claimed = (await client.get(`${group}&state=CLAIMED`)).body.items;
    expect(claimed.map((item: Json) => item.id)).toEqual([loser.id]);
  });

  it('takes profiles and constraints, and keeps to them', async () => {
    const constraints = { pinnedGuests: ['web1'], fixedSysctls: ['zone_reclaim_mode'] };
    const { status, body } = await ask({ profile: 'locality', constraints });
    expect(status).toBe(201);
    expect(body.basis.options).toEqual({ profile: 'locality', constraints });
    expect(body.evidence.search.profile).toBe('locality');
    expect(advice.evidence.advised.numatune.web1).toBeDefined();
    expect(body.evidence.advised.numatune.web1).toBeUndefined();
    expect(body.evidence.advised.sysctl.zone_reclaim_mode).toBeUndefined();
  });

  it('answers with a type where there is nothing to advise', async () => {
    const problem = async (answer: ReturnType<typeof ask>) => {
      const { status, body } = await answer;
      return [status, body.code, body.errors?.[0]?.code];
    };
    const { body } = await client.post('/v1/hosts/import', recordedBody('empty'));
    expect(await problem(ask({}, body.id))).toEqual([422, 'advice-not-possible', 'no-guests']);
    const contradictory = [422, 'advice-not-possible', 'contradictory-constraints'];
    expect(await problem(ask({ constraints: { forbiddenNodes: [0, 1] } }))).toEqual(contradictory);
    const unknown = ask({ constraints: { pinnedGuests: ['web9'] } });
    expect(await problem(unknown)).toEqual([422, 'invalid-simulation-request', 'unknown-guest']);
    for (const options of [
      { profile: 'fast' },
      { weights: { remote: -1 } },
      { weights: { speed: 1 } },
      { constraints: { forbiddenNodes: [-1] } },
      { budget: { replaysMax: 0 } },
      [],
    ]) {
      expect((await ask(options)).body.code).toBe('validation-failed');
    }
    expect((await ask({ weights: { remote: 0 } })).body.code).toBe('invalid-simulation-request');
  });

  it('tells how the host has changed since', async () => {
    const path = `/v1/recommendations/${advice.id}/drift`;
    const now = (await client.get(path)).body;
    expect(now).toMatchObject({ snapshot: 1, latestSnapshot: 1, comparison: null });
    const texts: Record<string, unknown> = { ...recordedBody('again'), name: undefined };
    const meminfo = String(texts.zoneinfo).replace(/nr_free_pages (\d+)/, (_all, pages) => {
      return `nr_free_pages ${Number(pages) - 256}`;
    });
    await client.post(`/v1/hosts/${hostId}/snapshots`, { ...texts, zoneinfo: meminfo });
    const later = (await client.get(path)).body;
    expect(later).toMatchObject({ snapshot: 1, latestSnapshot: 2, changedDomains: [] });
    expect(later.comparison.to.number).toBe(2);
    const nobody = '/v1/recommendations/00000000-0000-4000-8000-000000000000/drift';
    expect((await client.get(nobody)).body.code).toBe('recommendation-not-found');
  });
});
