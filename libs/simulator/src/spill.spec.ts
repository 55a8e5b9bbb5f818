import { cacheStep, guestStep, makeHost, twoNodes } from '../test/host';
import { replay } from './replay';
import type { HostModel, ReplayEvent, ReplayResult, ReplayStep } from './types';

const run = (host: HostModel, steps: ReplayStep[]) =>
  replay({ host, runningGuests: [], steps, seed: 1, verify: true });

function eventsOf<T extends ReplayEvent['type']>({ steps }: ReplayResult, type: T) {
  return steps
    .flatMap(({ events }) => events)
    .filter((event): event is Extract<ReplayEvent, { type: T }> => event.type === type);
}

const ON0 = { mode: 'preferred' as const, nodes: [0] };
const BIND0 = { mode: 'bind' as const, nodes: [0] };
const zrm = (value: number): ReplayStep => ({ op: 'sysctl', name: 'zone_reclaim_mode', value });

/** Half of node 0 is in use by the kernel, and what is free lies between that in blocks of order 3. */
function fragmented(): HostModel {
  const zones = [{ name: 'Normal' as const, pages: 65536 }];
  const host = makeHost([
    { cpus: 1, zones },
    { cpus: 1, zones },
  ]);
  const zone = host.nodes[0]!.zones[0]!;
  Object.assign(zone, { freePages: 32768, freeBlocks: [0, 0, 0, 4096, 0, 0, 0, 0, 0, 0, 0] });
  host.thp = { enabled: 'always', defrag: 'always' };
  return host;
}

describe('a spill', () => {
  it('says that no block was large enough where pages were not short', () => {
    const [spill] = eventsOf(
      run(fragmented(), [guestStep('g', 4096, ON0, { thp: 'huge' })]),
      'spill',
    );
    expect(spill).toMatchObject({
      ...{ guest: 'g', fromNode: 0, toNode: 1, order: 9, refusedBy: 'larger-blocks' },
      ...{ mark: 'low', largestFreeOrder: 3 },
      reason:
        'zone_reclaim_mode is 0: a zone without a free block of order 9 is skipped, its cache is left alone',
    });
    expect(spill!.freePages - 511).toBeGreaterThan(spill!.neededPages);
  });

  it('has the count that the mark refused, whatever came free since', () => {
    const steps = [cacheStep(30000, 0), guestStep('g', 8000, ON0)];
    for (const mode of [0, 1]) {
      const [spill] = eventsOf(run(twoNodes(), [zrm(mode), ...steps]), 'spill');
      if (mode === 0) expect(spill).toMatchObject({ refusedBy: 'free-pages', mark: 'low' });
      if (spill) expect(spill.freePages).toBeLessThanOrEqual(spill.neededPages);
    }
  });

  it('names the min mark where no node is above its low mark', () => {
    const steps = [
      guestStep('b', 31480, BIND0),
      guestStep('c', 31430, { mode: 'bind', nodes: [1] }, { cpuNodes: [1] }),
      guestStep('g', 120, ON0),
    ];
    const result = run(twoNodes(), steps);
    for (const { zones } of result.steps[1]!.snapshot.nodes) {
      expect(zones[0]!.freePages).toBeLessThan(zones[0]!.lowPages);
      expect(zones[0]!.freePages).toBeGreaterThan(zones[0]!.minPages);
    }
    const [spill] = eventsOf(result, 'spill');
    expect(spill).toMatchObject({ guest: 'g', refusedBy: 'free-pages', mark: 'min' });
    expect(spill!.neededPages).toBe(result.steps[0]!.snapshot.nodes[0]!.zones[0]!.minPages);
  });

  it('is none where the cpuset leaves the node out', () => {
    const policy = { mode: 'default' as const, nodes: [] };
    const away = guestStep('g', 4096, policy, { cpuNodes: [0], cpusetMems: [1] });
    const result = run(twoNodes(), [away]);
    expect(result.steps[0]!.snapshot.guests[0]!.pagesByNode[1]!.pages).toBe(4096);
    expect(eventsOf(result, 'spill')).toEqual([]);
  });
});

describe('what a task reclaims for itself', () => {
  const pool: ReplayStep = { op: 'hugepages', nodeId: 0, count: 16 };

  it('is counted without the runs that leave it to compaction', () => {
    const result = run(fragmented(), [pool]);
    const [event, ...others] = eventsOf(result, 'direct_reclaim');
    expect(event).toMatchObject({ order: 9, reclaimedPages: 0 });
    expect(event!.readyTimes).toBeGreaterThan(0);
    expect(others).toEqual([]);
    expect(result.totals.directReclaimedPages).toBe(0);
  });

  it('adds up to the total, one event for each order', () => {
    const result = run(twoNodes(), [
      cacheStep(28000, 0),
      guestStep('g', 20000, BIND0),
      { op: 'thp', enabled: 'always', defrag: 'always' },
      guestStep('h', 6000, BIND0, { thp: 'huge' }),
    ]);
    const events = eventsOf(result, 'direct_reclaim');
    const pages = events.reduce((sum, { reclaimedPages }) => sum + reclaimedPages, 0);
    expect(pages).toBe(result.totals.directReclaimedPages);
    expect(pages).toBeGreaterThan(0);
    const keys = events.map(({ guest, order }) => `${guest} ${order}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('by zone_reclaim_mode says whether the memory could come from elsewhere', () => {
    const mayLeave = (step: ReplayStep) =>
      run(twoNodes(), [cacheStep(30000, 0), zrm(1), step])
        .steps.flatMap(({ events }) => events)
        .flatMap((event) => (event.type === 'node_reclaim' ? [event.mayLeave] : []));
    expect(mayLeave(guestStep('g', 8000, ON0))).toEqual([true]);
    expect(mayLeave(guestStep('g', 8000, BIND0))).toEqual([false]);
    expect(mayLeave(guestStep('g', 8000, ON0, { cpusetMems: [0] }))).toEqual([false]);
    expect(mayLeave(pool)).toEqual([false]);
  });
});

it('a kill has counts at or below the mark that refused, as the check counted them', () => {
  const zones = [{ name: 'Normal' as const, pages: 65536 }];
  const host = makeHost([
    { cpus: 4, zones },
    { cpus: 4, zones },
  ]);
  const steps = [cacheStep(20000, 0), guestStep('a', 40000, BIND0), guestStep('b', 40000, BIND0)];
  const [kill] = eventsOf(run(host, steps), 'oom_kill');
  const [zone, ...others] = kill!.zones;
  expect(others).toEqual([]);
  expect(zone).toMatchObject({ nodeId: 0, zone: 'Normal' });
  expect(zone!.freePages).toBeLessThanOrEqual(zone!.minPages);
  expect(zone!.highPages).toBeGreaterThan(zone!.minPages);
});
