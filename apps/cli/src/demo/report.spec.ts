import type { Operation, Outcome, RecommendationContent } from '@zonewise/advisor';
import { guestTable, report, rivalTable } from './report';

const outcome = (over: Partial<Outcome>): Outcome =>
  ({
    nodes: [{ nodeId: 0 }],
    guests: ['a', 'b'].map((name) => ({
      ...{ name, state: 'planned', mode: 'none', nodeset: [], pagesByNode: [] },
      ...{ remoteShare: 0, stallNs: 0, oomKilled: over.failedStarts?.includes(name) ?? false },
    })),
    ...{ oomKills: [], failedStarts: [], ...over },
  }) as unknown as Outcome;

test('a guest that never started is not told as killed', () => {
  const fates = (now: Outcome, advised: Outcome): (string | undefined)[] =>
    guestTable(now, advised, [])
      .split('\n')
      .slice(-2)
      .map((line) => /KILLED|NOT STARTED -> no|NOT STARTED| no /.exec(line)?.[0].trim());
  expect(fates(outcome({ failedStarts: ['b'] }), outcome({}))).toEqual(['no', 'NOT STARTED -> no']);
  expect(fates(outcome({ oomKills: ['a'] }), outcome({ oomKills: ['a'] }))).toEqual([
    'KILLED',
    'no',
  ]);
});

test('rules of thumb stand between the setting as it is and the advice, in the same figures', () => {
  const figures = {
    swappedOutPages: 512,
    stallNs: 2e6,
    remoteShare: 0.5,
    remoteCost: 0.55,
    cacheLostPages: 256,
  };
  const none = { swappedOutPages: 0, stallNs: 0, remoteShare: 0, remoteCost: 0, cacheLostPages: 0 };
  const evidence = {
    baseline: { outcome: outcome({ ...figures, failedStarts: ['b'], oomKills: ['a'] }) },
    advised: { outcome: outcome(none) },
    rivals: [{ name: 'numad', title: 't', id: 'c1', kills: 1, ...figures }],
  };
  const rows = rivalTable({ evidence } as unknown as RecommendationContent).split('\n');
  expect(rows.slice(1).map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ['as it is', '2', '2', '2.0 ms', '50.0 %', '0.550', '1'],
    ['numad', '1', '2', '2.0 ms', '50.0 %', '0.550', '1'],
    ['as advised', '0', '0', '0.0 ms', '0 %', '0.000', '0'],
  ]);
});

describe('changes of single cells', () => {
  const strict = (...nodes: number[]) => ({
    ...{ mode: 'strict', nodeset: [0, 1] },
    memnodes: nodes.map((node, cellid) => ({ cellid, mode: 'strict', nodeset: [node] })),
  });
  const common = { action: 'replace', resourceType: 'domain', resource: 'a', reason: 'Why.' };
  const cells = [0, 1].map((node) => ({ cellid: node, nodes: [node] }));
  const operations = [
    { ...common, path: '/domain/numatune', value: strict(0, 1), previousValue: strict(0, 0) },
    {
      ...{ ...common, path: '/domain/vcpu/@cpuset' },
      ...{ value: { nodes: [0, 1], cells }, previousValue: null },
    },
  ] as unknown as Operation[];
  const whole = outcome({ stateHash: '', swappedOutPages: 0 });
  whole.guests.forEach((guest) => Object.assign(guest, { mode: 'strict', nodeset: [0, 1] }));
  const OLD_AND_NEW =
    'strict on node 0 (cells 0-1) -> strict on node 0 (cell 0) and node 1 (cell 1)';

  test('stand in the table of guests; those that stay have the setting of all their cells', () => {
    const rows = guestTable(whole, whole, operations).split('\n').slice(-2);
    expect(rows.map((line) => line.trim().split(/\s{2,}/)[2])).toEqual([OLD_AND_NEW, 'strict 0,1']);
  });

  test('are told by cell, and so are their pins', () => {
    const one = { outcome: whole };
    const text = report({
      content: { operationGroups: [{ operations }] },
      immovable: [],
      evidence: { baseline: one, advised: one, alternatives: [], assumptions: [], margin: {} },
    } as unknown as RecommendationContent);
    expect(text).toContain(`  - a numatune: ${OLD_AND_NEW}\n    Why.`);
    expect(text).toContain(
      '  - a CPU set of its vCPUs: as the document says -> CPUs of node 0 (cell 0) and node 1 (cell 1)\n',
    );
  });
});

describe('figures of replays in miniature', () => {
  const figures = { swappedOutPages: 0, stallNs: 0, remoteShare: 0, remoteCost: 0 };
  const full = outcome({
    ...{ ...figures, cacheLostPages: 2560, guests: [], nodes: [] },
    stateHash: 'f00',
  });
  const content = (scale: number | undefined): RecommendationContent => {
    const other = { ...{ sysctl: { zone_reclaim_mode: 1 }, numatune: {} }, outcome: full };
    const small = { ...other, ...(scale && { scale }), rival: 'zone-reclaim', whyNot: 'Why.' };
    const rival = { name: 'zone-reclaim', title: 't', id: 'c1', kills: 0, ...figures };
    const operation = { resourceType: 'sysctl', resource: 'zone_reclaim_mode', path: '/vm/z' };
    return {
      ...{ priority: 'P4', finding: 'OPTIMIZED', description: 'd.', immovable: [] },
      content: {
        operationGroups: [
          { operations: [{ ...operation, previousValue: 0, value: 1, reason: 'r.' }] },
        ],
      },
      evidence: {
        ...{
          baseline: other,
          advised: other,
          alternatives: [small, { ...other, whyNot: 'Full.' }],
        },
        rivals: [{ ...rival, cacheLostPages: 2048, ...(scale && { scale }) }],
        ...{ margin: { verdict: 'Holds.' }, replays: 3, seed: 1 },
        assumptions: scale ? [{ code: 'search-in-miniature', message: 'm' }] : [],
      },
    } as unknown as RecommendationContent;
  };

  test('are marked where they stand beside those of replays in full, with what that means', () => {
    const text = report(content(4));
    expect(text).toContain('  - zone_reclaim_mode=1 (zone-reclaim) *\n    Why.\n');
    expect(text).toContain(
      '  - zone_reclaim_mode=1\n    Full.\n  * replayed in miniature, all sizes divided by 4;',
    );
    expect(text).toMatch(/\n {4}r\.\n {2}Reasons compare replays in miniature with each other;/);
    const rows = rivalTable(content(4)).split('\n');
    expect(
      rows.filter((line) => / \* /.test(line)).map((line) => line.trim().slice(0, 16)),
    ).toEqual(['zone-reclaim *  ', '* replayed in mi']);
    expect(rows.at(-1)).toMatch(/^ {2}\* replayed in miniature, all sizes divided by 4;/);
  });

  test('there are none where everything was replayed in full', () => {
    const text = `${report(content(undefined))}\n${rivalTable(content(undefined))}`;
    expect(text).not.toContain('*');
    expect(text).not.toContain('miniature');
  });
});

test('a change of a later stay of a domain says when its document shall have it', () => {
  const figures = { swappedOutPages: 0, stallNs: 0, cacheLostPages: 0, nodes: [] };
  const guest = { state: 'planned', mode: 'none', nodeset: [], pagesByNode: [], remoteShare: 0 };
  const guests = ['web-1', 'web-1/2', 'db'].map((name) => ({ ...guest, name, stallNs: 0 }));
  const of = { outcome: { ...outcome({}), ...figures, guests, stateHash: 'f00' } };
  const changes = (...resources: string[]): string => {
    const operations = resources.map((resource) => ({
      ...{ resourceType: 'domain', resource, path: '/domain/numatune', previousValue: null },
      ...{ value: { mode: 'preferred', nodeset: [1] }, reason: 'r.' },
    }));
    const content = {
      ...{ priority: 'P4', finding: 'LOW_HEADROOM', description: 'd.', immovable: [] },
      content: { operationGroups: [{ operations }] },
      evidence: {
        ...{ baseline: of, advised: of, alternatives: [], assumptions: [], replays: 1, seed: 1 },
        margin: { verdict: 'Holds.' },
      },
    };
    return report(content as unknown as RecommendationContent);
  };
  expect(changes('web-1/2', 'db')).toContain(
    '  web-1/2 is stay 2 of web-1 on this host: its settings go into the document that web-1 starts or arrives with then, not earlier.\n\nMargin',
  );
  expect(changes('web-1', 'db')).not.toContain('stay');
});
