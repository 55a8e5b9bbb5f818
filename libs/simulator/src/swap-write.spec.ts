import { makeHost } from '../test/host';
import { buildKernel } from './kernel';
import type { KernelState } from './kernel-state';
import { accountRun, frameAt, LRU_INACTIVE_ANON, newRun, type Run } from './lru';
import { newMapping, type Mapping } from './page-map';
import { endWrites, endWritesOf, flushPlug, submitWrite, type SwapPlug } from './swap-write';

const LATENCY_NS = 1000;

/** A kernel whose swap device takes 1 us per request and 10 ns per page, at most `mostPages` in one. */
function kernel(mostPages = 254): KernelState {
  const host = makeHost([{ cpus: 2, zones: [{ name: 'Normal', pages: 8192 }] }]);
  const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
  const device = { swapWriteNs: LATENCY_NS, swapWritePageNs: 10, swapRequestPages: mostPages };
  k.hardware = { ...k.hardware, ...device };
  return k;
}

/** An owner with pages that were just taken from it for swap. */
function swapped(k: KernelState, pages: number, frame = 0): { owner: Mapping; run: Run } {
  const owner = newMapping('anon', 'owner', k.nodes.length, false);
  owner.swapCache = newMapping('anon', 'owner/swap cache', k.nodes.length, false);
  owner.swapCache.swapCacheOf = owner;
  k.hostMappings.push(owner);
  const zone = k.zones[k.zones.length - 1]!;
  const values = { zone, pages, frame, offset: 0, writeback: true, reclaim: true };
  return { owner, run: newRun({ owner: owner.swapCache, ...values }) };
}

const list = (k: KernelState) => k.nodes[0]!.lists[LRU_INACTIVE_ANON]!;

/** Frames from the tail, which reclaim looks at next, with a mark for those still being written. */
function frames(k: KernelState): string[] {
  return list(k)
    .runs()
    .flatMap((run) =>
      Array.from({ length: run.pages }, (_, i) => `${frameAt(run, i)}${run.writeback ? 'w' : ''}`),
    );
}

function submit(k: KernelState, plug: SwapPlug, run: Run, cpu = 0): void {
  for (const part of submitWrite(k, plug, run, cpu, (index) => (index + 1) * 100)) {
    accountRun(part, 1);
    list(k).push(part);
  }
}

describe('a plug', () => {
  it('merges pages of neighbouring slots, and leaves with all of them', () => {
    const k = kernel();
    const plug: SwapPlug = { requests: [] };
    submit(k, plug, swapped(k, 20).run);
    submit(k, plug, swapped(k, 20, 100).run);
    expect(plug.requests.map(({ pages }) => pages)).toEqual([40]);
    flushPlug(k, plug, 5000);
    expect(plug.requests).toEqual([]);
    // 1000 ns, and 10 for each of 40 pages.
    expect(k.swapWrites.requests.map(({ doneNs }) => doneNs)).toEqual([6400]);
  });

  it('begins a request where two CPUs take slots, 64 at a time', () => {
    const k = kernel();
    const [first, second]: SwapPlug[] = [{ requests: [] }, { requests: [] }];
    submit(k, first!, swapped(k, 60).run, 0);
    submit(k, second!, swapped(k, 10, 100).run, 1);
    submit(k, first!, swapped(k, 10, 200).run, 0);
    // CPU 0 has slots 1 to 64, then 129 on; at the gap the first request, of 128 KiB or more, leaves.
    expect(second!.requests.map(({ pages }) => pages)).toEqual([10]);
    expect(first!.requests.map(({ pages }) => pages)).toEqual([6]);
    expect(k.swapWrites.requests.map(({ pages }) => pages)).toEqual([64, 10, 6]);
  });

  it('sends a full request off when the next page comes, at that page’s time', () => {
    const k = kernel(40);
    const plug: SwapPlug = { requests: [] };
    submit(k, plug, swapped(k, 50).run);
    // Page 40, the 41st, is handed over at 4100 ns.
    expect(k.swapWrites.requests.map(({ doneNs }) => doneNs)).toEqual([4100 + 1400, Infinity]);
  });

  it('keeps small requests apart until there are 32', () => {
    const k = kernel(1);
    const plug: SwapPlug = { requests: [] };
    submit(k, plug, swapped(k, 33).run);
    expect(plug.requests).toHaveLength(1);
    expect(k.swapWrites.requests.filter(({ doneNs }) => doneNs < Infinity)).toHaveLength(32);
  });
});

describe('the end of a write', () => {
  it('turns its pages round to the tail, each after the one before', () => {
    const k = kernel();
    const plug: SwapPlug = { requests: [] };
    submit(k, plug, swapped(k, 3).run);
    const resident = newRun({ ...swapped(k, 2, 50).run, writeback: false, reclaim: false });
    accountRun(resident, 1);
    list(k).push(resident);
    flushPlug(k, plug, 0);
    endWrites(k, 1029);
    expect(frames(k)).toEqual(['0w', '1w', '2w', '50', '51']);
    expect(k.nodes[0]!.writebackPages).toBe(3);
    endWrites(k, 1030);
    expect(frames(k)).toEqual(['2', '1', '0', '50', '51']);
    expect(k.nodes[0]!.writebackPages).toBe(0);
    expect(k.vmstat.get('pgrotated')).toBe(3);
  });

  it('comes at once when the owner’s memory goes, also for what is still behind a plug', () => {
    const k = kernel();
    const plug: SwapPlug = { requests: [] };
    const { owner, run } = swapped(k, 3);
    submit(k, plug, run);
    endWritesOf(k, newMapping('anon', 'another', 1, false));
    expect(frames(k)).toEqual(['0w', '1w', '2w']);
    endWritesOf(k, owner);
    expect(frames(k)).toEqual(['2', '1', '0']);
    expect(owner.swapCache!.pagesByNode).toEqual([3]);
    // What comes later begins a new request.
    submit(k, plug, swapped(k, 2, 60).run);
    expect(plug.requests.map(({ pages }) => pages)).toEqual([3, 2]);
    expect(k.swapWrites.requests).toHaveLength(1);
  });
});
