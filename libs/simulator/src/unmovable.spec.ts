import { twoNodes } from '../test/host';
import { replay } from './replay';
import type { ReplayResult, ReplayStep } from './types';
import { pipeSlots, ringBlocks } from './unmovable';

const fill = (over: Partial<Extract<ReplayStep, { op: 'unmovable' }>> = {}): ReplayStep => ({
  op: 'unmovable',
  name: 'u',
  cpuNode: 0,
  policy: { mode: 'bind', nodes: [0] },
  pages: 1200,
  pipes: 12,
  ...over,
});
const drain = (stepPages: number, keepPages: number): ReplayStep => ({
  op: 'free',
  name: 'u',
  cell: 0,
  offsetPages: 0,
  pages: 0,
  stepPages,
  keepPages,
});
const kill: ReplayStep = { op: 'kill', name: 'u' };

const run = (steps: ReplayStep[]): ReplayResult =>
  replay({ host: twoNodes(), runningGuests: [], steps, seed: 1, verify: true });

/** Pages that are neither in the buddy lists nor on per-CPU lists, all zones. */
const used = ({ snapshot }: { snapshot: ReplayResult['initial'] }): number =>
  snapshot.nodes
    .flatMap(({ zones }) => zones)
    .reduce((sum, zone) => sum + zone.managedPages - zone.freePages - zone.pcpPages, 0);

describe('slots of a pipe', () => {
  it('are a power of two, 16 at least', () => {
    expect([1, 16, 17, 100, 256].map(pipeSlots)).toEqual([16, 16, 32, 128, 256]);
  });

  it('take slabs of order 3 up to 8 KiB, pages of their own above', () => {
    // 128 slots of 40 bytes: objects of 8 KiB, four to a slab of 32 KiB.
    expect(ringBlocks(256, 128, 2)).toEqual({ order: 3, count: 64 });
    // 256 slots: 10240 bytes, a block of 16 KiB for each pipe.
    expect(ringBlocks(700, 256, 2)).toEqual({ order: 2, count: 700 });
    // 16 slots: objects of 1 KiB, sixteen to a slab of four pages where there are two CPUs, eight where there is one.
    expect(ringBlocks(40, 16, 2)).toEqual({ order: 2, count: 3 });
    expect(ringBlocks(40, 16, 1)).toEqual({ order: 1, count: 5 });
  });
});

describe('a process that fills pipes', () => {
  it('holds its pages and the slabs of its pipes', () => {
    const result = run([fill()]);
    // Inodes 1 of order 1, files 24/16 = 2, dentries 1, pipes 1, rings 12/4 = 3 of order 3.
    expect(used(result.steps[0]!) - used({ snapshot: result.initial })).toBe(
      1200 + 2 + 2 + 1 + 1 + 24,
    );
    expect(result.steps[0]!.pagesDone).toBe(1200);
    const slab = (snapshot: ReplayResult['initial']): number =>
      snapshot.nodes[0]!.slabUnreclaimablePages + snapshot.nodes[0]!.slabReclaimablePages;
    expect(slab(result.steps[0]!.snapshot) - slab(result.initial)).toBe(30);
  });

  it('turns whole pageblocks Unmovable while there are free ones', () => {
    const result = run([fill({ pages: 4096, pipes: 64 })]);
    const types = (snapshot: ReplayResult['initial']): number =>
      snapshot.nodes[0]!.zones.reduce(
        (sum, zone) => sum + (zone.pageblocksByType.Unmovable ?? 0),
        0,
      );
    expect(types(result.steps[0]!.snapshot) - types(result.initial)).toBeGreaterThanOrEqual(8);
    expect(result.steps[0]!.snapshot.nodes[0]!.zones.map((zone) => zone.boostPages)).toEqual(
      result.initial.nodes[0]!.zones.map((zone) => zone.boostPages),
    );
  });

  it('keeps one page of each pipe that it reads empty', () => {
    const result = run([fill(), drain(2, 1)]);
    // 6 of 12 pipes, 100 pages each, less the one kept.
    expect(result.steps[1]!.pagesDone).toBe(6 * 99);
    expect(used(result.steps[0]!) - used(result.steps[1]!)).toBe(6 * 99);
  });

  it('gives everything back when it is killed, drained or not', () => {
    const result = run([fill(), drain(3, 1), kill]);
    expect(used(result.steps[2]!)).toBe(used({ snapshot: result.initial }));
    expect(result.steps[2]!.status).toBe('ok');
  });

  it('is gone after that', () => {
    expect(run([fill(), kill, kill]).steps[2]!.status).toBe('no_such_guest');
  });

  it.each([
    ['no pipe', { pipes: 0 }, 'steps[0].pipes'],
    ['an unknown node', { cpuNode: 7 }, 'steps[0].cpuNode[0]'],
  ])('is refused with %s', (_, over, path) => {
    expect(() => run([fill(over)])).toThrow(expect.objectContaining({ path }) as Error);
  });
});
