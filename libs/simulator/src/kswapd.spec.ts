import { cacheStep, guestStep, makeHost, twoNodes } from '../test/host';
import { shrinkNode } from './direct-reclaim';
import { buildKernel } from './kernel';
import { sliceNs } from './kswapd';
import { kernelProfiles } from './profile';
import { replay } from './replay';
import { scanControl } from './scan-control';
import type { HostModel, ReplayStep } from './types';
import { validateHostModel } from './validate-host';

const ON0 = { mode: 'bind' as const, nodes: [0] };
const run = (host: HostModel, steps: ReplayStep[]) =>
  replay({ host, runningGuests: [], steps, seed: 1, verify: true, hardwareProfile: 'lab-tcg' });

/** The first node has as many CPUs as asked for; the second none. */
const hostWith = (cpus: number): HostModel => {
  const zones = [{ name: 'Normal' as const, pages: 32768 }];
  return makeHost([
    { cpus, zones },
    { cpus: 0, zones },
  ]);
};

describe('turns on a shared CPU', () => {
  it('last half the latency of the scheduler, to the next tick of 4 ms', () => {
    const on = (name: '6.1.y' | '6.12') =>
      [1, 2, 3, 4, 8, 64].map((cpus) => sliceNs(kernelProfiles[name], cpus));
    // Half of 6, 12, 12, 18, 24 and 24 ms.
    expect(on('6.1.y')).toEqual([4e6, 8e6, 8e6, 12e6, 16e6, 16e6]);
    // 6.12 has turns of 0.75 to 3 ms.
    expect(on('6.12')).toEqual([4e6, 4e6, 4e6, 4e6, 4e6, 4e6]);
  });

  it('are not taken by a thread that may run elsewhere', () => {
    const zones = [{ name: 'Normal' as const, pages: 32768 }];
    const host = makeHost([
      { cpus: 1, zones },
      { cpus: 1, zones },
    ]);
    const byOtherCpu = (roams: boolean): number => {
      const guest = guestStep('g', 12000, ON0, { cpuNodes: [0, 1], roams });
      // Marks far apart make one run of kswapd longer than a turn.
      const marks: ReplayStep = { op: 'sysctl', name: 'watermark_scale_factor', value: 2000 };
      const { nodes } = run(host, [cacheStep(26000, 0), marks, guest]).steps[2]!.snapshot;
      return nodes[0]!.numastat.otherNode;
    };
    // All but the first block; threads that are bound share the blocks evenly.
    expect(byOtherCpu(true)).toBe(11_488);
    expect(byOtherCpu(false)).toBe(5_856);
  });
});

describe('the first reclaim', () => {
  it.each([
    // Looks at empty lists: a round of 5 us, the first one 2.6 ms later; a host in use knows no first one.
    ['lab-tcg', [2_605_000, 5_000, 5_000]],
    ['generic-2s', [1_500, 1_500, 1_500]],
  ])('of a machine takes longer where its code has not run yet: %s', (hardwareProfile, ns) => {
    const host = hostWith(2);
    const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1, hardwareProfile });
    const took = ns.map((_, turn) => {
      const beforeNs = k.timeNs;
      shrinkNode(k, k.nodes[turn % 2]!, scanControl({ cpu: 0 }));
      return k.timeNs - beforeNs;
    });
    expect(took).toEqual(ns);
  });
});

describe('kswapd beside the allocating task', () => {
  it.each([1, 2])('keeps a bound guest out of direct reclaim, %i CPUs', (cpus) => {
    const result = run(hostWith(cpus), [cacheStep(30000, 0), guestStep('g', 9000, ON0)]);
    const { vmstat } = result.steps[1]!.snapshot;
    expect(vmstat.pgsteal_kswapd).toBeGreaterThan(5000);
    expect(vmstat.pgsteal_direct ?? 0).toBeLessThan(vmstat.pgsteal_kswapd! / 10);
  });

  it('is too slow for a guest that has to be swapped for', () => {
    const result = run(hostWith(1), [
      { op: 'swapon', pages: 20000 },
      guestStep('a', 28000, ON0),
      guestStep('b', 9000, ON0),
    ]);
    const { vmstat } = result.steps[2]!.snapshot;
    expect(vmstat.pgsteal_kswapd).toBeGreaterThan(0);
    expect(vmstat.allocstall_movable).toBeGreaterThan(0);
    expect(result.totals.stallNs).toBeGreaterThan(0);
  });

  it('reclaims a page of memory only on the look after it was written to swap', () => {
    const result = run(hostWith(1), [
      { op: 'swapon', pages: 20000 },
      guestStep('a', 28000, ON0),
      guestStep('b', 9000, ON0),
    ]);
    const { vmstat } = result.steps[2]!.snapshot;
    expect(vmstat.pgscan_anon).toBeGreaterThanOrEqual(2 * vmstat.pgsteal_anon!);
    expect(vmstat.pswpout).toBeGreaterThanOrEqual(vmstat.pgsteal_anon!);
  });

  it('has ended its work when a step is over', () => {
    const result = run(hostWith(2), [cacheStep(30000, 0), guestStep('g', 9000, ON0)]);
    const { events, snapshot } = result.steps[1]!;
    const woken = events.find(({ type }) => type === 'kswapd_wake')!;
    const asleep = events.find(({ type }) => type === 'kswapd_sleep')!;
    expect(asleep.timeNs).toBeGreaterThan(woken.timeNs);
    expect(asleep.timeNs).toBeLessThanOrEqual(snapshot.timeNs);
    expect(snapshot.nodes[0]!.zones[0]!.freePages).toBeGreaterThan(
      snapshot.nodes[0]!.zones[0]!.minPages,
    );
  });

  it('naps 100 ms and looks again, so that a slow guest finds it awake', () => {
    const slow: ReplayStep = {
      ...(guestStep('g', 9000, ON0) as Extract<ReplayStep, { op: 'guest' }>),
      ratePagesPerSecond: 3000,
    };
    const result = run(hostWith(2), [cacheStep(30000, 0), slow]);
    expect(result.steps[1]!.durationNs).toBeGreaterThan(2.9e9);
    expect(result.steps[1]!.snapshot.vmstat.kswapd_high_wmark_hit_quickly).toBeGreaterThan(0);
  });

  it('says by which rule', () => {
    expect(run(twoNodes(), []).profile.scheduleRule).toContain('side by side in virtual time');
  });
});

it('swapoff brings a process back with its own pages', () => {
  const guest = guestStep('a', 28000, ON0) as Extract<ReplayStep, { op: 'guest' }>;
  guest.guest.overheadPages = 12;
  const result = run(hostWith(1), [
    { op: 'swapon', pages: 20000 },
    guest,
    guestStep('b', 9000, ON0),
    { op: 'kill', name: 'b' },
    { op: 'swapoff' },
  ]);
  expect(result.steps[2]!.snapshot.swapUsedPages).toBeGreaterThan(0);
  expect(result.steps[4]!.snapshot.swapUsedPages).toBe(0);
});

it('event counters may exceed any number of pages', () => {
  const host = twoNodes();
  host.nodes[0]!.numastat.numaHit = Number.MAX_SAFE_INTEGER;
  expect(validateHostModel(host)).toEqual([]);
  host.nodes[0]!.numastat.numaHit = -1;
  expect(validateHostModel(host).map(({ path }) => path)).toEqual(['nodes[0].numastat.numaHit']);
});
