import { MIB, host, planned } from '../test/builders';
import { advise } from './advise';
import type { Evaluated } from './evaluator';
import { verdict } from './finding';
import { judgeOf } from './objective';
import type { AdviceRequest, Outcome } from './types';

test('the density profile is told by the room in one place, not by the fullest node that it fills', () => {
  const free = (name: string): AdviceRequest['guests'][number] => ({
    ...planned(name, 300, 0, {
      numatune: { mode: 'none', nodeset: [] },
      region: { policy: { mode: 'interleave', nodes: [0, 1] }, cpuNodes: [0, 1] },
    }),
    cpusPinned: false,
  });
  const content = advise({
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    guests: [free('a'), free('b')],
    ...{ demand: {}, seed: 1, options: { profile: 'density' } },
  });
  const { baseline, advised } = content.evidence;
  const percentLeft = ({ outcome: { nodes } }: typeof baseline): number => {
    const left = nodes.map(({ freePages, fileCachePages }) => freePages + fileCachePages);
    const memory = nodes.reduce((sum, { managedPages }) => sum + managedPages, 0);
    return (Math.max(...left) / memory) * 100;
  };
  const [before, after] = [percentLeft(baseline), percentLeft(advised)];
  expect(after).toBeGreaterThan(before + 5);
  expect(advised.outcome.headroomShare).toBeLessThan(baseline.outcome.headroomShare);
  expect([content.finding, content.priority]).toEqual(['LOW_HEADROOM', 'P4']);
  const text = (percent: number): string => `${Math.round(percent)} %`;
  expect(content.description).toContain(
    `The node with the most room has ${text(before)} of the host's memory free or as page cache as configured, ${text(after)} with `,
  );
  const { measure, unit } = content.primaryImpact;
  expect({ measure, unit }).toEqual({ measure: 'largest-room', unit: 'percent' });
  expect(content.primaryImpact.before).toBeCloseTo(before, 2);
  expect(content.primaryImpact.after).toBeCloseTo(after, 2);
  const reasons = content.content.operationGroups.flatMap(({ operations }) =>
    operations.map(({ reason }) => reason),
  );
  expect(reasons.join('\n')).toContain(
    `lowers memory of the host that is not left on one node from 57 % to ${text(100 - after)}`,
  );
  expect(baseline.whyNot).toBe(
    `Leaves less in one place: the node with the most room has ${text(before)} of the host's memory free or as page cache against ${text(after)}.`,
  );
});

test('what is better as asked and was rejected is named where everything is left as it is', () => {
  const { finding, description, evidence } = advise({
    host: host([{ mib: 512, cacheMib: 300 }, { mib: 1024 }], { min_unmapped_ratio: 100 }),
    guests: [planned('big', 490, 0)],
    ...{ demand: {}, seed: 1 },
    options: { constraints: { forbiddenNodes: [1] } },
  });
  expect(finding).toBe('OPTIMIZED');
  const strict = evidence.alternatives.find(({ numatune }) => numatune.big?.mode === 'strict');
  expect(strict?.outcome.remoteCost).toBeLessThan(evidence.baseline.outcome.remoteCost - 0.01);
  expect(description).not.toContain('no other setting');
  expect(description).toMatch(
    /better as asked, but no advice.*big strict on node 0.*: With 20 % more guest memory big would be killed\.$/,
  );
});

describe('a guest that its nodes cannot hold, on a host that could', () => {
  const strict = (name: string, mib: number): AdviceRequest['guests'][number] =>
    planned(name, mib, 0, {
      numatune: { mode: 'strict', nodeset: [0] },
      region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
    });
  const request = (...guests: AdviceRequest['guests']): AdviceRequest => ({
    ...{ host: host([{ mib: 512 }, { mib: 1024 }]), guests, demand: {}, seed: 1 },
    options: { constraints: { pinnedGuests: guests.map(({ guest }) => guest.name) } },
  });

  test('is told with what is missing there', () => {
    const { finding, description, evidence } = advise(request(strict('a', 700)));
    expect(finding).toBe('DOES_NOT_FIT');
    const room = 512 * MIB - 1024;
    expect(evidence.unplaced).toEqual([
      { guest: 'a', wantedPages: 700 * MIB, roomPages: room, shortPages: 700 * MIB - room },
    ]);
    expect(description).toContain(
      'added up the host has room, but not where these guests may be: a wants 700 MiB and the nodes that it may use have room ' +
        'for 508 MiB at best, 49,152 pages (192 MiB) short.',
    );
  });

  test('is told to be the fewest where counting pages says so', () => {
    const said = 'Counting pages says that no configuration kills fewer.';
    const all = [planned('a', 700, 0), planned('b', 500, 1), planned('c', 450, 1)];
    const { description, evidence } = advise(request(...all));
    expect(evidence.advised.outcome.oomKills).toHaveLength(1);
    expect(description).toContain(said);
    expect(advise(request(strict('a', 700))).description).not.toContain(said);
  });

  test('where each would fit alone, the killed are held against the node with the most room', () => {
    const { finding, description, evidence } = advise(
      request(strict('a', 500), strict('b', 300), planned('c', 650, 1)),
    );
    expect(finding).toBe('DOES_NOT_FIT');
    expect(evidence.unplaced).toEqual([]);
    expect(description).toMatch(
      /no node for all of the [\d,]+ MiB of these guests: the one with the most room has [\d,]+ MiB left, [\d,]+ pages \([\d.,]+ MiB\) short\./,
    );
  });
});

describe('how urgent it is', () => {
  const evaluated = (over: Partial<Outcome>): Evaluated => {
    const figures = { remoteShare: 0, remoteCost: 0, cacheLostPages: 0, stallNs: 0 };
    const outcome = { guests: [], nodes: [], oomKills: [], failedStarts: [], ...figures, ...over };
    const change = { sysctl: { swappiness: 10 }, numatune: {} };
    return { ...{ change, cacheBeforePages: 0 }, candidate: { outcome } } as unknown as Evaluated;
  };
  const judge = {
    ...judgeOf(host([{ mib: 1024 }, { mib: 1024 }])),
    weights: { swap: 1, remote: 1 },
  };
  const before = evaluated({ swappedOutPages: 395 * MIB, remoteCost: 0.0004, headroomShare: 0.5 });
  const found = (swapped: number): string[] => {
    const after = evaluated({ swappedOutPages: swapped, headroomShare: 0.5 });
    const { finding, priority } = verdict(before, after, { judge, shortfall: 0, unplaced: [] });
    return [finding, priority];
  };

  test('guests that only huge pages are missing for are not held against the room of a node', () => {
    const lost = evaluated({ failedStarts: ['a'] });
    expect(verdict(lost, lost, { judge, shortfall: 0, unplaced: [] })).toMatchObject({
      finding: 'DOES_NOT_FIT',
      description: expect.stringContaining(
        'a would not start; added up the host has room, but not in the pools of huge pages of these guests.',
      ) as string,
    });
  });

  test('a figure that decides by weights with others is no P2 where it differs within its tolerance', () => {
    expect(judge.tolerance.swap).toBe(256);
    expect(found(395 * MIB - 240)).toEqual(['RECLAIM_STALLS', 'P4']);
    expect(found(395 * MIB - 300)).toEqual(['RECLAIM_STALLS', 'P2']);
  });
});
