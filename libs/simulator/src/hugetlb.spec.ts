import { guestStep, twoNodes } from '../test/host';
import { replay } from './replay';
import type {
  GuestSnapshot,
  HostModel,
  MemoryPolicy,
  ReplayInput,
  ReplayResult,
  ReplayStep,
  StepResult,
} from './types';

type GuestStep = Extract<ReplayStep, { op: 'guest' }>;

const HUGE = 512;
const BIND1: MemoryPolicy = { mode: 'bind', nodes: [1] };

const run = (host: HostModel, steps: ReplayStep[], over: Partial<ReplayInput> = {}): ReplayResult =>
  replay({ host, runningGuests: [], steps, seed: 1, verify: true, ...over });

/** Writes a pool's size. */
const pool = (count: number, nodeId?: number): ReplayStep => ({
  op: 'hugepages',
  count,
  ...(nodeId !== undefined && { nodeId }),
});

/** A guest of so many huge pages that touches some of them. */
function onPool(name: string, sizePages: number, touched: number, reserve = false): GuestStep {
  const step = guestStep(name, sizePages * HUGE, BIND1, { hugetlb: { sizeKib: 2048, reserve } });
  return { ...(step as GuestStep), touchPages: [touched * HUGE] };
}

/** Total, free and surplus pages of each node. */
function pools(step: StepResult): number[][] {
  return step.snapshot.nodes.map(({ hugepages: [own] }) =>
    own ? [own.totalPages, own.freePages, own.surplusPages ?? 0] : [0, 0, 0],
  );
}

const freeOf = (step: StepResult, node: number): number =>
  step.snapshot.nodes[node]!.zones.reduce((sum, zone) => sum + zone.freePages + zone.pcpPages, 0);
const guestOf = (result: ReplayResult, step: number): GuestSnapshot =>
  result.steps[step]!.snapshot.guests[0]!;

describe('a pool of hugetlb pages', () => {
  it('grows node by node in turn, and goes on where it stopped', () => {
    const { steps, caveats } = run(twoNodes(), [pool(3), pool(4), pool(7)]);
    expect(steps.map(pools)).toEqual([
      [
        [2, 2, 0],
        [1, 1, 0],
      ],
      [
        [2, 2, 0],
        [2, 2, 0],
      ],
      [
        [4, 4, 0],
        [3, 3, 0],
      ],
    ]);
    expect(steps.map(({ obtained }) => obtained)).toEqual([3, 4, 7]);
    expect(steps[2]!.snapshot.vmstat.htlb_buddy_alloc_success).toBe(7);
    expect(caveats.map(({ code }) => code)).toEqual(['pace-not-validated']);
  });

  it('takes 512 pages for each from its node, and gives them back', () => {
    const { steps } = run(twoNodes(), [{ op: 'snapshot' }, pool(10, 1), pool(4, 1), pool(0)]);
    const free = steps.map((step) => freeOf(step, 1));
    expect(free.map((pages) => free[0]! - pages)).toEqual([0, 5120, 2048, 0]);
    expect(freeOf(steps[1]!, 0)).toBe(freeOf(steps[0]!, 0));
  });

  it('of a task follows its policy', () => {
    const step: ReplayStep = { op: 'hugepages', count: 5, policy: BIND1 };
    expect(pools(run(twoNodes(), [step]).steps[0]!)).toEqual([
      [0, 0, 0],
      [5, 5, 0],
    ]);
  });

  it('ends where a whole round fails, and kills nobody', () => {
    const { steps, caveats } = run(twoNodes(), [pool(100_000)]);
    const [first, second] = pools(steps[0]!);
    expect(steps[0]!.obtained).toBe(first![0]! + second![0]!);
    expect(steps[0]!.snapshot.vmstat.htlb_buddy_alloc_fail).toBeGreaterThanOrEqual(2);
    expect(steps[0]!.snapshot.vmstat.oom_kill ?? 0).toBe(0);
    expect(caveats.map(({ code }) => code)).toContain('hugepages-obtained-uncertain');
  });
});

describe('guests on hugetlb pages', () => {
  it('take them from the pool and return them at their end', () => {
    const result = run(twoNodes(), [pool(8, 1), onPool('g', 16, 5), { op: 'kill', name: 'g' }]);
    expect(guestOf(result, 1)).toMatchObject({
      hugePages: 0,
      pagesByNode: [
        { nodeId: 0, pages: 0 },
        { nodeId: 1, pages: 5 * HUGE },
      ],
    });
    expect(result.steps.map((step) => pools(step)[1])).toEqual([
      [8, 8, 0],
      [8, 3, 0],
      [8, 8, 0],
    ]);
  });

  it('get SIGBUS where the policy leaves no node with a free page', () => {
    const { steps } = run(twoNodes(), [pool(3, 1), pool(3, 0), onPool('g', 16, 16)]);
    expect(steps[2]).toMatchObject({ status: 'sigbus', pagesDone: 3 * HUGE });
    expect(steps[2]!.snapshot.guests[0]!.alive).toBe(false);
    expect(pools(steps[2]!)).toEqual([
      [3, 3, 0],
      [3, 3, 0],
    ]);
  });

  it('use pages beyond the pool as far as overcommit goes, which leave with them', () => {
    const { steps } = run(twoNodes(), [
      pool(2, 1),
      { op: 'overcommit_hugepages', count: 3 },
      onPool('g', 5, 5),
      onPool('h', 1, 1),
      { op: 'kill', name: 'g' },
    ]);
    expect(steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'sigbus', 'ok']);
    expect(pools(steps[2]!)[1]).toEqual([5, 0, 3]);
    expect(pools(steps[4]!)[1]).toEqual([2, 2, 0]);
  });

  it('reserve all pages when they are mapped, whatever they touch', () => {
    const { steps } = run(twoNodes(), [
      pool(8, 1),
      onPool('g', 6, 2, true),
      onPool('h', 3, 0, true),
      onPool('i', 3, 3),
      pool(0, 1),
      { op: 'kill', name: 'g' },
    ]);
    expect(steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'enomem', 'sigbus', 'ok', 'ok']);
    expect(steps[1]!.snapshot.hugetlb[0]).toMatchObject({ sizeKib: 2048, reservedPages: 4 });
    // Two pages were neither used nor reserved: `i` got them and died of the third. Four stay for `g`.
    expect(steps[3]!.pagesDone).toBe(2 * HUGE);
    expect(pools(steps[4]!)[1]).toEqual([6, 4, 6]);
    expect(pools(steps[5]!)[1]).toEqual([0, 0, 0]);
    expect(steps[5]!.snapshot.hugetlb[0]!.reservedPages).toBe(0);
  });

  it('count a fault that ends in SIGBUS too', () => {
    const { steps } = run(twoNodes(), [pool(3, 1), onPool('g', 5, 5)]);
    const faults = (step: number): number => steps[step]!.snapshot.vmstat.pgfault ?? 0;
    expect(steps[1]!.status).toBe('sigbus');
    expect(faults(1) - faults(0)).toBe(4);
  });

  it('have no reserve for a page that they gave back', () => {
    const free: ReplayStep = {
      ...{ op: 'free', name: 'g', cell: 0, offsetPages: 0, pages: HUGE },
      ...{ stepPages: 0, keepPages: 0 },
    };
    const touch: ReplayStep = {
      op: 'touch',
      name: 'g',
      cell: 0,
      offsetPages: 0,
      pages: HUGE,
      access: 'write',
    };
    const { steps } = run(twoNodes(), [
      pool(4, 1),
      onPool('g', 4, 2, true),
      free,
      onPool('h', 1, 1),
      touch,
    ]);
    // Two of four pages are promised to what `g` has not touched; of the other two it gave one back, which `h` takes.
    const promised = steps.map(({ snapshot }) => snapshot.hugetlb[0]!.reservedPages);
    expect(promised).toEqual([0, 2, 2, 2, 0]);
    expect(steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'ok', 'sigbus']);
  });

  it('reserve pages beyond the pool within their cpuset', () => {
    const step = onPool('g', 2, 0, true);
    step.guest.regions[0]!.cpusetMems = [0];
    const { steps } = run(twoNodes(), [{ op: 'overcommit_hugepages', count: 2 }, step]);
    expect(steps[1]!.status).toBe('ok');
    expect(pools(steps[1]!)).toEqual([
      [2, 2, 2],
      [0, 0, 0],
    ]);
  });

  it('give back whole huge pages only', () => {
    const free = (offsetPages: number, pages: number): ReplayStep => {
      return { op: 'free', name: 'g', cell: 0, offsetPages, pages, stepPages: 0, keepPages: 0 };
    };
    const { steps } = run(twoNodes(), [
      pool(8, 1),
      onPool('g', 8, 8),
      free(512, 1500),
      free(100, 3900),
    ]);
    expect(steps.slice(2).map(({ pagesDone }) => pagesDone)).toEqual([1024, 0]);
    expect(pools(steps[3]!)[1]).toEqual([8, 2, 0]);
  });
});

describe('a host with pools', () => {
  function withPool(): HostModel {
    const host = twoNodes();
    host.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: 20, freePages: 12 }];
    const zone = host.nodes[1]!.zones.at(-1)!;
    // The pool's pages are in use, as far as the buddy allocator is concerned.
    zone.freeBlocks[10]! -= 10;
    zone.freePages -= 10 * 1024;
    delete zone.freeBlocksByType;
    return host;
  }

  it('uses its free pages and gives memory back when the pool shrinks', () => {
    const { steps } = run(withPool(), [onPool('g', 20, 12), { op: 'kill', name: 'g' }, pool(0, 1)]);
    expect(steps.map((step) => pools(step)[1])).toEqual([
      [20, 0, 0],
      [20, 12, 0],
      [8, 0, 8],
    ]);
    expect(freeOf(steps[2]!, 1) - freeOf(steps[1]!, 1)).toBe(12 * HUGE);
  });

  it('knows which pages a running guest holds', () => {
    const step = onPool('g', 8, 0);
    const running = {
      ...step.guest,
      residency: [{ cell: 0, nodeId: 1, pages: 8 * HUGE, hugePages: 0 }],
      swapPages: 0,
    };
    const result = run(withPool(), [{ op: 'kill', name: 'g' }], { runningGuests: [running] });
    expect(result.initial.guests[0]!.pagesByNode[1]).toEqual({ nodeId: 1, pages: 8 * HUGE });
    expect(pools(result.steps[0]!)[1]).toEqual([20, 20, 0]);
  });
});

it('is populated at start from the CPUs of other threads, where the region says so', () => {
  const start = (cpuNodes?: number[]): GuestStep => {
    const hugetlb = { sizeKib: 2048 as const, reserve: true, ...(cpuNodes && { cpuNodes }) };
    const policy: MemoryPolicy = { mode: 'default', nodes: [] };
    const step = guestStep('g', 4 * HUGE, policy, { cpuNodes: [1], hugetlb }) as GuestStep;
    return { ...step, touchPages: [4 * HUGE] };
  };
  const homes = (step: GuestStep) =>
    guestOf(run(twoNodes(), [pool(4, 0), pool(4, 1), step]), 2).pagesByNode.filter(
      ({ pages }) => pages > 0,
    );
  expect(homes(start())).toEqual([{ nodeId: 1, pages: 4 * HUGE }]);
  expect(homes(start([0]))).toEqual([{ nodeId: 0, pages: 4 * HUGE }]);
});
