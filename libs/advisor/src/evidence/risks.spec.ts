import { host, planned } from '../../test/builders';
import { advise } from '../advise';
import { NO_CHANGE } from '../change';
import { evaluate } from '../evaluator';
import type { SimulationRequest } from '../types';
import { followsPace, risksOf } from './risks';

const margin = { flipsAtPercent: null, verdict: '' } as Parameters<typeof risksOf>[3]['margin'];

it('the pace risk counts what zone_reclaim_mode lets guests reclaim', () => {
  const request: SimulationRequest = {
    host: host([{ mib: 1024, cacheMib: 900 }, { mib: 1024 }], { zone_reclaim_mode: 1 }),
    guests: [planned('web', 512, 0)],
    demand: {},
    seed: 1,
  };
  const advised = evaluate(request, NO_CHANGE);
  const { outcome } = advised.candidate;
  expect(outcome.nodeReclaimedPages).toBeGreaterThan(10_000);
  const risk = risksOf(request, [], advised, { margin }).find(({ kind }) => kind === 'pace');
  const count = outcome.nodeReclaimedPages.toLocaleString('en-US');
  expect(risk?.message).toContain(`, ${count} by zone_reclaim, `);
  const only = { ...outcome, kswapdReclaimedPages: 0, directReclaimedPages: 0, stallNs: 0 };
  expect(followsPace({ ...only, swappedOutPages: 0 })).toBe(true);
  expect(followsPace({ ...only, swappedOutPages: 0, nodeReclaimedPages: 0 })).toBe(false);
});

it('what only other candidates did is no risk of the advice', () => {
  const region = {
    policy: { mode: 'bind' as const, nodes: [0] },
    cpusetMems: [0],
    hugetlb: { sizeKib: 2048 as const, reserve: true },
  };
  const numatune = { mode: 'strict' as const, nodeset: [0] };
  const { evidence } = advise({
    host: host([{ mib: 1024, anonMib: 900 }, { mib: 1024 }]),
    guests: [planned('a', 256, 0, { numatune, region })],
    demand: {},
    seed: 1,
  });
  const codes = (notes: { code: string }[]) => notes.map(({ code }) => code);
  expect(codes(evidence.caveats)).toContain('hugepages-obtained-uncertain');
  const { vmstat } = evidence.after.counters;
  expect([vmstat.compact_stall ?? 0, vmstat.allocstall_movable ?? 0]).toEqual([0, 0]);
  expect(codes(evidence.risks)).not.toContain('hugepages-obtained-uncertain');
});
