/** Kernel settings that only advice finds: each beside a replay of the better value, on hosts that show what it is for. */
import {
  ZONE_NAMES,
  setupPerZoneWmarks,
  type HostModel,
  type HostNode,
  type HostSysctls,
} from '@zonewise/simulator';
import { MIB, host, planned } from '../test/builders';
import { advise } from './advise';
import { NO_CHANGE } from './change';
import { resolveDemand } from './demand';
import { evaluate } from './evaluator';
import { furtherChanges, nodeReclaimChanges } from './sysctl-candidates';
import type { AdviceRequest, GuestSpec, RecommendationContent } from './types';

/** The host with marks as its settings make them, and what is named of node 0's counts. */
function settled(model: HostModel, first: Partial<HostNode> = {}): HostModel {
  const zones = model.nodes.flatMap((node) => node.zones);
  const marks = setupPerZoneWmarks(
    zones.map(({ name, managedPages }) => ({ zoneIndex: ZONE_NAMES.indexOf(name), managedPages })),
    model.sysctl.min_free_kbytes,
    model.sysctl.watermark_scale_factor,
  );
  const nodes = model.nodes.map((node, i) => ({
    ...node,
    ...(i === 0 && first),
    zones: node.zones.map((zone) => ({ ...zone, ...marks[zones.indexOf(zone)] })),
  }));
  return { ...model, nodes };
}

/** Advice where guests stay as they are and, if any is named, no setting may change but those. */
function advised(
  over: Pick<AdviceRequest, 'host' | 'guests' | 'demand'>,
  mayChange?: (keyof HostSysctls)[],
): RecommendationContent['evidence'] {
  const names = Object.keys(over.host.sysctl) as (keyof HostSysctls)[];
  const fixedSysctls = mayChange ? names.filter((name) => !mayChange.includes(name)) : [];
  const pinnedGuests = over.guests.map(({ guest }) => guest.name);
  const { evidence } = advise({
    ...{ seed: 1, ...over },
    options: { constraints: { pinnedGuests, fixedSysctls } },
  });
  return evidence;
}

const strict = (name: string, mib: number): GuestSpec =>
  planned(name, mib, 0, {
    numatune: { mode: 'strict', nodeset: [0] },
    region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
  });

describe('marks that are higher than the kernel sets them', () => {
  test('min_free_kbytes as the kernel computes it, where what it keeps kills a guest', () => {
    const model = settled(host([{ mib: 1024 }, { mib: 1024 }], { min_free_kbytes: 250_000 }));
    const best = advised({ host: model, guests: [strict('a', 980)], demand: {} });
    expect(best.baseline.outcome.oomKills).toEqual(['a']);
    // The square root of 16 times 2 GiB in KiB.
    expect(best.advised.sysctl).toEqual({ min_free_kbytes: 5792 });
    expect(best.advised.outcome.oomKills).toEqual([]);
  });

  test("the kernel's watermark_scale_factor, where a guest leaves its node for a low mark", () => {
    const model = settled(host([{ mib: 1024 }, { mib: 1024 }], { watermark_scale_factor: 2000 }));
    const best = advised({ host: model, guests: [planned('a', 900, 0)], demand: {} });
    expect(best.baseline.outcome.remoteShare).toBeGreaterThan(0.05);
    expect(best.advised.sysctl.watermark_scale_factor).toBe(10);
    expect(best.advised.outcome.remoteShare).toBe(0);
  });

  test('where kswapd takes page cache for a high mark and nobody waits, dies or leaves', () => {
    const sysctl = { watermark_scale_factor: 2000, zone_reclaim_mode: 0 };
    const model = settled(host([{ mib: 1024, cacheMib: 500 }, { mib: 1024 }], sysctl));
    const best = advised({ host: model, guests: [strict('a', 400)], demand: {} });
    const { outcome } = best.baseline;
    expect(outcome).toMatchObject({ oomKills: [], remoteShare: 0, stallNs: 0 });
    expect(outcome.cacheLostPages).toBeGreaterThan(100 * MIB);
    expect(best.advised.sysctl).toEqual({ watermark_scale_factor: 10 });
    expect(best.advised.outcome.cacheLostPages).toBe(0);
  });

  test('both, where one alone is not enough', () => {
    const sysctl = { watermark_scale_factor: 1000, min_free_kbytes: 200_000 };
    const model = settled(host([{ mib: 1024 }, { mib: 1024 }], sysctl));
    const guests = [planned('a', 990, 0)];
    const best = advised({ host: model, guests, demand: {} }, [
      'watermark_scale_factor',
      'min_free_kbytes',
    ]);
    expect(best.advised.sysctl).toEqual({ watermark_scale_factor: 10, min_free_kbytes: 5792 });
    expect(best.advised.outcome.remoteShare).toBe(0);
  });
});

describe('marks that go up for as long as it helps', () => {
  test('watermark_scale_factor beyond 300, where nodes are full of page cache and kswapd is too slow', () => {
    const model = settled(
      host([
        { mib: 8192, cacheMib: 6500 },
        { mib: 8192, cacheMib: 7900 },
      ]),
    );
    const guests = [planned('a', 5000, 0)];
    const best = advised({ host: model, guests, demand: {} }, ['watermark_scale_factor']);
    const at300 = best.alternatives.find(({ sysctl }) => sysctl.watermark_scale_factor === 300);
    expect(best.advised.sysctl.watermark_scale_factor).toBeGreaterThan(300);
    expect(best.advised.outcome.remoteShare).toBeLessThan(at300!.outcome.remoteShare / 2);
  });

  test('one step for what is raised, never beyond what the kernel takes', () => {
    const next = (
      kernelProfile: HostModel['kernelProfile'],
      sysctl: Partial<HostSysctls>,
    ): Partial<HostSysctls>[] => {
      const model = { ...host([{ mib: 512 }, { mib: 512 }]), kernelProfile };
      const guests = [planned('a', 64, 0)];
      const request: AdviceRequest = { host: model, guests, demand: {}, seed: 1 };
      const one = evaluate(request, { ...NO_CHANGE, sysctl });
      return furtherChanges(request, one).map((change) => change.sysctl);
    };
    const raised = { watermark_scale_factor: 1000 };
    expect(next('6.1.y', raised)).toEqual([{ watermark_scale_factor: 2000 }]);
    expect(next('5.10', raised)).toEqual([]);
    expect(next('6.1.y', { min_free_kbytes: 20_000 })).toEqual([{ min_free_kbytes: 40_000 }]);
    expect(next('6.1.y', { min_free_kbytes: 4000, zone_reclaim_mode: 1 })).toEqual([]);
    const ratio = [1024, 1024, 128, 0];
    const further = { lowmem_reserve_ratio: [4096, 4096, 512, 0] };
    expect(next('6.1.y', { lowmem_reserve_ratio: ratio })).toEqual([further]);
  });

  test('min_free_kbytes beyond twice the value, where nobody waits but guests leave nodes with page cache', () => {
    const model = settled(
      host([
        { mib: 2048, cacheMib: 1625 },
        { mib: 2048, anonMib: 2000 },
      ]),
      { dirtyPages: 812 * MIB },
    );
    const demand = { rateMibPerSecond: 1000 };
    const few = { host: model, guests: [planned('a', 625, 0)], demand };
    const best = advised(few, ['min_free_kbytes']);
    const twice = best.alternatives.find(({ sysctl }) => sysctl.min_free_kbytes === 2 * 8192);
    expect(best.baseline.outcome).toMatchObject({ stallNs: 0, directReclaimedPages: 0 });
    expect(best.advised.sysctl.min_free_kbytes).toBeGreaterThan(2 * 8192);
    expect(best.advised.outcome.remoteShare).toBeLessThan(twice!.outcome.remoteShare / 2);
  });
});

describe('node reclaim', () => {
  const cached = (sysctl: Partial<HostSysctls>, first: Partial<HostNode>): HostModel =>
    settled(host([{ mib: 1024, cacheMib: 700 }, { mib: 1024 }], sysctl), first);

  test('zone_reclaim_mode 5, where the page cache of a node is mapped and nothing has been reclaimed', () => {
    const model = cached({}, { mappedPages: 700 * MIB });
    const best = advised({ host: model, guests: [planned('a', 600, 0)], demand: {} });
    expect(best.baseline.outcome).toMatchObject({ kswapdReclaimedPages: 0, stallNs: 0 });
    expect(best.baseline.outcome.remoteShare).toBeGreaterThan(0.3);
    expect(best.advised.sysctl).toEqual({ zone_reclaim_mode: 5 });
    expect(best.advised.outcome.remoteShare).toBeLessThan(0.05);
  });

  test('with a lower min_unmapped_ratio, where that keeps all page cache from it', () => {
    const model = cached({ min_unmapped_ratio: 75 }, {});
    const best = advised({ host: model, guests: [planned('a', 600, 0)], demand: {} });
    expect(best.baseline.outcome.remoteShare).toBeGreaterThan(0.3);
    expect(best.advised.sysctl).toEqual({ min_unmapped_ratio: 0, zone_reclaim_mode: 1 });
    expect(best.advised.outcome.remoteShare).toBeLessThan(0.05);
  });

  test('nothing of both, where the page cache is clean and unmapped and the ratio small', () => {
    const proposed = (model: HostModel): Partial<HostSysctls>[] => {
      const guests = [planned('a', 600, 0)];
      const request: AdviceRequest = { host: model, guests, demand: {}, seed: 1 };
      const today = evaluate(request, NO_CHANGE);
      const changes = nodeReclaimChanges(request, resolveDemand(request), today);
      return changes.map(({ sysctl }) => sysctl);
    };
    const [mappedPages, dirtyPages] = [100 * MIB, 100 * MIB];
    expect(proposed(cached({}, {}))).toEqual([]);
    expect(proposed(cached({}, { dirtyPages }))).toEqual([{ zone_reclaim_mode: 3 }]);
    expect(proposed(cached({}, { mappedPages }))).toEqual([{ zone_reclaim_mode: 5 }]);
    const both = [3, 5, 7].map((zone_reclaim_mode) => ({ zone_reclaim_mode }));
    expect(proposed(cached({}, { mappedPages, dirtyPages }))).toEqual(both);
  });
});

test('lowmem_reserve_ratio as the kernel has it, where a large reserve keeps a guest from the lower zone', () => {
  const model = host([{ mib: 2048 }, { mib: 1024 }]);
  const [first, second] = model.nodes;
  const [normal] = first!.zones;
  const half = normal!.managedPages / 2;
  const freeBlocks = [...Array<number>(10).fill(0), half / 1024];
  const zone = {
    ...{ ...normal!, spannedPages: half, presentPages: half, managedPages: half },
    ...{ freePages: half, freeBlocks },
  };
  const lower = { ...zone, name: 'DMA32' as const, protectionPages: [0, 0, half, half] };
  const upper = { ...zone, startPfn: normal!.startPfn + half };
  const split: HostModel = {
    ...model,
    nodes: [{ ...first!, zones: [lower, upper] }, second!],
    sysctl: { ...model.sysctl, lowmem_reserve_ratio: [1, 1, 1, 0] },
  };
  const best = advised({ host: split, guests: [planned('a', 1980, 0)], demand: {} }, [
    'lowmem_reserve_ratio',
  ]);
  expect(best.baseline.outcome.remoteShare).toBeGreaterThan(0.4);
  const [lowest = 0] = best.advised.sysctl.lowmem_reserve_ratio ?? [];
  expect(lowest).toBeGreaterThanOrEqual(256);
  expect(best.advised.outcome.remoteShare).toBe(0);
});
