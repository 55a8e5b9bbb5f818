import { guestStep, makeHost } from '../test/host';
import { replay } from './replay';
import type { ReplayResult, ReplayStep } from './types';

type Snapshot = ReplayResult['initial'];
const BOUND = { mode: 'bind' as const, nodes: [0] };

const SWAP_PAGES = 60000;

/** One node of 128 MiB with one guest bound to it that is larger, and swap for `swapPages`. */
function states(steps: ReplayStep[], swapPages = SWAP_PAGES, guestPages = 40000): Snapshot[] {
  const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages: 32768 }] }]);
  const start: ReplayStep[] = [
    { op: 'swapon', pages: swapPages },
    guestStep('g', guestPages, BOUND),
    { op: 'settle' },
  ];
  const result = replay({
    host,
    runningGuests: [],
    steps: [...start, ...steps],
    seed: 1,
    verify: true,
  });
  return result.steps.slice(2).map(({ snapshot }) => snapshot);
}

const touch = (access: 'read' | 'write', pages: number): ReplayStep => ({
  op: 'touch',
  name: 'g',
  cell: 0,
  offsetPages: 0,
  pages,
  access,
});
const count = (state: Snapshot, name: string): number => state.vmstat[name] ?? 0;
/** Slots of pages that are in memory too. */
const kept = (state: Snapshot): number => state.swapUsedPages - state.guests[0]!.swapPages;

describe('pages read back from swap', () => {
  it('keep their slots while they are only read, and count as file pages besides', () => {
    const [before, after] = states([touch('read', 5000)]) as [Snapshot, Snapshot];
    const read = count(after, 'pswpin') - count(before, 'pswpin');
    expect(read).toBe(5000);
    expect(kept(before)).toBeGreaterThanOrEqual(0);
    expect(kept(after) - kept(before)).toBeGreaterThan(4900);
    expect(after.nodes[0]!.filePages - before.nodes[0]!.filePages).toBeGreaterThan(4000);
    expect(count(after, 'workingset_refault_anon')).toBe(5000);
  });

  it('give their slots up where they are written to, at once or later', () => {
    const [before, written] = states([touch('write', 5000)]) as [Snapshot, Snapshot];
    expect(kept(written)).toBeLessThanOrEqual(kept(before) + 200);
    const [, read, later] = states([touch('read', 5000), touch('write', 5000)]);
    expect(kept(later!)).toBeLessThan(kept(read!) - 4000);
  });

  it('keep none above half of swap', () => {
    // 40000 pages less what fits is more than a quarter of 16000 slots, but reading makes it more than half.
    const [before, after] = states([touch('read', 8000)], 16000) as [Snapshot, Snapshot];
    expect(before.swapUsedPages).toBeGreaterThan(8000);
    expect(count(after, 'pswpin') - count(before, 'pswpin')).toBeGreaterThan(7000);
    expect(after.swapUsedPages).toBeLessThan(before.swapUsedPages + 600);
  });

  it('are freed again without being written', () => {
    const [, read, full] = states([touch('read', 3000), guestStep('h', 31000, BOUND)]);
    const freed = full!.guests[0]!.swapPages - read!.guests[0]!.swapPages;
    const written = count(full!, 'pswpout') - count(read!, 'pswpout');
    const others = full!.guests[1]!.swapPages;
    expect(freed + others - written).toBeGreaterThan(0);
  });

  it('all leave swap at swapoff, and at the end of their process', () => {
    const [, , off] = states([touch('read', 3000), { op: 'kill', name: 'g' }]);
    expect(off!.swapUsedPages).toBe(0);
    const small = states([
      touch('read', 3000),
      { op: 'free', name: 'g', cell: 0, offsetPages: 0, pages: 39000, stepPages: 0, keepPages: 0 },
      { op: 'swapoff' },
    ]);
    expect(small[3]).toMatchObject({ swapUsedPages: 0, swapTotalPages: 0 });
  });
});
