import { guestStep, makeHost, twoNodes } from '../test/host';
import { freeRun } from './free-run';
import { buildKernel } from './kernel';
import { localCaller } from './kernel-block';
import type { KernelState } from './kernel-state';
import { accountRun, newRun, type Run } from './lru';
import { gatherBatches, gathered } from './mmu-gather';
import { newMapping } from './page-map';
import { replay } from './replay';
import type { ReplayStep } from './types';
import type { Zone } from './zone';

describe('pages of pointers of an unmap', () => {
  it.each([
    [7, 0],
    [8, 1],
    [517, 1],
    [518, 2],
    [9188, 19],
    [1_000_000, 19],
  ])('%i pages take %i', (pointers, batches) => {
    expect(gatherBatches(pointers)).toBe(batches);
  });

  /** Allocations that freeing 1024 pages of a guest causes, call by call. */
  const allocations = (stepPages: number, keepPages: number): number => {
    const free: ReplayStep = {
      op: 'free',
      name: 'g',
      cell: 0,
      offsetPages: 0,
      pages: 1024,
      stepPages,
      keepPages,
    };
    const result = replay({
      host: twoNodes(),
      runningGuests: [],
      steps: [guestStep('g', 2048, { mode: 'default', nodes: [] }), free],
      seed: 1,
      verify: true,
    });
    const [before, after] = result.steps.map(({ snapshot }) => snapshot.vmstat);
    expect(result.steps[1]!.pagesDone).toBe(
      stepPages === 0 ? 1024 : (1024 / stepPages) * (stepPages - keepPages),
    );
    expect(after!.pgfree! - (before!.pgfree ?? 0)).toBe(
      result.steps[1]!.pagesDone + after!.numa_hit! - before!.numa_hit!,
    );
    return after!.numa_hit! - before!.numa_hit!;
  };

  /** 1000 pages at [0, 1000) of a zone that is otherwise the kernel's, below all its marks. */
  const fullZone = (): { k: KernelState; zone: Zone; run: Run } => {
    const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages: 4096 }] }], {
      usedShare: 1,
    });
    const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
    const zone = k.zones[0]!;
    Object.assign(zone, { min: 20, low: 25, high: 30, statThreshold: 0 });
    const owner = newMapping('anon', 'pages', 1, false);
    const run = newRun({ owner, zone, pages: 1000, frame: 0, offset: 0 });
    accountRun(run, 1);
    return { k, zone, run };
  };

  it('are asked for again after each round, where the first is not to be had', () => {
    const { k, zone, run } = fullZone();
    zone.pcpBatch = 1;
    zone.pcpHigh = 4;
    const rounds: number[] = [];
    gathered(k, localCaller(0), 1000, (gather) => {
      for (const piece of gather!.pieces(run)) {
        rounds.push(piece.pages);
        freeRun(k, piece, 0);
      }
    });
    expect(rounds.reduce((sum, pages) => sum + pages)).toBe(1000);
    // Eight by eight, until what was freed has lifted the zone over its mark: then there is a page of pointers for the next 510.
    const small = rounds.indexOf(518);
    expect(small).toBeGreaterThan(2);
    expect(rounds.slice(0, small)).toEqual(new Array(small).fill(8));
    expect(zone.node.numastat.numaHit).toBe(1);
    expect(zone.buddy.freePages + zone.pcps[0]!.pages).toBe(1000);
    expect(zone.kernelPages).toBe(0);
  });

  it('are taken once per call and given back', () => {
    // One call of 1024 pages: 1 + floor(1016 / 510) = 2.
    expect(allocations(0, 0)).toBe(2);
    // 64 calls of 8 pages each.
    expect(allocations(16, 8)).toBe(64);
    // 64 calls of 7 pages each fit into the structure itself.
    expect(allocations(16, 9)).toBe(0);
  });
});
