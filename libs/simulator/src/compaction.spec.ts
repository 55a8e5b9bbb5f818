import { guestStep, makeHost } from '../test/host';
import { MIGRATE_MOVABLE, PAGEBLOCK_PAGES } from './buddy';
import { compactState } from './compact-control';
import { compactZone } from './compact-zone';
import { compactionDefer, compactionDeferred, compactionDeferReset } from './compaction-defer';
import {
  fragmentationScoreNode,
  fragmentationScoreZone,
  scoreHighMark,
  scoreLowMark,
} from './fragmentation-score';
import { hardwareProfiles } from './hardware-profile';
import { finishKcompactds, kcompactdTurn, wakeupKcompactd } from './kcompactd';
import { buildKernel } from './kernel';
import type { KernelState } from './kernel-state';
import {
  accountRun,
  frameAt,
  LRU_INACTIVE_ANON,
  LRU_UNEVICTABLE,
  lruList,
  newRun,
  piecesOf,
  type Run,
} from './lru';
import { newMapping } from './page-map';
import { freeToPcp } from './pcp';
import { replay } from './replay';
import { writeSysctl } from './sysctl';
import type { HostModel, ReplayStep } from './types';
import type { Zone } from './zone';

const START_PFN = 1_048_576;

/** One node with one zone of so many pageblocks, all of it the kernel's; marks are 0. */
function emptyZone(
  pageblocks: number,
  kernelProfile: '6.1.y' | '6.12' = '6.1.y',
): { k: KernelState; zone: Zone } {
  const pages = pageblocks * PAGEBLOCK_PAGES;
  const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages }] }], { usedShare: 1 });
  host.nodes[0]!.zones[0]!.startPfn = START_PFN;
  host.kernelProfile = kernelProfile;
  const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
  const zone = k.zones[0]!;
  zone.min = 0;
  zone.low = 0;
  zone.high = 0;
  zone.protection.fill(0);
  zone.statThreshold = 0;
  return { k, zone };
}

/** LRU pages at [frame, frame + pages), oldest first, with the same numbers for their owner. */
function addPages(k: KernelState, zone: Zone, frame: number, pages: number): Run {
  const owner = newMapping('anon', `at ${frame}`, k.nodes.length, false);
  const run = newRun({ owner, zone, pages, frame, offset: frame });
  accountRun(run, 1);
  lruList(zone.node, run, false).push(run);
  return run;
}

/** Frames of the inactive list by the owner's page, oldest first. */
function listed({ node }: Zone): [page: number, frame: number][] {
  return node.lists[LRU_INACTIVE_ANON]!.runs()
    .flatMap(piecesOf)
    .flatMap((run) =>
      Array.from({ length: run.pages }, (_, i): [number, number] => [
        run.offset + i * run.stride,
        frameAt(run, i),
      ]),
    );
}

const WHOLE = {
  order: -1,
  mode: 'sync-light',
  cpu: 0,
  wholeZone: true,
  ignoreSkipHint: true,
} as const;

describe('compactZone()', () => {
  it('moves a batch to the end of the zone, its highest page first', () => {
    const { k, zone } = emptyZone(4);
    addPages(k, zone, 0, 32);
    zone.buddy.add(1536, 6, MIGRATE_MOVABLE, true);
    zone.buddy.add(1664, 5, MIGRATE_MOVABLE, true);
    const outcome = compactZone(k, zone, WHOLE);
    // 32 looked at and moved, then the rest of the pageblock and the next two; the free block counts whole.
    expect(outcome).toMatchObject({ result: 'complete', migrateScanned: 1536, freeScanned: 64 });
    expect(Object.fromEntries(k.vmstat)).toMatchObject({
      compact_migrate_scanned: 1536,
      compact_free_scanned: 64,
      compact_isolated: 96,
      pgmigrate_success: 32,
    });
    const moved = Array.from({ length: 32 }, (_, i) => [31 - i, 1599 - i]);
    expect(listed(zone)).toEqual(moved);
    expect([zone.buddy.lruPages[0], zone.buddy.lruPages[3]]).toEqual([0, 32]);
    // The 32 frames left behind and the 32 not needed went to the CPU's list.
    expect(zone.pcps[0]!.pages + zone.buddy.freePages).toBe(96);
  });

  it('keeps free blocks whole from 6.9 on: the first page of the first is used first, the rest returns as blocks', () => {
    const { k, zone } = emptyZone(4, '6.12');
    addPages(k, zone, 0, 32);
    zone.buddy.add(1536, 6, MIGRATE_MOVABLE, true);
    zone.buddy.add(1664, 5, MIGRATE_MOVABLE, true);
    compactZone(k, zone, WHOLE);
    expect(listed(zone)).toEqual(Array.from({ length: 32 }, (_, i) => [31 - i, 1536 + i]));
    // The upper half of the larger block returned in one piece, and the frames left behind one by one.
    expect(zone.buddy.orderAt(1568)).toBe(5);
    expect(zone.buddy.orderAt(1664)).toBe(5);
    expect(zone.pcps[0]!.pages).toBe(32);
  });

  it.each(['6.1.y', '6.12'] as const)(
    'leaves pages whose buffers are in use where they are, and moves those behind them to what was free for these (%s)',
    (kernelProfile) => {
      const { k, zone } = emptyZone(4, kernelProfile);
      const held = addPages(k, zone, 0, 2);
      held.owner.held = true;
      addPages(k, zone, PAGEBLOCK_PAGES, 8);
      zone.buddy.add(1536, 5, MIGRATE_MOVABLE, true);
      zone.buddy.add(1664, 5, MIGRATE_MOVABLE, true);
      expect(compactZone(k, zone, WHOLE).result).toBe('complete');
      expect(Object.fromEntries(k.vmstat)).toMatchObject({
        pgmigrate_fail: 2,
        pgmigrate_success: 8,
        compact_isolated: 42,
      });
      expect([0, 1, 2, 3].map((block) => zone.buddy.lruPages[block])).toEqual([2, 0, 0, 8]);
      // The two stand on their list again, and nothing was lost.
      expect(zone.node.lists[LRU_INACTIVE_ANON]!.pages).toBe(10);
      expect(zone.pcps[0]!.pages + zone.buddy.freePages).toBe(64);
    },
  );

  it('empties the lists of a CPU that kept freeing, when it returns the free blocks of a move that failed (6.12)', () => {
    const { k, zone } = emptyZone(4, '6.12');
    addPages(k, zone, 0, 2).owner.held = true;
    zone.buddy.add(1536, 5, MIGRATE_MOVABLE, true);
    zone.buddy.add(1664, 5, MIGRATE_MOVABLE, true);
    const pcp = zone.pcps[0]!;
    Object.assign(zone, { pcpBatch: 63, pcpHigh: 500, pcpHighMax: 5000 });
    pcp.high = 3000;
    freeToPcp(zone, 0, 0, 512, 400, 1);
    expect(pcp.pages).toBe(400);
    compactZone(k, zone, WHOLE);
    // Two pages, then blocks of order 1 and 2, the second of which flushes the lists; that of order 3 finds them empty, and that of
    // order 4 passes them by.
    expect([pcp.pages, zone.buddy.freePages]).toEqual([8, 456]);
    expect(pcp.high).toBeLessThan(3000);
  });

  it('counts each page of a free block that it passes as looked at, from 6.4 on', () => {
    const scanned = (['6.1.y', '6.12'] as const).map((kernelProfile) => {
      const { k, zone } = emptyZone(4, kernelProfile);
      addPages(k, zone, 0, 32);
      zone.buddy.add(64, 6, MIGRATE_MOVABLE, true);
      zone.buddy.add(1536, 5, MIGRATE_MOVABLE, true);
      return compactZone(k, zone, WHOLE).migrateScanned;
    });
    expect(scanned[1]! - scanned[0]!).toBe(63);
  });

  it.each([
    [0, 0],
    [1, 32],
  ])('with vm.compact_unevictable_allowed %i moves %i of 32 locked pages', (allowed, moved) => {
    const { k, zone } = emptyZone(4);
    k.sysctl.compact_unevictable_allowed = allowed;
    const owner = newMapping('anon', 'locked', k.nodes.length, false);
    const run = newRun({ owner, zone, pages: 32, frame: 0, offset: 0 });
    accountRun(run, 1);
    zone.node.lists[LRU_UNEVICTABLE]!.push(run);
    zone.buddy.add(1536, 6, MIGRATE_MOVABLE, true);
    zone.buddy.add(1664, 5, MIGRATE_MOVABLE, true);
    compactZone(k, zone, WHOLE);
    expect(k.vmstat.get('pgmigrate_success') ?? 0).toBe(moved);
    expect([zone.buddy.lruPages[0], zone.buddy.lruPages[3]]).toEqual([32 - moved, moved]);
    expect(zone.node.lists[LRU_UNEVICTABLE]!.pages).toBe(32);
  });

  it.each([
    [334, 'skipped'],
    [333, 'partial'],
  ])('with vm.extfrag_threshold %i is %s where the index is 0.334', (threshold, result) => {
    const { k, zone } = emptyZone(12);
    k.sysctl.extfrag_threshold = threshold;
    // 1536 pages in 6 blocks: 1 - (1 + 1536 / 512) / 6, rounded up to thousandths.
    for (let block = 0; block < 6; block += 1)
      zone.buddy.add(block * PAGEBLOCK_PAGES, 8, MIGRATE_MOVABLE, true);
    addPages(k, zone, 256, 32);
    const outcome = compactZone(k, zone, { order: 9, mode: 'async', cpu: 0, classIndex: 2 });
    expect(outcome.result).toBe(result);
    expect(outcome.migrateScanned > 0).toBe(threshold === 333);
  });

  it('looks for free pages ever more coarsely, and gives up where the scanners meet', () => {
    const { k, zone } = emptyZone(12);
    addPages(k, zone, 0, 12 * PAGEBLOCK_PAGES);
    const outcome = compactZone(k, zone, WHOLE);
    // 512 + 256 + 128 + 64 + 32, then 16 for each of the other six pageblocks.
    expect(outcome).toMatchObject({ result: 'complete', migrateScanned: 32, freeScanned: 1088 });
    expect(Object.fromEntries(k.vmstat)).toMatchObject({ pgmigrate_fail: 1, compact_isolated: 32 });
    // Those isolated are the youngest now, the highest first.
    expect(
      listed(zone)
        .slice(-32)
        .map(([page]) => page),
    ).toEqual(Array.from({ length: 32 }, (_, i) => 31 - i));
  });

  it('leaves what the min mark needs, and huge pages where they are', () => {
    const { k, zone } = emptyZone(4);
    const huge = addPages(k, zone, 0, PAGEBLOCK_PAGES);
    huge.huge = true;
    addPages(k, zone, 512, 8);
    zone.buddy.add(1536, 3, MIGRATE_MOVABLE, true);
    zone.min = 1;
    const outcome = compactZone(k, zone, WHOLE);
    // 8 pages free are not more than 1 + 8. The huge page's block is passed over unseen.
    expect(outcome).toMatchObject({ result: 'contended', migrateScanned: 512, freeScanned: 1 });
    expect(zone.buddy.freePages).toBe(8);
  });

  /** A pageblock that is free and used in turn, and enough to move to at the zone's end. */
  function halfUsed(start: number, order: number): { k: KernelState; zone: Zone } {
    const { k, zone } = emptyZone(8);
    for (let frame = start; frame < start + 512; frame += 2 << order) {
      zone.buddy.add(frame, order, MIGRATE_MOVABLE, true);
      addPages(k, zone, frame + (1 << order), 1 << order);
    }
    for (let frame = 2048; frame < 4096; frame += 128) {
      zone.buddy.add(frame, 6, MIGRATE_MOVABLE, true);
    }
    return { k, zone };
  }
  const PAGEBLOCK = { order: 9, mode: 'sync-light', cpu: 0, classIndex: 2 } as const;

  it('empties pageblocks one by one, and ends when one is free', () => {
    const { k, zone } = halfUsed(512, 2);
    expect(compactZone(k, zone, PAGEBLOCK).result).toBe('success');
    expect(k.vmstat.get('pgmigrate_success')).toBe(256);
    expect(zone.buddy.orderAt(512)).toBe(9);
  });

  it('passes over the pageblock that the fast search found, which marks it to be skipped (6.1.y)', () => {
    const { k, zone } = halfUsed(512, 5);
    expect(compactZone(k, zone, PAGEBLOCK).result).toBe('partial');
    expect(compactState(zone).skip[1]).toBe(1);
    expect(k.vmstat.get('pgmigrate_success')).toBe(0);
  });

  it('does not start where a block is free already, or too little', () => {
    const { k, zone } = emptyZone(4);
    zone.buddy.add(0, 9, MIGRATE_MOVABLE, true);
    const huge = { order: 9, mode: 'async', cpu: 0, classIndex: 2 } as const;
    expect(compactZone(k, zone, huge).result).toBe('success');
    zone.min = 1;
    expect(compactZone(k, zone, huge).result).toBe('skipped');
    expect(k.vmstat.get('compact_migrate_scanned')).toBe(0);
  });
});

describe('deferred compaction', () => {
  it('is left out once, three times, seven times after one more failure each', () => {
    const { zone } = emptyZone(1);
    const leftOut = (): number => {
      let times = 0;
      while (compactionDeferred(zone, 9)) times += 1;
      return times;
    };
    expect(leftOut()).toBe(0);
    for (const times of [1, 3, 7]) {
      compactionDefer(zone, 9);
      expect(leftOut()).toBe(times);
    }
    for (let i = 0; i < 9; i += 1) compactionDefer(zone, 9);
    expect(leftOut()).toBe(63);
  });

  it('does not concern smaller orders, and ends with a success', () => {
    const { zone } = emptyZone(1);
    compactState(zone).orderFailed = 9;
    compactionDefer(zone, 9);
    expect(compactionDeferred(zone, 8)).toBe(false);
    expect(compactionDeferred(zone, 9)).toBe(true);
    compactionDeferReset(zone, 9, true);
    expect(compactionDeferred(zone, 9)).toBe(false);
  });
});

describe('kcompactd', () => {
  /** Two pageblocks full of single free pages; four of order 10 behind them. */
  function scattered(): { k: KernelState; zone: Zone } {
    const { k, zone } = emptyZone(10);
    for (let frame = 0; frame < 1024; frame += 2) zone.buddy.add(frame, 0, MIGRATE_MOVABLE, true);
    return { k, zone };
  }

  it('sees the share of free memory below 2 MiB, by zone and by node', () => {
    const { zone } = scattered();
    expect(fragmentationScoreZone(zone)).toBe(100);
    // 5120 pages of 5121: rounded down twice.
    expect(fragmentationScoreNode(zone.node)).toBe(99);
    zone.buddy.add(2048, 10, MIGRATE_MOVABLE, true);
    expect(fragmentationScoreZone(zone)).toBe(33);
  });

  it('compacts a scattered node, and looks again after 32 s where that brought nothing', () => {
    const { k, zone } = scattered();
    const task = zone.node.kcompactd;
    task.nextNs = 512e6;
    kcompactdTurn(k, zone.node);
    finishKcompactds(k);
    expect(k.vmstat.get('compact_migrate_scanned')).toBeGreaterThan(0);
    expect(task.nextNs).toBeCloseTo(64 * 512e6 + 512e6, -9);
  });

  it.each([
    [20, 90, 80],
    [96, 15, 5],
    [0, 100, 100],
  ])(
    'with vm.compaction_proactiveness %i begins above a score of %i and ends at %i',
    (value, high, low) => {
      expect([scoreHighMark(value), scoreLowMark(value)]).toEqual([high, low]);
    },
  );

  it('never looks at a node with vm.compaction_proactiveness 0, and at once when it is written', () => {
    const { k, zone } = scattered();
    const task = zone.node.kcompactd;
    task.nextNs = 512e6;
    writeSysctl(k, 'compaction_proactiveness', 0);
    kcompactdTurn(k, zone.node);
    finishKcompactds(k);
    expect([k.vmstat.get('compact_migrate_scanned'), task.nextNs]).toEqual([0, Infinity]);
    k.timeNs = 600e6;
    writeSysctl(k, 'compaction_proactiveness', 50);
    expect([task.triggered, task.nextNs]).toEqual([true, 600e6]);
  });

  it('leaves a node alone whose kswapd works', () => {
    const { k, zone } = scattered();
    zone.node.kswapd.state = 'running';
    kcompactdTurn(k, zone.node);
    finishKcompactds(k);
    expect(k.vmstat.get('compact_migrate_scanned')).toBe(0);
  });

  it('remembers an order that it cannot help with until it looks', () => {
    const { k, zone } = scattered();
    const task = zone.node.kcompactd;
    zone.low = 10_000;
    wakeupKcompactd(k, zone.node, 9, 2, 0);
    expect([task.order, task.nextNs]).toEqual([
      9,
      hardwareProfiles['generic-2s']!.firstCompactCheckNs,
    ]);
    kcompactdTurn(k, zone.node);
    finishKcompactds(k);
    expect(k.vmstat.get('compact_daemon_wake')).toBe(1);
    expect(task.order).toBe(0);
  });
});

describe('compaction in a replay', () => {
  const ON0 = { mode: 'bind' as const, nodes: [0] };
  const host = (): HostModel => ({
    ...makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages: 32768 }] }]),
    thp: { enabled: 'always', defrag: 'always' },
  });
  const run = (steps: ReplayStep[], over: Partial<HostModel> = {}) =>
    replay({ host: { ...host(), ...over }, runningGuests: [], steps, seed: 1, verify: true });
  const scatter: ReplayStep[] = [
    { op: 'thp', enabled: 'never' },
    guestStep('f', 30_000, ON0),
    { op: 'free', name: 'f', cell: 0, offsetPages: 0, pages: 30_000, stepPages: 3, keepPages: 1 },
  ];

  it('frees whole blocks on request, and takes nothing from anyone', () => {
    const result = run([...scatter, { op: 'compact', nodeId: 0 }]);
    const [before, after] = [result.steps[2]!.snapshot, result.steps[3]!.snapshot];
    expect(after.guests).toMatchObject([{ pagesByNode: before.guests[0]!.pagesByNode }]);
    expect(after.nodes[0]!.lru).toEqual(before.nodes[0]!.lru);
    expect(after.vmstat.pgmigrate_success).toBeGreaterThan(5000);
    const large = (blocks: number[]): number => blocks[9]! + 2 * blocks[10]!;
    const blocks = (of: typeof after): number[] => of.nodes[0]!.zones[0]!.freeBlocks;
    expect(large(blocks(after))).toBeGreaterThan(large(blocks(before)) + 30);
    expect(result.steps[3]!.durationNs).toBeGreaterThan(0);
    expect(result.caveats.map(({ code }) => code)).not.toContain('compaction-not-modelled');
  });

  it('gives a huge page fault its block where the fault may wait for it, and only there', () => {
    const huge: ReplayStep = guestStep('g', 4096, ON0);
    const hugePages = (defrag: 'always' | 'never'): number =>
      run([
        ...scatter,
        { op: 'sysctl', name: 'compaction_proactiveness', value: 0 },
        { op: 'thp', enabled: 'always', defrag },
        huge,
      ]).steps[5]!.snapshot.guests[1]!.hugePages;
    expect(hugePages('never')).toBe(3);
    expect(hugePages('always')).toBeGreaterThan(6);
  });

  it('gives the same result twice', () => {
    const steps: ReplayStep[] = [...scatter, { op: 'compact' }, { op: 'settle' }];
    expect(run(steps).stateHash).toBe(run(steps).stateHash);
  });
});
