import { cacheStep, guestStep, makeHost, region } from '../test/host';
import { replay } from './replay';
import type { HostModel, MemoryPolicy, ReplayResult, ReplayStep, StepResult } from './types';

const GIB = 262_144;
const ON0: MemoryPolicy = { mode: 'bind', nodes: [0] };

/** Nodes of 4 GiB; the kernel's pages, 2 of 100, lie at the start of each. */
function hostOf(nodes: number, kernelProfile: HostModel['kernelProfile'] = '6.1.y'): HostModel {
  const shape = { cpus: 1, zones: [{ name: 'Normal' as const, pages: 4 * GIB }] };
  return { ...makeHost(new Array<typeof shape>(nodes).fill(shape)), kernelProfile };
}

const pool = (count: number): ReplayStep => ({ op: 'hugepages', sizeKib: 1_048_576, count });

const run = (host: HostModel, steps: ReplayStep[]): ReplayResult =>
  replay({ host, runningGuests: [], steps, seed: 1, verify: true });

const freeOf = ({ snapshot }: StepResult, node = 0): number =>
  snapshot.nodes[node]!.zones.reduce((sum, zone) => sum + zone.freePages + zone.pcpPages, 0);

/** Total and free pages of each node's pool of 1 GiB pages. */
function pools({ snapshot }: StepResult): number[][] {
  return snapshot.nodes.map(({ hugepages: [own] }) => [own?.totalPages ?? 0, own?.freePages ?? 0]);
}

describe('a pool of 1 GiB pages', () => {
  it('takes whole ranges of a running host node by node in turn, and gives them back page by page', () => {
    const { steps } = run(hostOf(2), [{ op: 'snapshot' }, pool(3), pool(0)]);
    expect(steps.map(({ obtained }) => obtained)).toEqual([undefined, 3, 0]);
    expect(pools(steps[1]!)).toEqual([
      [2, 2],
      [1, 1],
    ]);
    expect([0, 1].map((node) => freeOf(steps[0]!, node) - freeOf(steps[1]!, node))).toEqual([
      2 * GIB,
      GIB,
    ]);
    expect([0, 1].map((node) => freeOf(steps[2]!, node))).toEqual(
      [0, 1].map((node) => freeOf(steps[0]!, node)),
    );
    expect(steps[1]!.snapshot.vmstat.htlb_buddy_alloc_success ?? 0).toBe(0);
    expect(steps[2]!.snapshot.vmstat.pgfree).toBe(3 * GIB);
  });

  it('has no range where the kernel has a page', () => {
    const { steps } = run(hostOf(1), [pool(10)]);
    // Of four ranges the first is refused.
    expect(steps[0]!.obtained).toBe(3);
  });

  it('moves what stands in a range, and leaves everybody what they have', () => {
    const { steps } = run(hostOf(1), [guestStep('g', 400_000, ON0), pool(2)]);
    expect(steps[1]!.obtained).toBe(2);
    const { guests, vmstat } = steps[1]!.snapshot;
    expect(guests[0]!.pagesByNode).toEqual([{ nodeId: 0, pages: 400_000 }]);
    expect(vmstat.pgmigrate_success).toBeGreaterThan(0);
  });

  it('drops clean page cache instead', () => {
    const { steps } = run(hostOf(1), [
      cacheStep(1000, 0),
      guestStep('g', 270_000, ON0),
      // The slab behind it fits into the pageblocks that the first thousand pages made the kernel's, in the first range.
      cacheStep(20_000, 0, { offsetPages: 1000 }),
      { op: 'kill', name: 'g' },
      pool(3),
    ]);
    const file = steps.map(({ snapshot }) => snapshot.nodes[0]!.lru.inactiveFilePages);
    expect(steps[4]!.obtained).toBe(3);
    expect(file[3]).toBeGreaterThan(20_000);
    expect(file[4]).toBe(1000);
    expect(steps[4]!.snapshot.vmstat.pgmigrate_success ?? 0).toBe(0);
  });

  it('gets none of a range with memory that is pinned', () => {
    const step = guestStep('g', 3 * GIB, ON0);
    if (step.op === 'guest') step.guest.regions = [region(3 * GIB, ON0, { pinned: true })];
    expect(run(hostOf(1), [step, pool(3)]).steps[1]!.obtained).toBe(0);
  });

  it('needs a range that is free, until 5.12', () => {
    // Of each range every 64th page is in use; the second has page tables besides.
    const scattered: ReplayStep[] = [
      guestStep('f', 3 * GIB, ON0),
      {
        ...{ op: 'free', name: 'f', cell: 0, offsetPages: 0, pages: 3 * GIB },
        ...{ stepPages: 64, keepPages: 1 },
      },
      pool(3),
    ];
    const after = (['5.10', '6.1.y'] as const).map(
      (profile) => run(hostOf(1, profile), scattered).steps[2]!.obtained,
    );
    expect(after).toEqual([0, 2]);
  });

  it('serves guests', () => {
    const onPool = guestStep('g', 2 * GIB, ON0, {
      hugetlb: { sizeKib: 1_048_576, reserve: true },
    });
    const { steps } = run(hostOf(1), [pool(2), onPool, { op: 'kill', name: 'g' }, pool(0)]);
    expect(steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(steps.map((step) => pools(step)[0])).toEqual([
      [2, 2],
      [2, 0],
      [2, 2],
      [0, 0],
    ]);
  });
});
