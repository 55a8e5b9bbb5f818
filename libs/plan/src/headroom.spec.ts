import { headroom, type HeadroomAnswer, type HeadroomAsk } from './headroom';
import { domainXmlOf } from './flavour';
import { buildPlanRequest, type PackingPlan } from './plan-request';
import { judgePlan } from './judge';
import { twoNodes } from './test/two-nodes';

const host = twoNodes();

function requestOf(plan: Partial<PackingPlan> = {}) {
  const built = buildPlanRequest({ host, domains: [], ...plan }, true);
  if (!built.ok) throw new Error(JSON.stringify(built.problems));
  return built.value.request;
}

function answer(ask: HeadroomAsk, plan: Partial<PackingPlan> = {}): HeadroomAnswer {
  const outcome = headroom(requestOf(plan), ask);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}

const small = { small: { memoryMib: 100 } };

it('counts guests by node and in total, and names zone, mark and shortfall of the one too many', () => {
  const { flavours, replays } = answer({ flavours: small });
  const [{ total, nodes }] = flavours as [(typeof flavours)[0]];
  expect(nodes.map(({ node }) => node)).toEqual([0, 1]);
  for (const count of nodes) {
    expect(count.guests).toBe(3);
    expect(count.endedBy).toMatchObject({ node: count.node, zone: 'DMA32', mark: { name: 'min' } });
    expect(count.endedBy.code).toMatch(/^(failed-start|oom-kill)$/);
    expect(count.endedBy.shortfallPages).toBeGreaterThan(0);
    expect(count.byAddingUp.endedBy).toMatchObject({ code: 'memory', mark: { name: 'low' } });
  }
  expect(total.guests).toBeGreaterThanOrEqual(6);
  expect(total.endedBy.message).toMatch(/small #\d/);
  expect(replays).toBe(1 + total.replays + nodes[0]!.replays + nodes[1]!.replays);
});

it('is what the gate says of one guest more and of one more than that', () => {
  const { guests } = answer({ flavours: small }).flavours[0]!.nodes[0]!;
  const verdictOf = (count: number): string => {
    const bound = { memoryMib: 100, numatune: { mode: 'strict' as const, nodeset: '0' } };
    const outcome = judgePlan(
      {
        hosts: [{ name: 'kvm1', path: '/hosts/0', host }],
        guests: [{ name: 'a', flavour: 'bound', count, path: '/guests/0' }],
        flavours: { bound: { ...bound, cpuset: '0-1' } },
      },
      { today: '2027-01-01', modelVersion: '0' },
    );
    return outcome.ok ? outcome.value.verdict : 'refused';
  };
  expect([verdictOf(guests), verdictOf(guests + 1)]).toEqual(['pass', 'fail']);
});

it('takes off what the guests of the host have, and adds nothing where they fail already', () => {
  const guest = (memoryMib: number) => ({
    xml: domainXmlOf('db', { memoryMib, numatune: { mode: 'strict', nodeset: '0' } }),
  });
  const [one] = answer({ flavours: small }, { domains: [guest(250)] }).flavours;
  expect(one?.nodes.map(({ guests }) => guests)).toEqual([1, 3]);
  const [full] = answer({ flavours: small }, { domains: [guest(600)] }).flavours;
  expect([full?.total.guests, full?.total.endedBy.code]).toEqual([0, 'as-is']);
});

it('counts pools of huge pages, less what planned guests take', () => {
  const model = structuredClone(requestOf().host);
  model.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: 80, freePages: 70 }];
  const pooled = { pooled: { memoryMib: 64, hugepagesKib: 2048 as const } };
  const request = { ...requestOf(), host: model };
  const asked = (domains: PackingPlan['domains']) => {
    const planned = { ...requestOf({ domains }), host: model };
    const outcome = headroom(planned, { flavours: pooled });
    return outcome.ok ? outcome.value.flavours[0]!.nodes.map(({ guests }) => guests) : [];
  };
  const db = domainXmlOf('db', {
    ...{ memoryMib: 20, hugepagesKib: 2048 },
    numatune: { mode: 'strict', nodeset: '1' },
  });
  expect(asked([])).toEqual([0, 2]);
  expect(asked([{ xml: db }])).toEqual([0, 1]);
  const outcome = headroom(request, { flavours: pooled });
  expect(outcome.ok && outcome.value.flavours[0]?.nodes[1]?.endedBy).toMatchObject({
    code: 'hugepages',
    shortfallPages: 26 * 512,
  });
});

it('keeps the page cache that is asked for', () => {
  const demand = { backgroundCache: [{ node: 0, mib: 200 }] };
  const guestsOf = (pageCacheMib: number) => {
    const [only] = answer({ flavours: small, pageCacheMib }, { demand }).flavours;
    return only!.nodes[0]!;
  };
  const [all, kept] = [guestsOf(0), guestsOf(180)];
  expect(kept.guests).toBeLessThan(all.guests);
  expect(kept.endedBy).toMatchObject({ code: 'page-cache', node: 0 });
  expect(kept.byAddingUp.guests).toBeLessThan(all.byAddingUp.guests);
});

it('says which flavour the host cannot take at all', () => {
  const flavours = { far: { memoryMib: 1, numatune: { mode: 'strict' as const, nodeset: '7' } } };
  expect(headroom(requestOf(), { flavours })).toMatchObject({
    ok: false,
    problems: [{ code: 'unknown-host-node', path: '/flavours/far' }],
  });
});
