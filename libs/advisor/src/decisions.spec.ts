/** Each decision beside numatune, by a replay that decides it: what an answer to the symptoms of today's setting is. */
import { replay } from '@zonewise/simulator';
import { MIB, host, planned } from '../test/builders';
import { NO_CHANGE } from './change';
import { resolveDemand } from './demand';
import { Estimator } from './estimate';
import type { Evaluated } from './evaluator';
import { Evaluator } from './evaluator';
import { judgeOf } from './objective';
import { Pruned, answerSymptoms } from './rounds';
import type { AdviceRequest, GuestSpec, HostModel } from './types';

const strict = (name: string, mib: number): GuestSpec =>
  planned(name, mib, 0, {
    numatune: { mode: 'strict', nodeset: [0] },
    region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
  });

/** Today's setting and the best answer to what its replay shows; only the named kernel settings may change. */
function answer(
  over: Pick<AdviceRequest, 'host' | 'guests'>,
  ...mayChange: (keyof HostModel['sysctl'])[]
): { today: Evaluated; best: Evaluated } {
  const names = Object.keys(over.host.sysctl) as (keyof HostModel['sysctl'])[];
  const fixedSysctls = names.filter((name) => !mayChange.includes(name));
  const request: AdviceRequest = {
    ...{ demand: {}, seed: 1, ...over },
    options: { constraints: { fixedSysctls } },
  };
  const demand = resolveDemand(request);
  const evaluator = new Evaluator(request, replay, 1);
  const baseline = evaluator.evaluate(NO_CHANGE);
  const context = {
    ...{ request, demand, evaluator, baseline },
    judge: judgeOf(request.host),
    estimator: new Estimator(request, demand),
    pruned: new Pruned(),
  };
  return { today: baseline, best: answerSymptoms(context, baseline) };
}

test('disk cache none, where the page cache of guests pushes others off their node in whatever order', () => {
  const guests = ['a', 'b', 'c'].map((name) =>
    planned(name, 256, 0, { diskCachePages: 400 * MIB }),
  );
  const { today, best } = answer({ host: host([{ mib: 1024 }, { mib: 1024 }]), guests });
  expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.2);
  expect(best.change).toEqual({ ...NO_CHANGE, diskCache: { a: 'none', b: 'none', c: 'none' } });
  expect(best.candidate.outcome.remoteShare).toBe(0);
});

test('the order of starts, where a small guest takes what only a large one needs', () => {
  const { today, best } = answer({
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    // Not whole huge pages: a pool is no answer.
    guests: [planned('small', 400, 0), strict('large', 801)],
  });
  expect(today.candidate.outcome.guests.map(({ oomKilled }) => oomKilled)).toContain(true);
  expect(best.change).toEqual({ ...NO_CHANGE, startOrder: ['large', 'small'] });
  expect(best.candidate.outcome.guests.map(({ oomKilled }) => oomKilled)).toEqual([false, false]);
});

test('swappiness, where guests are swapped out although there is page cache', () => {
  const model = host([{ mib: 1024, cacheMib: 220 }], { swappiness: 100 });
  const [node] = model.nodes;
  const lru = { ...node!.lru, activeFilePages: 200 * MIB, inactiveFilePages: 20 * MIB };
  const swap = { totalPages: 524_288, freePages: 524_288 };
  const { today, best } = answer(
    { host: { ...model, nodes: [{ ...node!, lru }], swap }, guests: [strict('a', 912)] },
    'swappiness',
  );
  expect(today.candidate.outcome.swappedOutPages).toBeGreaterThan(1000);
  expect(best.change.sysctl.swappiness).toBeLessThan(100);
  expect(best.candidate.outcome.swappedOutPages).toBe(0);
});

test('min_unmapped_ratio, where zone_reclaim_mode leaves page cache alone because of it', () => {
  const sysctl = { zone_reclaim_mode: 1, min_unmapped_ratio: 40 };
  const { today, best } = answer(
    {
      host: host([{ mib: 1024, cacheMib: 380 }, { mib: 1024 }], sysctl),
      guests: [planned('a', 800, 0)],
    },
    'min_unmapped_ratio',
  );
  expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.1);
  expect(best.change).toEqual({ ...NO_CHANGE, sysctl: { min_unmapped_ratio: 0 } });
  expect(best.candidate.outcome.remoteShare).toBeLessThan(0.02);
});

test('lowmem_reserve_ratio, where the lower zone is kept from a guest that could have it', () => {
  const model = host([{ mib: 2048 }, { mib: 1024 }]);
  const [first, second] = model.nodes;
  const [normal] = first!.zones;
  const half = normal!.managedPages / 2;
  const blocks = [...Array<number>(10).fill(0), half / 1024];
  const zone = { ...normal!, spannedPages: half, presentPages: half, managedPages: half };
  const split = { ...zone, freePages: half, freeBlocks: blocks };
  // A reserve of one page in eight of the zone above.
  const ratio = [8, 8, 8, 0];
  const low = { ...split, name: 'DMA32' as const, protectionPages: [0, 0, half / 8, half / 8] };
  const high = { ...split, startPfn: normal!.startPfn + half };
  const nodes = [{ ...first!, zones: [low, high] }, second!];
  const { today, best } = answer(
    {
      host: { ...model, nodes, sysctl: { ...model.sysctl, lowmem_reserve_ratio: ratio } },
      guests: [planned('a', 1980, 0)],
    },
    'lowmem_reserve_ratio',
  );
  expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.03);
  expect(best.change.sysctl).toEqual({ lowmem_reserve_ratio: ratio.map((value) => value * 4) });
  expect(best.candidate.outcome.remoteShare).toBeLessThan(today.candidate.outcome.remoteShare / 2);
});
