import { cacheStep, guestStep, makeHost } from '../test/host';
import { deactivationPasses } from './direct-reclaim';
import { buildKernel } from './kernel';
import { passTime } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './lru';
import { statPages, statRefaults } from './lruvec';
import { addGroup } from './memcg';
import { flushMemcgStats, FLUSH_INTERVAL_NS, readGroupStats } from './memcg-stats';
import { replay } from './replay';
import { inactiveIsLow } from './scan-count';
import type { HostModel, KernelProfileName, ReplayStep } from './types';

const ON0 = { mode: 'bind' as const, nodes: [0] };

const hostOf = (kernelProfile: KernelProfileName): HostModel => ({
  ...makeHost([{ cpus: 2, zones: [{ name: 'Normal', pages: 65536 }] }]),
  kernelProfile,
});
const kernelOf = (name: KernelProfileName) =>
  buildKernel({ host: hostOf(name), runningGuests: [], steps: [], seed: 1 });
const run = (name: KernelProfileName, steps: ReplayStep[]) =>
  replay({ host: hostOf(name), runningGuests: [], steps, seed: 1, verify: true });

describe('what reclaim knows of the lists', () => {
  it('is what they were when they were added up last', () => {
    const lruvec = kernelOf('6.1.y').nodes[0]!;
    lruvec.flushed = { pages: [0, 0, 100, 101], refaults: [3, 4] };
    expect([LRU_INACTIVE_FILE, LRU_ACTIVE_FILE].map((list) => statPages(lruvec, list))).toEqual([
      100, 101,
    ]);
    expect(statRefaults(lruvec)).toEqual([3, 4]);
    expect(inactiveIsLow(lruvec, LRU_INACTIVE_FILE)).toBe(true);
    delete lruvec.flushed;
    expect(inactiveIsLow(lruvec, LRU_INACTIVE_FILE)).toBe(false);
    expect(statRefaults(lruvec)).toEqual([0, 0]);
  });

  it('is renewed every 504 ticks of 4 ms, missed sums at once', () => {
    const k = kernelOf('6.12');
    const node = k.nodes[0]!;
    // generic-2s: first one second behind the start.
    expect(k.statsFlushNs).toBe(1e9);
    node.refaults = [0, 7];
    passTime(k, 1e9 - 1, false);
    flushMemcgStats(k);
    expect(statRefaults(node)).toEqual([0, 0]);
    passTime(k, 1, false);
    flushMemcgStats(k);
    expect(statRefaults(node)).toEqual([0, 7]);
    expect(FLUSH_INTERVAL_NS).toBe(504 * 4e6);
    expect(k.statsFlushNs).toBe(3_016_000_000);
    node.refaults = [0, 8];
    passTime(k, 5e9, false);
    flushMemcgStats(k);
    expect(statRefaults(node)).toEqual([0, 8]);
    // 1, 3.016 and 5.032 s have gone by.
    expect(k.statsFlushNs).toBe(7_048_000_000);
  });

  it('is exact under 6.1 and 5.10, which add up before they read', () => {
    for (const name of ['6.1.y', '5.10'] as const) {
      const k = kernelOf(name);
      expect(k.statsFlushNs).toBe(Infinity);
      k.nodes[0]!.refaults = [0, 7];
      expect(statRefaults(k.nodes[0]!)).toEqual([0, 7]);
    }
  });

  it('starts empty for a new group, and is renewed when its files are read', () => {
    const k = kernelOf('6.12');
    const lruvec = addGroup(k, 'g').lruvecs[0]!;
    lruvec.refaults = [1, 2];
    expect(statRefaults(lruvec)).toEqual([0, 0]);
    readGroupStats(k);
    expect(statRefaults(lruvec)).toEqual([1, 2]);
    expect(statPages(k.nodes[0]!, LRU_INACTIVE_FILE)).toBe(0);
  });
});

/** Cache that was read twice, the sum of which is taken before the guest comes. */
const SECOND: ReplayStep[] = Array.from({ length: 3 }, () => ({ op: 'settle' as const }));

describe('reclaim by old sums', () => {
  it('goes on deactivating cache when enough of it is inactive', () => {
    const steps = [cacheStep(50_000, 0, { passes: 2 }), ...SECOND, guestStep('g', 30_000, ON0)];
    const split = (name: KernelProfileName): [inactive: number, active: number] => {
      const { lru } = run(name, steps).steps.at(-1)!.snapshot.nodes[0]!;
      return [lru.inactiveFilePages, lru.activeFilePages];
    };
    // Under 6.1 the two lists are kept alike, by batches of 32.
    const [inactive, active] = split('6.1.y');
    expect(Math.abs(inactive - active)).toBeLessThan(0.05 * active);
    // The sum still says that nothing is inactive.
    const [later, kept] = split('6.12');
    expect(kept).toBeLessThan(0.8 * later);
  });

  it('turns to anonymous memory when it saw only cache that is idle no more', () => {
    const steps: ReplayStep[] = [
      { op: 'swapon', pages: 40_000 },
      guestStep('idle', 10_000, ON0),
      cacheStep(45_000, 0),
      ...SECOND,
      cacheStep(45_000, 0),
      guestStep('g', 12_000, ON0),
    ];
    const swapped = (name: KernelProfileName): number =>
      run(name, steps).steps.at(-1)!.snapshot.vmstat.pswpout ?? 0;
    // The sum says 45 000 inactive pages, so that a first round of all priorities looks at an empty list.
    expect(swapped('6.12')).toBeGreaterThan(5000);
    expect(swapped('6.1.y')).toBe(0);
  });
});

describe('reclaim in vain', () => {
  it('is repeated over all groups before lists are deactivated by force (6.11)', () => {
    expect(deactivationPasses(kernelOf('6.12'))).toEqual([false, false, true]);
    expect(deactivationPasses(kernelOf('6.1.y'))).toEqual([false, true]);
  });
});
