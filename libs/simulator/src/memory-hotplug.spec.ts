import { cacheStep, guestStep, makeHost } from '../test/host';
import { hardwareProfiles } from './hardware-profile';
import { replay } from './replay';
import type { HostModel, ReplayEvent, ReplayInput, ReplayStep, Snapshot, ZoneName } from './types';

const SECTION = 32768;
/** 4 GiB apart. */
const NODE_PFNS = 2 ** 20;
const ON0 = { mode: 'bind' as const, nodes: [0] };
const ON1 = { mode: 'bind' as const, nodes: [1] };

/** Nodes with Normal zones of so many sections each, one CPU per node; 2% are the kernel's, at the start of each. */
function hostOf(...sections: number[]): HostModel {
  const host = makeHost(
    sections.map((count) => ({
      cpus: 1,
      zones: count === 0 ? [] : [{ name: 'Normal' as const, pages: count * SECTION }],
    })),
  );
  host.nodes.forEach(({ zones }, n) => zones.forEach((zone) => (zone.startPfn = n * NODE_PFNS)));
  return host;
}

type Hotplug = Extract<ReplayStep, { op: 'hotplug' }>;
type BlockEvent = Extract<ReplayEvent, { type: 'memory_block' }>;

/** One section of a node, counted from the node's first pfn. */
function hotplug(
  action: Hotplug['action'],
  nodeId: number,
  section: number,
  over: Partial<Hotplug> = {},
): Hotplug {
  const startPfn = nodeId * NODE_PFNS + section * SECTION;
  return { op: 'hotplug', action, nodeId, startPfn, pages: SECTION, ...over };
}

function run(host: HostModel, steps: ReplayStep[], over: Partial<ReplayInput> = {}) {
  return replay({ host, runningGuests: [], steps, seed: 1, verify: true, ...over });
}

/** Blocks' events of the last step. */
function blocks({ steps }: ReturnType<typeof run>): BlockEvent[] {
  return steps.at(-1)!.events.filter((event): event is BlockEvent => event.type === 'memory_block');
}

function last({ steps }: ReturnType<typeof run>): Snapshot {
  return steps.at(-1)!.snapshot;
}

function zoneOf(snapshot: Snapshot, node: number, name: ZoneName = 'Normal') {
  return snapshot.nodes[node]!.zones.find((zone) => zone.name === name)!;
}

/** start_pfn, spanned, present, managed. */
function sizes(snapshot: Snapshot, node: number, name: ZoneName = 'Normal'): number[] {
  const { startPfn, spannedPages, presentPages, managedPages } = zoneOf(snapshot, node, name);
  return [startPfn, spannedPages, presentPages, managedPages];
}

function marks(snapshot: Snapshot, node: number, name: ZoneName = 'Normal'): number[] {
  const { minPages, lowPages, highPages } = zoneOf(snapshot, node, name);
  return [minPages, lowPages, highPages];
}

describe('a free section that goes offline', () => {
  const result = run(hostOf(4, 4), [hotplug('offline', 0, 3)]);

  it('leaves the zone smaller at its end', () => {
    expect(blocks(result)[0]).toMatchObject({ outcome: 'offlined', zone: 'Normal', movedPages: 0 });
    expect(sizes(last(result), 0)).toEqual([0, 98304, 98304, 98304]);
    expect(zoneOf(last(result), 0).pageblocksByType.Movable).toBe(192);
    expect(zoneOf(last(result), 0).freePages).toBe(zoneOf(result.initial, 0).freePages - SECTION);
  });

  it('has min_free_kbytes, marks and list sizes computed anew', () => {
    // The root of 64 times what lies above the high marks of before: 131072 - 774 and 98304 - 774 pages.
    expect(last(result).sysctl.min_free_kbytes).toBe(3818);
    // 954 pages, 3/7 and 4/7 of them; gaps of a quarter, or a thousandth of the zone.
    expect(marks(last(result), 0)).toEqual([408, 510, 612]);
    expect(marks(last(result), 1)).toEqual([545, 681, 817]);
    expect(zoneOf(last(result), 0).pcpHighPages).toBe(510);
    expect(zoneOf(result.initial, 0).pcpHighPages).toBe(643);
  });

  it('lets the user keep a larger min_free_kbytes', () => {
    const write = (value: number): ReplayStep => ({ op: 'sysctl', name: 'min_free_kbytes', value });
    const after = (value: number): number =>
      last(run(hostOf(4, 4), [write(value), hotplug('offline', 0, 3)])).sysctl.min_free_kbytes;
    expect(after(5000)).toBe(5000);
    // 1000 KiB are less than what is computed with the high marks that they make, 387 pages each.
    expect(after(1000)).toBe(3824);
  });

  it('leaves a hole where it lay in the middle, and comes back to its own zone', () => {
    const back = run(hostOf(4, 4), [hotplug('offline', 0, 1), hotplug('online', 0, 1)]);
    expect(sizes(back.steps[0]!.snapshot, 0)).toEqual([0, 131072, 98304, 98304]);
    expect(zoneOf(back.steps[0]!.snapshot, 0).pageblocksByType.Movable).toBe(192);
    expect(sizes(last(back), 0)).toEqual([0, 131072, 131072, 131072]);
    expect(zoneOf(last(back), 0).freePages).toBe(zoneOf(back.initial, 0).freePages);
  });
});

describe('a section that cannot go offline', () => {
  it('holds kernel pages: the first of them is named, and nothing changes', () => {
    const host = hostOf(4, 4);
    const result = run(host, [hotplug('offline', 0, 0)]);
    expect(result.steps[0]!.status).toBe('refused');
    expect(blocks(result)).toMatchObject([
      { outcome: 'refused', error: 'EBUSY', reason: 'failure to isolate range', pfn: 0 },
    ]);
    expect(sizes(last(result), 0)).toEqual(sizes(result.initial, 0));
    expect(zoneOf(last(result), 0).freePages).toBe(zoneOf(result.initial, 0).freePages);
    expect(last(result).sysctl.min_free_kbytes).toBe(result.initial.sysctl.min_free_kbytes);
  });

  it('holds memory that a device writes to: everything else is moved until the writer gives up', () => {
    const pinned = guestStep('g', 98304, ON0, { pinned: true });
    const result = run(hostOf(4, 4), [pinned, hotplug('offline', 0, 2, { timeoutSeconds: 30 })]);
    expect(blocks(result)).toMatchObject([
      { outcome: 'refused', error: 'EINTR', reason: 'signal backoff', movedPages: 0 },
    ]);
    expect(result.steps[1]!.durationNs).toBeCloseTo(30e9, -6);
    expect(last(result).guests[0]!.pagesByNode[0]!.pages).toBe(98304);
    expect(sizes(last(result), 0)).toEqual([0, 131072, 131072, 131072]);
  });

  it('does not exist, or is no more than part of what was asked for', () => {
    const result = run(hostOf(4, 4), [hotplug('offline', 0, 3, { pages: 2 * SECTION })]);
    expect(blocks(result).map(({ outcome, error }) => [outcome, error])).toEqual([
      ['offlined', undefined],
      ['refused', 'EINVAL'],
    ]);
    expect(result.steps[0]!.pagesDone).toBe(SECTION);
  });
});

describe('pages of memory that goes offline', () => {
  it('go to the nearest other node, to the lists that they left', () => {
    const result = run(hostOf(4, 4), [guestStep('g', 100_000, ON0), hotplug('offline', 0, 1)]);
    expect(blocks(result)).toMatchObject([{ outcome: 'offlined', movedPages: SECTION }]);
    expect(last(result).guests[0]!.pagesByNode).toEqual([
      { nodeId: 0, pages: 100_000 - SECTION },
      { nodeId: 1, pages: SECTION },
    ]);
    expect(last(result).nodes[1]!.lru.inactiveAnonPages).toBe(SECTION);
    expect(last(result).vmstat.pgmigrate_success).toBe(SECTION);
    expect(last(result).nodes[1]!.numastat.numaHit).toBe(SECTION);
  });

  it('stay on the node where it is the only one', () => {
    const result = run(hostOf(4), [guestStep('g', 50_000, ON0), hotplug('offline', 0, 1)]);
    expect(blocks(result)).toMatchObject([{ outcome: 'offlined', movedPages: 20_878 }]);
    expect(last(result).guests[0]!.pagesByNode).toEqual([{ nodeId: 0, pages: 50_000 }]);
    expect(sizes(last(result), 0)).toEqual([0, 131072, 98304, 98304]);
  });

  it('push other memory out where there is too little room', () => {
    const result = run(hostOf(2, 1), [
      cacheStep(30_000, 1),
      guestStep('g', 50_000, ON0),
      hotplug('offline', 0, 1),
    ]);
    expect(blocks(result)).toMatchObject([{ outcome: 'offlined' }]);
    const { vmstat, guests } = last(result);
    expect(guests[0]!.pagesByNode[1]!.pages).toBeGreaterThan(15_000);
    expect((vmstat.pgsteal_kswapd ?? 0) + (vmstat.pgsteal_direct ?? 0)).toBeGreaterThan(10_000);
    expect(vmstat.oom_kill ?? 0).toBe(0);
  });

  it('keep huge pages whole', () => {
    const host = hostOf(4, 4);
    host.thp.enabled = 'always';
    const result = run(host, [
      guestStep('g', 102_400, ON0, { thp: 'huge' }),
      hotplug('offline', 0, 2),
    ]);
    expect(blocks(result)).toMatchObject([{ outcome: 'offlined', movedPages: SECTION }]);
    expect(last(result).vmstat.thp_migration_success).toBe(64);
    expect(last(result).guests[0]!.hugePages).toBe(200);
  });

  it('are huge pages of a pool: those in use move, free ones leave the pool', () => {
    const pool: ReplayStep = { op: 'hugepages', nodeId: 0, count: 100 };
    const guest = guestStep('g', 40 * 512, ON0, { hugetlb: { sizeKib: 2048, reserve: true } });
    const result = run(hostOf(4, 4), [pool, guest, hotplug('offline', 0, 1)]);
    // 58 pages of the pool lie before the section, 42 in it, of which the guest has the last 40.
    expect(blocks(result)).toMatchObject([
      { outcome: 'offlined', movedPages: 40 * 512, dissolvedHugepages: 2 },
    ]);
    const pools = last(result).nodes.map(({ hugepages }) => hugepages[0]!);
    expect(pools).toMatchObject([
      { totalPages: 58, freePages: 58 },
      { totalPages: 40, freePages: 0 },
    ]);
    expect(last(result).guests[0]!.pagesByNode[1]!.pages).toBe(40 * 512);
    // Each is copied as 512 pages are.
    const { migrateNs } = hardwareProfiles['generic-2s']!;
    expect(result.steps[2]!.durationNs).toBeGreaterThan(40 * 512 * migrateNs);
  });

  it('are huge pages in use that find no place: those that did have moved', () => {
    const hugetlb = { sizeKib: 2048 as const, reserve: true };
    const pool = (nodeId: number, count: number): ReplayStep => ({
      op: 'hugepages',
      nodeId,
      count,
    });
    const result = run(hostOf(4, 1), [
      pool(0, 100),
      guestStep('g', 40 * 512, ON0, { hugetlb }),
      pool(1, 55),
      guestStep('h', 55 * 512, ON1, { hugetlb }),
      hotplug('offline', 0, 1, { timeoutSeconds: 1 }),
    ]);
    const [told] = blocks(result);
    expect(told).toMatchObject({ outcome: 'refused', error: 'EINTR', reason: 'signal backoff' });
    const moved = last(result).guests[0]!.pagesByNode[1]!.pages;
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(40 * 512);
    expect(told!.movedPages).toBe(moved);
  });

  it('are free huge pages that a guest was promised: the block stays', () => {
    const pool: ReplayStep = { op: 'hugepages', nodeId: 0, count: 100 };
    const guest = guestStep('g', 99 * 512, ON0, { hugetlb: { sizeKib: 2048, reserve: true } });
    const untouched = { ...guest, touchPages: [0] } as ReplayStep;
    const result = run(hostOf(4, 4), [pool, untouched, hotplug('offline', 0, 1)]);
    expect(blocks(result)).toMatchObject([
      { outcome: 'refused', error: 'EBUSY', reason: 'failure to dissolve huge pages' },
    ]);
    // One page was free to leave before.
    expect(blocks(result)[0]!.dissolvedHugepages).toBe(1);
    expect(last(result).nodes[0]!.hugepages[0]!.totalPages).toBe(99);
    expect(sizes(last(result), 0)).toEqual([0, 131072, 131072, 131072]);
  });
});

describe('the last memory of a node', () => {
  /** Nodes of one section each but the second, which gets one and loses it again. */
  const given = (): HostModel => hostOf(1, 0, 1, 1);
  const come = hotplug('online', 1, 0);
  const go = hotplug('offline', 1, 0);

  it('has its place in the lists until they are made the next time', () => {
    const order = (steps: ReplayStep[]): number[] =>
      run(given(), steps).fallbackOrder.find(({ nodeId }) => nodeId === 1)!.order;
    // Of two nodes at one distance that comes first which fewer lists before have first: node 0's begins with node 2, or
    // with node 1 as long as that is one of those with memory.
    expect(order([])).toEqual([1, 3, 2, 0]);
    expect(order([come])).toEqual([1, 2, 3, 0]);
    expect(order([come, go])).toEqual([1, 2, 3, 0]);
    expect(order([come, go, hotplug('online_movable', 0, 8)])).toEqual([1, 3, 2, 0]);
  });

  it('leaves no marks behind, which min_free_kbytes would be computed with when some comes back', () => {
    const all = [come, go, come].map((_, i, steps) => last(run(given(), steps.slice(0, i + 1))));
    const highs = (snapshot: Snapshot): number[] =>
      snapshot.nodes.flatMap(({ zones }) => zones.map(({ highPages }) => highPages));
    const managed = 3 * SECTION;
    const before = highs(all[1]!).reduce((sum, pages) => sum + pages, 0);
    expect(highs(all[1]!)).toHaveLength(3);
    expect(all[2]!.sysctl.min_free_kbytes).toBe(
      Math.floor(Math.sqrt((managed + SECTION - before) * 4 * 16)),
    );
  });
});

describe('memory that is added', () => {
  it('makes a zone Movable, which the zones below protect themselves from', () => {
    const result = run(hostOf(4, 4), [hotplug('online_movable', 1, 8)]);
    expect(blocks(result)).toMatchObject([{ outcome: 'onlined', zone: 'Movable' }]);
    const start = NODE_PFNS + 8 * SECTION;
    expect(sizes(last(result), 1, 'Movable')).toEqual([start, 32768, 32768, 32768]);
    expect(zoneOf(last(result), 1, 'Movable').freeBlocks).toEqual([
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
    ]);
    expect(zoneOf(last(result), 1).protectionPages).toEqual([0, 0, 0, 1024, 1024]);
    // 2 MiB of memmap from a block of order 9; the refill takes two.
    const normal = zoneOf(last(result), 1);
    expect(zoneOf(result.initial, 1).freePages - normal.freePages).toBe(1024);
    expect(normal.pcpPages).toBe(512);
    // 4083 KiB over 294912 pages.
    expect(last(result).sysctl.min_free_kbytes).toBe(4083);
    expect(marks(last(result), 1, 'Movable')).toEqual([113, 145, 177]);
  });

  it('serves guests, and leaves no trace in the zones when it goes again', () => {
    const result = run(hostOf(1, 1), [
      hotplug('online_movable', 1, 8),
      guestStep('g', 20_000, ON1),
      { op: 'kill', name: 'g' },
      hotplug('offline', 1, 8),
    ]);
    const lru = zoneOf(result.steps[1]!.snapshot, 1, 'Movable').lru;
    expect(lru.inactiveAnonPages).toBe(20_000);
    expect(last(result).nodes[1]!.zones.map(({ name }) => name)).toEqual(['Normal']);
    expect(zoneOf(last(result), 1).protectionPages).toEqual([0, 0, 0, 0, 0]);
  });

  it('holds its own memmap if asked for: present, not managed, in an Unmovable pageblock', () => {
    const result = run(hostOf(4, 4), [
      hotplug('online', 1, 6, { memmapOnMemory: true }),
      hotplug('offline', 1, 6),
    ]);
    const [added, gone] = result.steps.map(({ snapshot }) => snapshot);
    expect(sizes(added!, 1)).toEqual([NODE_PFNS, 7 * SECTION, 5 * SECTION, 5 * SECTION - 512]);
    expect(zoneOf(added!, 1).pageblocksByType).toMatchObject({ Unmovable: 1, Movable: 319 });
    expect(zoneOf(added!, 1).freePages - zoneOf(result.initial, 1).freePages).toBe(SECTION - 512);
    expect(sizes(gone!, 1)).toEqual(sizes(result.initial, 1));
  });

  it('gives a node its first memory, and with it a place in every zonelist', () => {
    const result = run(hostOf(4, 0), [
      hotplug('online', 1, 0, { pages: 2 * SECTION }),
      guestStep('g', 30_000, ON1),
    ]);
    expect(result.fallbackOrder).toEqual([
      { nodeId: 0, order: [0, 1] },
      { nodeId: 1, order: [1, 0] },
    ]);
    // The memmap of the first block can only come from the other node.
    expect(zoneOf(result.initial, 0).freePages).toBeGreaterThan(
      zoneOf(last(result), 0).freePages + 511,
    );
    expect(last(result).guests[0]!.pagesByNode[1]!.pages).toBe(30_000);
  });

  it('below a zone extends it downwards', () => {
    const host = hostOf(4, 4);
    host.nodes[1]!.zones[0]!.startPfn += 2 * SECTION;
    const result = run(host, [guestStep('g', 100_000, ON1), hotplug('online', 1, 0)]);
    expect(sizes(last(result), 1)).toEqual([NODE_PFNS, 6 * SECTION, 5 * SECTION, 5 * SECTION]);
    expect(zoneOf(last(result), 1).pageblocksByType).toMatchObject({ Movable: 318, Unmovable: 2 });
  });

  it('stays as it is where there is memory already', () => {
    const result = run(hostOf(4, 4), [
      hotplug('online', 1, 0),
      { ...hotplug('online', 1, 0), nodeId: 0 },
    ]);
    const told = result.steps.map(({ events }) => events[0] as BlockEvent);
    expect(told.map(({ outcome, error }) => [outcome, error])).toEqual([
      ['unchanged', undefined],
      ['refused', 'EEXIST'],
    ]);
  });
});

describe('a step of memory hotplug', () => {
  it.each([
    [{ startPfn: 100 }, 'steps[0].startPfn'],
    [{ pages: SECTION + 1 }, 'steps[0].pages'],
    [{ blockPages: 3 * SECTION }, 'steps[0].blockPages'],
    [{ nodeId: 7 }, 'steps[0].nodeId'],
    [{ startPfn: 2 ** 33 }, 'steps[0].startPfn'],
    [{ timeoutSeconds: 0 }, 'steps[0].timeoutSeconds'],
  ])('is refused with %o', (over, path) => {
    expect(() => run(hostOf(4, 4), [hotplug('online', 0, 8, over)])).toThrow(
      expect.objectContaining({ path }),
    );
  });

  it('cannot bring memory with its own memmap to 5.10, which takes it from the node', () => {
    const step = hotplug('online', 0, 8, { memmapOnMemory: true });
    const refused = (kernelProfile: HostModel['kernelProfile']) => () =>
      run({ ...hostOf(4, 4), kernelProfile }, [step]);
    expect(refused('5.10')).toThrow(
      expect.objectContaining({
        path: 'steps[0].memmapOnMemory',
        message: expect.stringMatching(/came with Linux 5\.13, .* replayed as 5\.10/) as string,
      }),
    );
    expect(refused('6.12')).not.toThrow();
  });

  it('is the same on every kernel that is replayed, but for what each computes', () => {
    for (const kernelProfile of ['5.10', '6.12'] as const) {
      const host = { ...hostOf(4, 4), kernelProfile };
      const steps = [
        guestStep('g', 100_000, ON0),
        hotplug('offline', 0, 1),
        hotplug('online_movable', 0, 1),
      ];
      const result = run(host, steps);
      expect(result.steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok']);
      expect(sizes(last(result), 0, 'Movable')).toEqual([SECTION, SECTION, SECTION, SECTION]);
    }
  });

  it('has the same state for the same input', () => {
    const steps = [guestStep('g', 100_000, ON0), hotplug('offline', 0, 1), hotplug('online', 0, 1)];
    expect(run(hostOf(4, 4), steps).stateHash).toBe(run(hostOf(4, 4), steps).stateHash);
  });
});
