import { boot } from './boot';
import { referenceMachine } from './index';
import { alloc, free, lab, nodeBase } from './lab';
import { getScanCount, prepareScanCount, scanControl } from './scan-count';
import type { ScanControl } from './scan-count';
import type { Node } from './state';

describe('what a pass scans', () => {
  /** A node of 8192 pages (high mark 96) with these pages on its lists, and what a pass would scan of them. */
  function scan(
    lruPages: number[],
    given: Partial<ScanControl>,
    more: { swap?: number; swappiness?: number; free?: number; costs?: [number, number] } = {},
  ): number[] {
    const config = lab([8192], 64, { swappiness: more.swappiness ?? 60 });
    config.swapPages = more.swap ?? 1000;
    const system = boot(config, null);
    const node = system.nodes[0] as Node;
    node.lruPages = [...lruPages, 0];
    [node.anonCost, node.fileCost] = more.costs ?? [0, 0];
    node.zones.forEach((zone) => {
      zone.free = more.free ?? 1000;
      zone.lruPages = node.lruPages;
    });
    const sc = scanControl({ maySwap: true, ...given });
    prepareScanCount(node, sc);
    return getScanCount(system, node, sc);
  }

  it('is only cache without swap space', () => {
    expect(scan([1024, 2048, 512, 4096], { priority: 2 }, { swap: 0 })).toEqual([0, 0, 128, 1024]);
  });

  it('is only cache when swapping is not allowed', () => {
    const sc = { priority: 2, maySwap: false };
    expect(scan([1024, 2048, 512, 4096], sc)).toEqual([0, 0, 128, 1024]);
  });

  it('is everything at priority 0', () => {
    expect(scan([1024, 2048, 512, 4096], { priority: 0 })).toEqual([1024, 2048, 512, 4096]);
  });

  it('is only anonymous pages when cache and free pages are below the high marks', () => {
    // 30 + 20 + 40 <= 96, the inactive anonymous list is not low and 1024 >> 4 is not 0.
    expect(scan([1024, 512, 30, 20], { priority: 4 }, { free: 40 })).toEqual([64, 32, 0, 0]);
    // One more than the high mark: no longer tiny; 30 >> 4 = 1 inactive page is enough to trim the cache.
    expect(scan([1024, 512, 30, 20], { priority: 4 }, { free: 47 })).toEqual([0, 0, 1, 1]);
  });

  it('is only cache while there is enough of it inactive', () => {
    expect(scan([1024, 2048, 4096, 512], { priority: 2 })).toEqual([0, 0, 1024, 128]);
  });

  it('is split by swappiness and costs otherwise', () => {
    // Inactive cache is low (512 < 4096). Without costs: anon 60, file 140 of 200.
    expect(scan([1024, 2048, 512, 4096], { priority: 2 })).toEqual([76, 153, 89, 716]);
    // Costs 30 and 0: T = 30, a = 60, f = 30, sum 90; ap = 60 * 91 div 61 = 89, fp = 140 * 91 div 31 = 410.
    const costs: [number, number] = [30, 0];
    expect(scan([1024, 2048, 512, 4096], { priority: 2 }, { costs })).toEqual([45, 91, 105, 841]);
    // Swappiness 0 leaves anonymous pages alone, even at priority 0.
    const sc = { priority: 0 };
    expect(scan([1024, 2048, 512, 4096], sc, { swappiness: 0 })).toEqual([0, 0, 512, 4096]);
  });
});

describe('node_reclaim', () => {
  // Two nodes of 8192 pages with min 64, low 80, high 96; pcp: batch 1, high 80.
  const config = lab([8192, 8192], 128, { zone_reclaim_mode: 1 });

  it('frees 32 pages of cache, which stay on the pcp: the request goes to the other node', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('file', 8112));
    expect(machine.picture().zones[0]?.free).toBe(80);
    expect(machine.picture().vmstat).not.toHaveProperty('pgscan_direct');
    machine.run(alloc('file', 1));
    const picture = machine.picture();
    expect(picture.vmstat).toMatchObject({
      pgscan_direct: 32,
      pgsteal_direct: 32,
      pgsteal_file: 32,
      numa_miss: 1,
    });
    expect(picture.vmstat).not.toHaveProperty('allocstall_movable');
    expect(picture.zones[0]).toMatchObject({ free: 80 });
    // The oldest pages; the youngest of the batch was freed first and is the oldest on the pcp.
    expect(picture.zones[0]?.pcps[0]?.lists[1]).toEqual(
      Array.from({ length: 32 }, (_, i) => nodeBase(0) + i),
    );
    expect(picture.nodes[0]).toMatchObject({ nonresidentAge: 32 });
    // One pass of 4000 ns, 32 pages at 10 + 30 ns; the last page is remote.
    expect(picture.timeNs).toBe(8112 * 1000 + 4000 + 32 * 40 + 1500);
  });

  it('keeps requests local once the pcp overflows', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('file', 8112 + 3));
    // Two passes fill the pcp to 64; during the third it gives pages back from the 80th on.
    expect(machine.picture().vmstat).toMatchObject({ pgsteal_direct: 96, numa_miss: 2 });
  });

  it('does nothing for atomic requests, and nothing on other nodes that have CPUs', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('file', 8112));
    machine.run(alloc('atomic', 1));
    machine.run(alloc('file', 1, { cpu: 1, policy: { mode: 'preferred', nodes: [0] } }));
    expect(machine.picture().vmstat).not.toHaveProperty('pgscan_direct');
  });
});

describe('kswapd', () => {
  // min 64, low 80, high 96.
  const config = lab([8192], 64);

  it('wakes when no zone is above low, and naps when one is above high', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('file', 8112));
    expect(machine.picture().nodes[0]).toMatchObject({
      kswapdState: 'asleep',
      kswapdNextNs: Infinity,
    });
    machine.run(alloc('file', 1));
    // On its only CPU it can run as soon as the task lets it: at once.
    expect(machine.picture().nodes[0]).toMatchObject({
      kswapdState: 'running',
      kswapdNextNs: 8_112_000,
    });
    machine.run(alloc('file', 1));
    const picture = machine.picture();
    // Priorities 12 to 9 of 8113 pages: 1 + 3 + 7 + 15.
    expect(picture.vmstat).toMatchObject({ pgscan_kswapd: 26, pgsteal_kswapd: 26, pageoutrun: 1 });
    const stopped = 8_113_000 + 4 * 4000 + 26 * 40;
    expect(picture.timeNs).toBe(stopped + 1000);
    expect(picture.nodes[0]).toMatchObject({
      kswapdState: 'napping',
      kswapdNextNs: stopped + 100_000_000,
    });
    // 79 + 26, less what the pcp holds (at most 4 * batch while reclaim is active), less the request.
    expect(picture.zones[0]?.free).toBeGreaterThan(96);
  });

  it('gives up on a node without anything to reclaim after 16 runs', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('kernel', 8112));
    machine.run(alloc('kernel', 1));
    machine.run({ op: 'settle' });
    const picture = machine.picture();
    expect(picture.nodes[0]).toMatchObject({ kswapdState: 'napping', kswapdFailures: 16 });
    expect(picture.vmstat).toMatchObject({ pageoutrun: 16, kswapd_high_wmark_hit_quickly: 15 });
  });
});

describe('reclaim of anonymous pages', () => {
  it('keeps a page at the first look, swaps it out at the second, frees it once it is written', () => {
    const config = lab([8192], 64, { swappiness: 200 });
    config.swapPages = 100;
    const machine = referenceMachine(config);
    machine.run(alloc('anon', 40));
    const look = (): number =>
      machine.run({ op: 'reclaim', cpu: 0, policy: { mode: 'default', nodes: [] } }).done;
    // At priority 0 all 40 pages are seen: 32 in the first round, then 8; priorities 5 to 1 see some before. What
    // is written leaves for the device when the pass is over.
    expect(look()).toBe(0);
    expect(machine.picture().vmstat['pswpout']).toBeGreaterThan(0);
    expect(look()).toBeGreaterThan(0);
    const picture = machine.picture();
    expect(picture.vmstat['pswpout']).toBe(100 - picture.swapFreePages);
    const swapped = picture.owners[0]?.frames.filter((frame) => frame === -2).length ?? 0;
    expect(swapped).toBe(picture.vmstat['pswpout']);
    expect(picture.vmstat['pgsteal_anon']).toBe(
      swapped - picture.flags.filter(([, bits]) => (bits & 8) !== 0).length,
    );
    machine.verify();
    expect(machine.run(free(0, 40))).toEqual({ done: 40 });
    expect(machine.picture().swapFreePages).toBe(100);
  });
});
