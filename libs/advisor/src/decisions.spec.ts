/** Each decision beside numatune, by a replay that decides it: what an answer to the symptoms of today's setting is. */
import { replay } from '@zonewise/simulator';
import { MIB, host, planned } from '../test/builders';
import { NO_CHANGE } from './change';
import { resolveDemand } from './demand';
import { Estimator } from './estimate';
import type { Evaluated } from './evaluator';
import { Evaluator } from './evaluator';
import { judgeOf } from './objective';
import { operationGroups } from './operations';
import { Pruned, answerSymptoms } from './rounds';
import type { AdviceRequest, GuestSpec, HostModel, ThpFile } from './types';

const strict = (name: string, mib: number): GuestSpec =>
  planned(name, mib, 0, {
    numatune: { mode: 'strict', nodeset: [0] },
    region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
  });

/**
 * Today's setting, the best answer to what its replay shows, and the reasons of its changes; of kernel settings only the named
 * ones may change, and of the files of transparent huge pages those that are not fixed.
 */
function answer(
  over: Pick<AdviceRequest, 'host' | 'guests'>,
  mayChange: (keyof HostModel['sysctl'])[] = [],
  fixedThp: ThpFile[] = [],
): { today: Evaluated; best: Evaluated; reasons: string[] } {
  const names = Object.keys(over.host.sysctl) as (keyof HostModel['sysctl'])[];
  const fixedSysctls = names.filter((name) => !mayChange.includes(name));
  const request: AdviceRequest = {
    ...{ demand: {}, seed: 1, ...over },
    options: { constraints: { fixedSysctls, fixedThp } },
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
  const best = answerSymptoms(context, baseline);
  const groups = operationGroups(evaluator, best, context.judge);
  const reasons = groups.flatMap(({ operations }) => operations.map(({ reason }) => reason));
  return { today: baseline, best, reasons };
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
    ['swappiness'],
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
    ['min_unmapped_ratio'],
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
    ['lowmem_reserve_ratio'],
  );
  expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.03);
  expect(best.change.sysctl).toEqual({ lowmem_reserve_ratio: ratio.map((value) => value * 4) });
  expect(best.candidate.outcome.remoteShare).toBeLessThan(today.candidate.outcome.remoteShare / 2);
});

describe('watermark_boost_factor', () => {
  /**
   * A host of two nodes of 1 GiB, node 0 with 100 blocks of kernel memory half of which is free, 1 MiB each: guests that have
   * used up the blocks of their own kind take pages out of these, which boosts the marks.
   */
  const mixed = (cacheMib: number, watermark_boost_factor: number): HostModel => {
    const model = host([{ mib: 1024, cacheMib }, { mib: 1024 }], { watermark_boost_factor });
    const [first, second] = model.nodes;
    const [zone] = first!.zones;
    const fragments = 100;
    const slabUnreclaimablePages = fragments * MIB;
    const freePages = zone!.freePages - slabUnreclaimablePages;
    const movablePages = freePages - fragments * MIB;
    const Unmovable = [0, 0, 0, 0, 0, 0, 0, 0, fragments, 0, 0];
    const Movable = [...Array<number>(10).fill(0), movablePages / 1024];
    const split = {
      ...{ ...zone!, freePages, freeBlocksByType: { Unmovable, Movable } },
      freeBlocks: Movable.map((count, order) => count + Unmovable[order]!),
      pageblocksByType: { Unmovable: fragments, Movable: zone!.managedPages / 512 - fragments },
    };
    const nodes = [{ ...first!, zones: [split], slabUnreclaimablePages }, second!];
    return { ...model, nodes };
  };
  const answered = (cacheMib: number, boostFactor: number, mib: number) =>
    answer({ host: mixed(cacheMib, boostFactor), guests: [planned('a', mib, 0)] }, [
      'watermark_boost_factor',
    ]);

  test('0, where kswapd takes page cache for boosted marks that nobody needs', () => {
    const { today, best, reasons } = answered(500, 15000, 404);
    expect(today.candidate.outcome.kswapdReclaimedPages).toBeGreaterThan(10_000);
    expect(best.change).toEqual({ ...NO_CHANGE, sysctl: { watermark_boost_factor: 0 } });
    expect(best.candidate.outcome).toMatchObject({ cacheLostPages: 0, remoteShare: 0 });
    expect(reasons).toEqual([
      expect.stringMatching(
        /^vm\.watermark_boost_factor 0 lowers page cache lost from \d+ MiB to 0 MiB/,
      ),
    ]);
  });

  test('0, where a boosted low mark sends a guest away although there is nothing to reclaim', () => {
    const { today, best } = answered(0, 15000, 924);
    expect(today.candidate.outcome.kswapdReclaimedPages).toBe(0);
    expect(best.change).toEqual({ ...NO_CHANGE, sysctl: { watermark_boost_factor: 0 } });
    const away = today.candidate.outcome.remoteShare - best.candidate.outcome.remoteShare;
    // What the boost adds to the low mark at most: 150 % of the high mark.
    expect(away * 924 * MIB).toBeGreaterThan(0);
    expect(away * 924 * MIB).toBeLessThanOrEqual(1.5 * (1024 + 2 * 262));
  });

  test("the kernel's own value, where it has been turned off and kswapd is not woken for a guest that leaves", () => {
    const { today, best, reasons } = answered(500, 0, 424);
    expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.01);
    expect(best.change).toEqual({ ...NO_CHANGE, sysctl: { watermark_boost_factor: 15000 } });
    expect(best.candidate.outcome.remoteShare).toBe(0);
    expect(best.candidate.outcome.kswapdReclaimedPages).toBeGreaterThan(0);
    expect(reasons[0]).toMatch(
      /lowers remote guest memory from .* to 0 %; it raises page cache lost/,
    );
  });
});

describe('files of transparent huge pages', () => {
  /** Two nodes of 1 GiB, half of node 0 page cache; its free memory has no block that is larger than 2^order pages. */
  const scattered = (order: number): HostModel => {
    const model = host([{ mib: 1024, cacheMib: 512 }, { mib: 1024 }]);
    const [first, second] = model.nodes;
    const [zone] = first!.zones;
    const freeBlocks = Array.from({ length: 11 }, (_, at) =>
      at === order ? zone!.freePages / 2 ** order : 0,
    );
    const nodes = [{ ...first!, zones: [{ ...zone!, freeBlocks }] }, second!];
    return { ...model, nodes, thp: { enabled: 'madvise', defrag: 'madvise' } };
  };
  const huge = (mib: number): GuestSpec => planned('a', mib, 0, { region: { thp: 'huge' } });

  test('defrag never, where faults take huge pages of another node because their own is in pieces', () => {
    const { today, best, reasons } = answer({ host: scattered(3), guests: [huge(300)] });
    expect(today.candidate.outcome.remoteShare).toBe(1);
    expect(best.change).toEqual({ ...NO_CHANGE, thp: { defrag: 'never' } });
    expect(best.candidate.outcome).toMatchObject({ remoteShare: 0, cacheLostPages: 0, stallNs: 0 });
    expect(reasons).toEqual([
      expect.stringMatching(
        /^transparent_hugepage\/defrag never lowers remote guest memory from 100 % .* to 0 %/,
      ),
    ]);
  });

  test('enabled never, where defrag is to stay; nothing, where both are', () => {
    const given = { host: scattered(3), guests: [huge(300)] };
    const { best } = answer(given, [], ['defrag']);
    expect(best.change).toEqual({ ...NO_CHANGE, thp: { enabled: 'never' } });
    expect(best.candidate.outcome.remoteShare).toBe(0);
    const { today, best: left } = answer(given, [], ['defrag', 'enabled']);
    expect(left.change.thp).toBeUndefined();
    expect(today.candidate.outcome.remoteShare).toBe(1);
  });

  test('defrag defer, where kswapd makes room for a guest that would leave without waiting', () => {
    const { today, best } = answer({ host: scattered(10), guests: [huge(700)] });
    expect(today.candidate.outcome).toMatchObject({ stallNs: 0, kswapdReclaimedPages: 0 });
    expect(today.candidate.outcome.remoteShare).toBeGreaterThan(0.2);
    expect(best.change).toEqual({ ...NO_CHANGE, thp: { defrag: 'defer' } });
    expect(best.candidate.outcome.remoteShare).toBeLessThan(0.01);
    expect(best.candidate.outcome.kswapdReclaimedPages).toBeGreaterThan(0);
  });
});
