import { cacheStep, guestStep, twoNodes } from '../test/host';
import { dropSwapTree, growSwapTree, treeNodes } from './cache-slab';
import { buildKernel } from './kernel';
import { replay } from './replay';
import type { ProcessPages, ReplayResult, ReplayStep } from './types';
import { verify } from './verify';

const run = (steps: ReplayStep[]): ReplayResult =>
  replay({ host: twoNodes(), runningGuests: [], steps, seed: 1, verify: true });
const slab = ({ snapshot }: { snapshot: ReplayResult['initial'] }): number =>
  snapshot.nodes.reduce((sum, node) => sum + node.slabReclaimablePages, 0);

describe('the tree of a cached file', () => {
  it('has a node per 64 entries on every level', () => {
    expect([1, 64, 65, 4096, 4097, 25600].map(treeNodes)).toEqual([0, 1, 3, 65, 68, 408]);
  });

  it('takes two pages of slab per 14 nodes, the first seven from a slab that is there', () => {
    const result = run([cacheStep(25600, 0)]);
    // 408 nodes, 401 of them in new slabs: 29 of two pages.
    expect(slab(result.steps[0]!) - slab({ snapshot: result.initial })).toBe(58);
  });

  it('goes with the cache', () => {
    const result = run([cacheStep(25600, 0), { op: 'drop_caches' }]);
    expect(slab(result.steps[1]!)).toBe(slab({ snapshot: result.initial }));
  });
});

describe('the trees of the swap cache', () => {
  it('have a node for each 64 slots that were ever used, and more above', () => {
    const k = buildKernel({ host: twoNodes(), runningGuests: [], steps: [], seed: 1 });
    // Two trees of 16384 slots: 256 nodes, 4 above them and 1 above these; and 38 and 1 for the other 2426.
    k.totals.swappedOutPages = 2 * 16384 + 2426;
    growSwapTree(k, 0);
    expect(k.swapTree.nodes).toBe(2 * 261 + 39);
    // 7 find room in a slab that is there; 554 need 40 slabs of 14.
    expect(k.swapTree.slabs.map(({ order }) => order)).toEqual(new Array<number>(40).fill(1));
    expect(k.nodes[0]!.slabReclaimable).toBe(80);
    dropSwapTree(k);
    expect(k.nodes[0]!.slabReclaimable).toBe(0);
    verify(k, 0);
  });
});

describe('buffer heads', () => {
  it('take a page of slab per 39 written pages', () => {
    const result = run([cacheStep(3900, 0, { access: 'write' })]);
    // The tree of 3900 pages: 61 + 1 nodes, 55 of them in 4 new slabs of two pages.
    expect(slab(result.steps[0]!) - slab({ snapshot: result.initial })).toBe(100 + 8);
  });

  it('are given back as reclaim takes the pages', () => {
    const steps: ReplayStep[] = [
      cacheStep(27300, 0, { access: 'write' }),
      { op: 'sysctl', name: 'zone_reclaim_mode', value: 7 },
      guestStep('g', 8000, { mode: 'bind', nodes: [0] }),
    ];
    const result = run(steps);
    const [written, , touched] = result.steps;
    const stolen = touched!.snapshot.vmstat.pgsteal_file ?? 0;
    expect(stolen).toBeGreaterThan(1000);
    expect(slab(written!) - slab(touched!)).toBe(700 - Math.ceil((27300 - stolen) / 39));
  });
});

describe('a process', () => {
  const processPages: ProcessPages = {
    parent: { unmovablePages: 14, unmovablePairs: 1, movablePages: 6 },
    own: { unmovablePages: 6, unmovablePairs: 0, movablePages: 69 },
  };
  const free = ({ snapshot }: { snapshot: ReplayResult['initial'] }): number =>
    snapshot.nodes
      .flatMap(({ zones }) => zones)
      .reduce((sum, zone) => sum + zone.freePages + zone.pcpPages, 0);

  it('that reads takes its own pages and gives them back at its end', () => {
    const [bare, real] = [{}, { processPages }].map((over) => run([cacheStep(640, 0, over)]));
    const hits = (result: ReplayResult): number => result.steps[0]!.snapshot.vmstat.numa_hit!;
    expect(hits(real!) - hits(bare!)).toBe(14 + 1 + 6 + 6 + 69);
    expect(free(real!.steps[0]!)).toBe(free(bare!.steps[0]!));
  });

  it('keeps them while it lives', () => {
    const mapped = cacheStep(640, 0, { access: 'mapped', name: 'r', processPages });
    const result = run([mapped, { op: 'kill', name: 'r' }]);
    // Two of them are page tables of the 640 pages it maps.
    expect(free(result.steps[1]!) - free(result.steps[0]!)).toBe(16 + 6 + 75 + 2);
  });

  it('of a guest takes and returns them the same way', () => {
    const step = guestStep('g', 100, { mode: 'default', nodes: [] });
    if (step.op !== 'guest') throw new Error(`a guest step was expected, not ${step.op}`);
    const started: ReplayStep = { ...step, guest: { ...step.guest, processPages } };
    const result = run([started, { op: 'kill', name: 'g' }]);
    expect(free(result.steps[1]!)).toBe(free({ snapshot: result.initial }));
    const bare = run([step]);
    expect(free(bare.steps[0]!) - free(result.steps[0]!)).toBe(16 + 6 + 75);
  });
});
