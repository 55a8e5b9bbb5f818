/** What is advised through `advise` where the objectives, the profile or a constraint decide it. */
import { host, planned } from '../test/builders';
import { advise } from './advise';
import { mayBeAdvised } from './eligible';
import { evaluate } from './evaluator';
import type { AdviceRequest, Change, GuestSpec } from './types';

const MIB_PAGES = 256;

function strictOn(name: string, mib: number, node: number): GuestSpec {
  return planned(name, mib, node, {
    numatune: { mode: 'strict', nodeset: [node] },
    region: { policy: { mode: 'bind', nodes: [node] } },
  });
}

const swapping = (pages: number) => ({ totalPages: pages, freePages: pages });

describe('swap under variations', () => {
  const request: AdviceRequest = {
    host: { ...host([{ mib: 512 }, { mib: 512, anonMib: 60 }]), swap: swapping(1 << 18) },
    guests: [planned('a', 462, 0)],
    ...{ demand: {}, seed: 1 },
  };
  const strict: Change = { sysctl: {}, numatune: { a: { mode: 'strict', nodeset: [0] } } };

  test('what swaps with a little more memory is not advised where memory of another node would do', () => {
    const asAsked = evaluate(request, strict).candidate.outcome;
    expect(asAsked).toMatchObject({ swappedOutPages: 0, oomKills: [], failedStarts: [] });
    const { evidence } = advise(request);
    expect(evidence.advised.numatune.a?.mode).not.toBe('strict');
    const { finalists } = evidence.robustness;
    const own = finalists.find(({ id }) => id === evidence.advised.id);
    const swapped = own?.outcomes
      .filter(({ variation }) => variation !== 'growth-30')
      .map(({ swappedOutPages }) => swappedOutPages);
    expect(swapped?.every((pages) => pages === 0)).toBe(true);
    const bound = evidence.alternatives.find(({ numatune }) => numatune.a?.mode === 'strict');
    expect(bound?.whyNot).toMatch(
      /^With 20 % more guest memory \d+ MiB would be swapped out against 0 MiB\.$/,
    );
  });

  test('the margin ends where memory is swapped out', () => {
    const bound = { ...request, guests: [strictOn('a', 462, 0)] };
    const pinnedGuests = ['a'];
    const { evidence } = advise({ ...bound, options: { constraints: { pinnedGuests } } });
    expect(evidence.margin.flipsAtPercent).toBeLessThan(20);
    expect(evidence.margin.verdict).toMatch(/MiB would be swapped out\.$/);
  });
});

describe('forbidden nodes', () => {
  const request: AdviceRequest = {
    host: host([{ mib: 512, anonMib: 300 }, { mib: 512 }]),
    guests: [strictOn('a', 300, 0)],
    ...{ demand: {}, seed: 1 },
    options: { constraints: { forbiddenNodes: [1] } },
  };

  test('no advice lets memory fall back to them', () => {
    const { evidence } = advise(request);
    const there = evidence.advised.outcome.guests
      .flatMap(({ pagesByNode }) => pagesByNode)
      .filter(({ nodeId, pages }) => nodeId === 1 && pages > 0);
    expect(there).toEqual([]);
    const fallsBack: Change = {
      sysctl: {},
      numatune: { a: { mode: 'preferred', nodeset: [0] } },
    };
    const today = evaluate(request, { sysctl: {}, numatune: {} });
    const other = evaluate(request, fallsBack);
    expect(other.candidate.outcome.oomKills).toEqual([]);
    expect(mayBeAdvised(request, other, today)).toBe(false);
    expect(mayBeAdvised({ ...request, options: {} }, other, today)).toBe(true);
  });

  test('what is there today may stay there', () => {
    const both: AdviceRequest = {
      ...request,
      guests: [planned('a', 300, 0)],
      host: host([{ mib: 512, anonMib: 300 }, { mib: 512 }]),
    };
    const today = evaluate(both, { sysctl: {}, numatune: {} });
    expect(mayBeAdvised(both, today, today)).toBe(true);
  });
});

test('density is sought where nothing else is left to be wished for', () => {
  const request: AdviceRequest = {
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    guests: [planned('a', 300, 0), planned('b', 300, 1)],
    ...{ demand: {}, seed: 1, options: { profile: 'density' } },
  };
  const { evidence, content } = advise(request);
  expect(content.operationGroups).not.toEqual([]);
  const used = evidence.advised.outcome.nodes.map(
    ({ managedPages, freePages }) => managedPages - freePages > 100 * MIB_PAGES,
  );
  expect(used.filter((each) => each)).toHaveLength(1);
});

test('figures that the request does not weigh decide nothing', () => {
  const request: AdviceRequest = {
    host: host([{ mib: 512, cacheMib: 400 }, { mib: 512 }]),
    guests: [planned('a', 300, 0)],
    ...{ demand: {}, seed: 1 },
  };
  // Memory is near only where page cache goes.
  expect(advise(request).content.operationGroups).not.toEqual([]);
  const weighed = advise({ ...request, options: { weights: { swap: 1 } } });
  expect(weighed.content.operationGroups).toEqual([]);
});

test('where variations decide against what was perfect as asked, other settings are asked for all the same', () => {
  // Node 0 has free memory in blocks of 8 pages alone: a huge page is found on node 1.
  const model = host([{ mib: 1024, cacheMib: 512 }, { mib: 1024 }]);
  const nodes = model.nodes.map((node) =>
    node.nodeId === 0
      ? {
          ...node,
          zones: node.zones.map((zone) => ({
            ...zone,
            freeBlocks: zone.freeBlocks.map((_, order) => (order === 3 ? zone.freePages / 8 : 0)),
          })),
        }
      : node,
  );
  const request: AdviceRequest = {
    host: { ...model, nodes, thp: { enabled: 'madvise', defrag: 'madvise' } },
    guests: [planned('a', 300, 0, { region: { thp: 'huge' } })],
    ...{ demand: {}, seed: 1, options: { constraints: { pinnedGuests: ['a'] } } },
  };
  const { evidence } = advise(request);
  expect(evidence.advised).toMatchObject({ thp: { defrag: 'never' }, sysctl: {} });
  expect(evidence.advised.outcome).toMatchObject({ remoteShare: 0, cacheLostPages: 0 });
  expect(evidence.search.exhaustive).toBe(false);
});
