import fc from 'fast-check';
import { cacheStep, guestStep, twoNodes } from '../test/host';
import { advanceFlusher, dirtyCached, finishWriting, flusherTurn, wakeFlusher } from './flusher';
import { hardwareProfiles } from './hardware-profile';
import { buildKernel } from './kernel';
import type { KernelState } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './lru';
import { replay } from './replay';
import { runStep } from './steps';
import type { HostModel, HostSysctls, ReplayStep, Snapshot } from './types';
import { verify } from './verify';
import {
  dirtyLimits,
  dirtyPages,
  endWriteback,
  startWriteback,
  writebackPages,
  type DirtyFile,
} from './writeback';

const SECOND = 1e9;
/** Nothing is written before the test asks for it. */
const LAZY: Partial<HostSysctls> = { dirty_ratio: 95, dirty_background_ratio: 90 };

function kernel(sysctl: Partial<HostSysctls> = {}, host: HostModel = twoNodes()): KernelState {
  Object.assign(host.sysctl, sysctl);
  return buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
}

function write(k: KernelState, file: string, pages: number, node = 0): void {
  runStep(k, cacheStep(pages, node, { file, access: 'write' }), () => undefined);
}

function waitUntil(k: KernelState, ns: number): void {
  k.allocatorCpu = -1;
  k.timeNs = ns;
  advanceFlusher(k);
  verify(k, 0);
}

const fileOf = (k: KernelState, name: string): DirtyFile | undefined =>
  k.flusher.files.get(k.files.get(name)!.mapping);

describe('dirty limits', () => {
  // 2 nodes with 32 112 free pages and a high mark of 768 each: 62 689 pages with the one that is always added.
  it('are shares of free memory less the reserves, in 4096ths', () => {
    expect(dirtyLimits(kernel())).toEqual({ backgroundPages: 6259, threshPages: 12534 });
  });

  it('keep the background at half of a threshold that is not above it', () => {
    const { backgroundPages } = dirtyLimits(kernel({ dirty_background_ratio: 30 }));
    expect(backgroundPages).toBe(6267);
  });
});

describe('the periodic look', () => {
  it('writes a file 30 s after it was dirtied, not before', () => {
    const k = kernel({ dirty_writeback_centisecs: 500 });
    write(k, 'f', 100);
    waitUntil(k, 29 * SECOND);
    expect(k.nodes[0]!.dirtyPages).toBe(100);
    waitUntil(k, 36 * SECOND);
    expect(dirtyPages(k) + writebackPages(k)).toBe(0);
    expect(k.vmstat.get('nr_written')).toBe(100);
    expect(k.flusher.nextNs).toBe(Infinity);
  });

  it('is not taken when dirty_writeback_centisecs is 0', () => {
    const k = kernel({ dirty_writeback_centisecs: 0 });
    write(k, 'f', 100);
    waitUntil(k, 1000 * SECOND);
    expect(dirtyPages(k)).toBe(100);
  });

  it('takes a file that an earlier run began, whatever its age', () => {
    const k = kernel({ dirty_writeback_centisecs: 500 });
    write(k, 'f', 7000);
    finishWriting(k, SECOND);
    const left = dirtyPages(k);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(dirtyLimits(k).backgroundPages);
    write(k, 'g', 50);
    waitUntil(k, 7 * SECOND);
    expect(fileOf(k, 'f')).toBeUndefined();
    expect(fileOf(k, 'g')?.dirtyPages).toBe(50);
  });

  it('comes at once when it is switched on', () => {
    const k = kernel({ ...LAZY, dirty_writeback_centisecs: 0 });
    write(k, 'f', 100);
    runStep(k, { op: 'sysctl', name: 'dirty_writeback_centisecs', value: 500 }, () => undefined);
    waitUntil(k, k.timeNs + SECOND);
    expect(k.vmstat.get('nr_written')).toBe(100);
  });
});

describe('the order of writing', () => {
  it('is file by file, the first dirtied first, half a second of each in turn', () => {
    const k = kernel(LAZY);
    write(k, 'a', 1500);
    write(k, 'b', 1500);
    // Half a second of 2000 pages per second, rounded up to 1024 pages: 512 ms.
    k.hardware = { ...hardwareProfiles['generic-2s']!, writebackPagesPerSecond: 2000 };
    const start = k.timeNs;
    k.allocatorCpu = -1;
    wakeFlusher(k, true);
    const at = (ms: number): [number | undefined, number | undefined, number] => {
      waitUntil(k, start + k.hardware.flusherLatencyNs + ms * 1e6);
      return [fileOf(k, 'a')?.dirtyPages, fileOf(k, 'b')?.dirtyPages, k.vmstat.get('nr_written')];
    };
    expect(at(500)).toEqual([476, 1500, 0]);
    expect(at(515)).toEqual([476, 476, 1024]);
    expect(at(1030)).toEqual([undefined, 476, 2048]);
    expect(at(2000)).toEqual([undefined, undefined, 3000]);
  });

  it('goes on in a file where the last write ended, and then at its start', () => {
    const k = kernel(LAZY);
    write(k, 'f', 300);
    const file = fileOf(k, 'f')!;
    expect(startWriteback(k, file, 100)).toEqual({ from: 0, to: 100 });
    endWriteback(k, file.mapping, 0, 100);
    dirtyCached(k, file.mapping, 0, 10);
    expect(startWriteback(k, file, 1000)).toEqual({ from: 100, to: 300 });
    expect(startWriteback(k, file, 1000)).toEqual({ from: 0, to: 10 });
    expect(k.nodes[0]!.writebackPages).toBe(210);
  });
});

describe('a page under writeback', () => {
  it('stays dirty when it was written to again', () => {
    const k = kernel(LAZY);
    write(k, 'f', 100);
    const { mapping } = fileOf(k, 'f')!;
    startWriteback(k, fileOf(k, 'f')!, 100);
    dirtyCached(k, mapping, 0, 50);
    endWriteback(k, mapping, 0, 100);
    expect([dirtyPages(k), writebackPages(k), k.vmstat.get('nr_written')]).toEqual([50, 0, 100]);
    expect(k.vmstat.get('nr_dirtied')).toBe(150);
  });

  it('goes to the old end of the inactive list when reclaim had met it', () => {
    const k = kernel(LAZY);
    write(k, 'f', 100);
    const { mapping } = fileOf(k, 'f')!;
    const { lists } = k.nodes[0]!;
    const met = lists[LRU_INACTIVE_FILE]!.take(32)!;
    met.reclaim = true;
    lists[LRU_ACTIVE_FILE]!.push(met);
    const { from, to } = startWriteback(k, fileOf(k, 'f')!, 100);
    endWriteback(k, mapping, from, to);
    expect(lists[LRU_ACTIVE_FILE]!.pages).toBe(0);
    const { offset, pages, reclaim } = lists[LRU_INACTIVE_FILE]!.oldest()!;
    expect({ offset, pages, reclaim }).toEqual({ offset: 0, pages: met.pages, reclaim: false });
    expect(k.vmstat.get('pgrotated')).toBe(met.pages);
  });

  it('leaves one run behind, however many pieces it was written in', () => {
    const k = kernel(LAZY);
    write(k, 'f', 5000);
    const before = k.files.get('f')!.mapping.runs.size;
    wakeFlusher(k, true);
    finishWriting(k, SECOND);
    expect(dirtyPages(k)).toBe(0);
    expect(k.files.get('f')!.mapping.runs.size).toBe(before);
  });
});

describe('who waits', () => {
  it('is a writer beyond the middle of both thresholds, for the pace of the device', () => {
    const run = (access: 'read' | 'write') =>
      replay({
        host: twoNodes(),
        runningGuests: [],
        steps: [cacheStep(28000, 0, { access, policy: { mode: 'default', nodes: [] } })],
        seed: 1,
        verify: true,
      });
    const { snapshot, durationNs } = run('write').steps[0]!;
    const [dirty, writing] = [0, 1].map((i) =>
      snapshot.nodes.reduce((sum, n) => sum + (i ? n.writebackPages : n.dirtyPages), 0),
    );
    // (6259 + 12534) / 2, less what the page cache's own slab took, plus the block written last.
    expect(dirty! + writing!).toBeLessThanOrEqual(9396 + 512);
    // The rest had to be written at 500 000 pages per second.
    expect(durationNs).toBeGreaterThan(((28000 - 9396 - 512) / 500_000) * 1e9);
    expect(run('read').steps[0]!.durationNs).toBeLessThan(durationNs);
  });

  it('is a task that has its only CPU in turns with the flusher', () => {
    const k = kernel(LAZY);
    write(k, 'f', 100);
    const start = k.timeNs;
    wakeFlusher(k, true);
    const { flusherLatencyNs, writebackPagesPerSecond } = k.hardware;
    expect(k.timeNs - start).toBe(flusherLatencyNs / 2);
    k.timeNs = k.flusher.nextNs;
    flusherTurn(k);
    // Another thread ends the writes: two thirds of the 100 pages' time.
    const writeNs = (100 / writebackPagesPerSecond) * 1e9;
    expect(k.timeNs - start - flusherLatencyNs).toBeCloseTo((writeNs * 2) / 3, 3);
  });
});

describe('reclaim of a node full of dirty cache', () => {
  const steps: ReplayStep[] = [
    cacheStep(28000, 0, { access: 'write' }),
    { op: 'sysctl', name: 'zone_reclaim_mode', value: 3 },
    guestStep('g', 5000, { mode: 'preferred', nodes: [0] }),
    { op: 'settle' },
  ];
  const host = twoNodes();
  Object.assign(host.sysctl, LAZY);
  const { steps: results } = replay({
    host,
    runningGuests: [],
    steps,
    seed: 1,
    verify: true,
    hardwareProfile: 'lab-tcg',
  });
  const vmstat = results[3]!.snapshot.vmstat;

  it('has everything written once, by the flusher', () => {
    expect(vmstat.nr_dirtied).toBe(28000);
    expect(vmstat.nr_written).toBe(28000);
  });

  it('passes over dirty pages only until the first are clean, and finds those next', () => {
    expect(vmstat.nr_vmscan_immediate_reclaim).toBeGreaterThan(0);
    expect(vmstat.pgactivate).toBeLessThan(28000);
    expect(vmstat.pgrotated).toBe(vmstat.pgactivate);
  });

  it('keeps the guest on the node, but for pages asked for while freed ones lay on a per-CPU list', () => {
    const [local] = results[3]!.snapshot.guests[0]!.pagesByNode;
    expect(local!.pages).toBeGreaterThan(4900);
  });
});

describe('a host that is writing when the replay starts', () => {
  const busy = (): HostModel => {
    const host = twoNodes();
    const [node] = host.nodes;
    Object.assign(node!, { filePages: 600, dirtyPages: 200, writebackPages: 300 });
    node!.lru.inactiveFilePages = 600;
    return host;
  };

  it('ends those writes, and leaves the dirty pages to their time', () => {
    const k = kernel({ dirty_writeback_centisecs: 500 }, busy());
    expect([dirtyPages(k), writebackPages(k)]).toEqual([200, 300]);
    waitUntil(k, SECOND);
    expect([dirtyPages(k), writebackPages(k), k.vmstat.get('nr_written')]).toEqual([200, 0, 300]);
    waitUntil(k, 36 * SECOND);
    expect([dirtyPages(k), k.vmstat.get('nr_written')]).toEqual([0, 500]);
  });

  it('keeps writes that no cached page stands for', () => {
    const host = busy();
    host.nodes[0]!.writebackPages = 1000;
    const k = kernel({}, host);
    waitUntil(k, SECOND);
    expect(k.nodes[0]!.writebackPages).toBe(600);
  });
});

describe('any sequence of steps', () => {
  const pages = fc.integer({ min: 1, max: 24000 });
  const node = fc.integer({ min: 0, max: 1 });
  const step: fc.Arbitrary<ReplayStep> = fc.oneof(
    fc
      .record({
        pages,
        node,
        access: fc.constantFrom('read' as const, 'write' as const, 'write' as const),
        file: fc.constantFrom('f', 'g'),
        offsetPages: fc.integer({ min: 0, max: 5000 }),
        interleaved: fc.boolean(),
      })
      .map(({ pages: count, node: on, interleaved, ...over }) =>
        cacheStep(count, on, {
          ...over,
          ...(interleaved && { policy: { mode: 'interleave', nodes: [0, 1] } }),
        }),
      ),
    fc
      .tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 15000 }), node)
      .map(([name, size, on]) => guestStep(name, size, { mode: 'preferred', nodes: [on] })),
    fc.constantFrom<ReplayStep>({ op: 'settle' }, { op: 'drop_caches' }),
    fc
      .tuple(
        fc.constantFrom(
          'dirty_ratio' as const,
          'dirty_background_ratio' as const,
          'dirty_writeback_centisecs' as const,
        ),
        fc.constantFrom(0, 5, 30, 90),
      )
      .map(([name, value]) => ({ op: 'sysctl' as const, name, value })),
    fc.constantFrom(0, 1, 3).map((value) => ({
      op: 'sysctl' as const,
      name: 'zone_reclaim_mode' as const,
      value,
    })),
  );
  const pending = ({ nodes }: Snapshot): number =>
    nodes.reduce((sum, n) => sum + n.dirtyPages + n.writebackPages, 0);

  it('writes every dirty page once', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 2000 }),
        fc.integer({ min: 0, max: 2000 }),
        fc.constantFrom('generic-2s', 'lab-tcg'),
        (steps, dirty, writing, hardwareProfile) => {
          const host = twoNodes();
          Object.assign(host.nodes[0]!, {
            filePages: 3000,
            dirtyPages: dirty,
            writebackPages: Math.min(writing, 3000 - dirty),
          });
          host.nodes[0]!.lru.inactiveFilePages = 3000;
          host.sysctl.dirty_writeback_centisecs = 10;
          const names = new Set<string>();
          const fresh = steps.filter(
            (s) => s.op !== 'guest' || (!names.has(s.guest.name) && names.add(s.guest.name)),
          );
          const result = replay({
            host,
            runningGuests: [],
            steps: fresh,
            seed: 1,
            verify: true,
            hardwareProfile,
          });
          for (const { snapshot } of result.steps) {
            const { nr_dirtied = 0, nr_written = 0 } = snapshot.vmstat;
            expect(pending(snapshot)).toBe(pending(result.initial) + nr_dirtied - nr_written);
          }
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);
});
