/** Charges of memory cgroups by hand, and what is charged and reclaimed in replays. */
import { cacheStep, guestStep, twoNodes } from '../test/host';
import { buildKernel } from './kernel';
import {
  addGroup,
  chargeQuietly,
  drainStocks,
  planCharges,
  setLimits,
  unchargeKernel,
} from './memcg';
import { highDelayTicks } from './memcg-charge';
import { replay } from './replay';
import type {
  GroupSnapshot,
  GroupSpec,
  HostModel,
  ReplayInput,
  ReplayStep,
  StepResult,
} from './types';

const ON0 = { mode: 'bind' as const, nodes: [0] };
const limits = (spec: Omit<GroupSpec, 'name'>): ReplayStep => ({
  op: 'cgroup',
  name: 'g',
  ...spec,
});

function guestIn(
  name: string,
  pages: number,
  over: { cgroup?: string } = { cgroup: 'g' },
): ReplayStep {
  const step = guestStep(name, pages, ON0);
  if (step.op === 'guest') Object.assign(step.guest, over);
  return step;
}

function run(steps: ReplayStep[], over: Partial<ReplayInput> = {}, host: HostModel = twoNodes()) {
  return replay({ host, runningGuests: [], steps, seed: 1, verify: true, ...over });
}

const lastOf = (steps: ReplayStep[], over?: Partial<ReplayInput>): StepResult =>
  run(steps, over).steps.at(-1)!;
const groupOf = (step: StepResult): GroupSnapshot => step.snapshot.groups![0]!;

function groupAt(usagePages: number, maxPages: number, highPages = Infinity) {
  const k = buildKernel({ host: twoNodes(), runningGuests: [], steps: [], seed: 1 });
  const group = addGroup(k, 'g');
  setLimits(group, { maxPages, highPages });
  group.usagePages = usagePages;
  return { k, group };
}

describe('charges of single pages', () => {
  it('go by the batch while one fits, then by the page', () => {
    const { group } = groupAt(0, 150);
    // Two batches of 64 leave room for 22, which are taken one by one.
    expect(planCharges(group, 0, 140)).toEqual({
      pages: 140,
      usagePages: 140,
      stockPages: 0,
      failures: 12,
      overHighPages: 0,
    });
    expect(planCharges(group, 0, 1000).pages).toBe(150);
  });

  it('come from the stock first, and leave the rest of a batch there', () => {
    const { group } = groupAt(64, 1000);
    expect(planCharges(group, 10, 12)).toMatchObject({
      pages: 12,
      usagePages: 128,
      stockPages: 62,
    });
    expect(planCharges(group, 10, 10)).toMatchObject({ pages: 10, usagePages: 64, stockPages: 0 });
  });

  it('stop with the one that passes memory.high', () => {
    const { group } = groupAt(0, 1000, 130);
    // 128 pages in two batches; the third batch makes 192.
    const plan = planCharges(group, 0, 500);
    expect(plan).toMatchObject({ pages: 129, usagePages: 192, stockPages: 63, overHighPages: 64 });
  });

  it('give a full stock back, and that of another group before its own', () => {
    const { k, group } = groupAt(0, 1000);
    group.kernelPages = 100;
    group.usagePages = 100;
    // 64 pages stay charged in the stock; the 65th gives all of them back.
    unchargeKernel(k, group, 0, 64);
    expect(group.usagePages).toBe(100);
    unchargeKernel(k, group, 0, 1);
    expect(group.usagePages).toBe(35);
    expect(chargeQuietly(k, group, 0, 1)).toBe(1);
    expect(group.usagePages).toBe(99);
    const other = addGroup(k, 'h');
    expect(chargeQuietly(k, other, 0, 1)).toBe(1);
    expect([group.usagePages, other.usagePages]).toEqual([36, 64]);
    drainStocks(k, other);
    expect(other.usagePages).toBe(1);
  });
});

describe('waiting above memory.high', () => {
  it('grows with the square of the overage', () => {
    // 10 % above: overage 104857 of 2^20, squared * 250 / 2^34 = 159.99 ticks for a batch.
    expect(highDelayTicks(1100, 1000, 64)).toBe(159);
    expect(highDelayTicks(1050, 1000, 64)).toBe(39);
    expect(highDelayTicks(1100, 1000, 32)).toBe(79);
    expect(highDelayTicks(1000, 1000, 64)).toBe(0);
    expect(highDelayTicks(2000, 1000, 64)).toBe(500);
  });
});

describe('memory.max', () => {
  it('charges a guest with its pages and page tables', () => {
    const group = groupOf(lastOf([limits({}), guestIn('a', 5120)]));
    // 5120 pages and 10 tables are 5130: 80 batches of 64 and a part of the next.
    expect(group.currentPages).toBe(81 * 64);
    expect(group.kernelPages).toBe(10);
    expect(group.lru.inactiveAnonPages).toBe(5120);
  });

  it('lets a reader go on with its own cache while the node has room', () => {
    const step = lastOf([limits({ maxPages: 4096 }), cacheStep(20000, 0, { cgroup: 'g' })]);
    expect(step).toMatchObject({ status: 'ok', pagesDone: 20000 });
    const group = groupOf(step);
    expect(group.currentPages).toBeLessThanOrEqual(4096);
    expect(group.currentPages).toBeGreaterThan(4096 - 128);
    expect(step.snapshot.vmstat.pgsteal_direct).toBeUndefined();
    const gone = 20000 - group.lru.inactiveFilePages - group.lru.activeFilePages;
    expect(step.snapshot.vmstat.pgsteal_file).toBe(gone);
    expect(step.events).toContainEqual(
      expect.objectContaining({ type: 'cgroup_reclaim', cgroup: 'g', reclaimedPages: gone }),
    );
    expect(step.snapshot.nodes[0]!.zones[0]!.freePages).toBeGreaterThan(20000);
  });

  it('reclaims from the group alone', () => {
    const mine = cacheStep(8000, 0, { file: 'mine', cgroup: 'g' });
    const step = lastOf([limits({ maxPages: 4096 }), cacheStep(8000, 0, { file: 'theirs' }), mine]);
    const { inactiveFilePages } = step.snapshot.nodes[0]!.lru;
    expect(inactiveFilePages - groupOf(step).lru.inactiveFilePages).toBe(8000);
  });

  it('kills within the group after 18 charges in vain, and the dying process tries 17 times more', () => {
    const steps = [limits({ maxPages: 4096 }), guestIn('out', 9000, {}), guestIn('in', 6000)];
    const step = lastOf(steps);
    expect(step.status).toBe('killed');
    expect(groupOf(step).events).toEqual({ high: 0, max: 35, oom: 1, oomKill: 1 });
    const kills = step.events.filter(({ type }) => type === 'oom_kill');
    expect(kills).toHaveLength(1);
    // 4096 pages less 8 page tables for the first 4088 pages.
    expect(kills[0]).toMatchObject({
      constraint: 'CONSTRAINT_MEMCG',
      victim: 'in',
      victimPages: 4088,
      report: expect.arrayContaining([
        'in invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
        'memory: usage 16384kB, limit 16384kB, failcnt 19',
        'swap: usage 0kB, limit 9007199254740988kB, failcnt 0',
        'Memory cgroup stats for /g:',
        'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=g,mems_allowed=0-1,oom_memcg=/g,' +
          'task_memcg=/g,task=in,pid=1002,uid=0',
      ]) as string[],
    });
    expect(step.snapshot.guests.map(({ alive }) => alive)).toEqual([true, false]);
    expect(groupOf(step).currentPages).toBeLessThanOrEqual(64);
  });

  it('kills the largest of the group and lets the smaller go on', () => {
    const step = lastOf([limits({ maxPages: 4096 }), guestIn('big', 2500), guestIn('small', 2000)]);
    expect(step.status).toBe('ok');
    expect(step.events).toContainEqual(
      expect.objectContaining({ type: 'oom_kill', victim: 'big' }),
    );
  });

  it('swaps, up to memory.swap.max', () => {
    const swapon: ReplayStep = { op: 'swapon', pages: 20000 };
    const free = lastOf([swapon, limits({ maxPages: 4096 }), guestIn('a', 6000)]);
    expect(free.status).toBe('ok');
    expect(groupOf(free).swapCurrentPages).toBe(free.snapshot.guests[0]!.swapPages);
    expect(groupOf(free).swapCurrentPages).toBeGreaterThan(1900);
    const bounded = lastOf([
      swapon,
      limits({ maxPages: 4096, swapMaxPages: 1000 }),
      guestIn('a', 6000),
    ]);
    expect(bounded.status).toBe('killed');
    expect(groupOf(bounded).swapCurrentPages).toBe(0);
    const none = lastOf([swapon, limits({ maxPages: 4096, swapMaxPages: 0 }), guestIn('a', 6000)]);
    expect(none.snapshot.vmstat.pswpout).toBeUndefined();
  });

  it('is enforced when it is lowered: cache first, then a kill', () => {
    const cache = cacheStep(3000, 0, { cgroup: 'g' });
    const reclaimed = lastOf([limits({}), cache, limits({ maxPages: 1000 })]);
    expect(groupOf(reclaimed).currentPages).toBeLessThanOrEqual(1000);
    const killed = lastOf([limits({}), guestIn('a', 3000), limits({ maxPages: 1000 })]);
    expect(killed.snapshot.guests[0]!.alive).toBe(false);
    expect(groupOf(killed).events).toMatchObject({ oom: 1, oomKill: 1 });
    const lifted = lastOf([
      limits({ maxPages: 1000 }),
      limits({ maxPages: null }),
      guestIn('a', 3000),
    ]);
    expect(lifted.status).toBe('ok');
  });

  it('counts the memory of guests that run at the start', () => {
    const guest = guestIn('a', 2000);
    if (guest.op !== 'guest') throw new Error('a guest step');
    const host = twoNodes();
    const zone = host.nodes[0]!.zones[0]!;
    zone.freePages -= 1500;
    zone.freeBlocks[0] = zone.freePages;
    zone.freeBlocks.fill(0, 1);
    host.nodes[0]!.lru.inactiveAnonPages = 1500;
    host.nodes[0]!.anonPages = 1500;
    const residency = [{ cell: 0, nodeId: 0, pages: 1500, hugePages: 0 }];
    const result = run(
      [{ op: 'kill', name: 'a' }],
      { groups: [{ name: 'g' }], runningGuests: [{ ...guest.guest, residency, swapPages: 0 }] },
      host,
    );
    expect(result.initial.groups![0]!.currentPages).toBe(1500);
    expect(groupOf(result.steps[0]!).currentPages).toBe(0);
  });
});

describe('memory.high', () => {
  it('reclaims what is above it on the way back to user space', () => {
    const step = lastOf([limits({ highPages: 4000 }), cacheStep(20000, 0, { cgroup: 'g' })]);
    const group = groupOf(step);
    expect(group.events.max).toBe(0);
    // Each answer frees its batch of 64 and less than as much again: a list of 4000 is looked at in steps of 31, 62, ...
    expect(group.events.high).toBeGreaterThan((20000 - 4000) / 128);
    expect(group.events.high).toBeLessThanOrEqual((20000 - 4000) / 64);
    expect(group.currentPages).toBeLessThan(4000 + 64);
  });

  it('slows down who cannot be reclaimed, and kills nobody', () => {
    const step = lastOf([limits({ highPages: 2000 }), guestIn('a', 2600)]);
    expect(step.status).toBe('ok');
    const stall = step.snapshot.guests[0]!.stallNs;
    // 10 batches charged from 2048 to 2624 pages; the last, 31 % above, waits the full two seconds.
    expect(stall).toBeGreaterThan(10e9);
    expect(stall).toBeLessThan(20e9);
    const near = lastOf([limits({ highPages: 2000 }), guestIn('a', 2010)]);
    expect(near.snapshot.guests[0]!.stallNs).toBeLessThan(1e9);
  });
});

describe('lists of a group', () => {
  it('are reclaimed in turn when the node runs short', () => {
    const mine = cacheStep(12000, 0, { file: 'mine', cgroup: 'g' });
    const theirs = cacheStep(12000, 0, { file: 'theirs' });
    const step = lastOf([limits({}), mine, theirs, guestIn('a', 15000, {})]);
    const left = groupOf(step).lru.inactiveFilePages;
    const all = step.snapshot.nodes[0]!.lru.inactiveFilePages;
    // Two lists of the same length lose the same share.
    expect(left).toBeLessThan(10000);
    expect(Math.abs(left - (all - left))).toBeLessThan(all / 4);
  });

  it('keep a file that another group reads first with the first', () => {
    const steps = [limits({}), { op: 'cgroup' as const, name: 'h' }];
    const read = (cgroup: string) => cacheStep(3000, 0, { cgroup });
    const step = lastOf([...steps, read('g'), read('h')]);
    const [g, h] = step.snapshot.groups!;
    expect(g!.lru.inactiveFilePages + g!.lru.activeFilePages).toBe(3000);
    expect(h!.currentPages).toBe(0);
  });

  it('give their charge back with drop_caches', () => {
    const step = lastOf([limits({}), cacheStep(3000, 0, { cgroup: 'g' }), { op: 'drop_caches' }]);
    expect(groupOf(step).currentPages).toBeLessThanOrEqual(64);
    expect(groupOf(step).lru.inactiveFilePages).toBe(0);
  });

  it('hold a writer back by the group’s own dirty threshold', () => {
    const write = cacheStep(12000, 0, { cgroup: 'g', access: 'write' });
    const step = lastOf([limits({ maxPages: 4000 }), write], { hardwareProfile: 'lab-tcg' });
    expect(step).toMatchObject({ status: 'ok', pagesDone: 12000 });
    // 15 % of some 4000 pages, far below the host's own 15 %.
    expect(step.snapshot.nodes[0]!.dirtyPages).toBeLessThan(1200);
  });
});

describe('cpuset.mems of a group', () => {
  it('holds for guests that have none of their own', () => {
    const steps = [limits({ cpusetMems: [1] }), guestIn('a', 2000)];
    if (steps[1]!.op === 'guest')
      steps[1]!.guest.regions[0]!.policy = { mode: 'default', nodes: [] };
    const step = lastOf(steps);
    expect(step.snapshot.guests[0]!.pagesByNode).toEqual([
      { nodeId: 0, pages: 0 },
      { nodeId: 1, pages: 2000 },
    ]);
  });
});

describe('a huge page', () => {
  it('that cannot be charged becomes base pages', () => {
    const always: ReplayStep = { op: 'thp', enabled: 'always', defrag: 'madvise' };
    const step = lastOf([always, limits({ maxPages: 1300 }), guestIn('a', 1200)]);
    expect(step.status).toBe('ok');
    expect(step.snapshot.guests[0]!.hugePages).toBe(2);
    // The last 176 pages are no whole block; nothing was tried for them.
    expect(step.snapshot.vmstat.thp_fault_fallback_charge).toBeUndefined();
    const tight = lastOf([always, limits({ maxPages: 900 }), guestIn('a', 880)]);
    expect(tight.snapshot.guests[0]!.hugePages).toBe(1);
    const split = lastOf([always, limits({ maxPages: 1000 }), guestIn('a', 1024)]);
    expect(split.snapshot.vmstat.thp_fault_fallback_charge).toBe(1);
  });
});

describe('input', () => {
  it.each([
    [[guestIn('a', 100)], 'unknown-cgroup', 'steps[0].guest.cgroup'],
    [[cacheStep(10, 0, { cgroup: 'h' })], 'unknown-cgroup', 'steps[0].cgroup'],
    [[limits({ maxPages: -1 })], 'out-of-range', 'steps[0].maxPages'],
    [[limits({ cpusetMems: [7] })], 'unknown-node', 'steps[0].cpusetMems[0]'],
    [[{ op: 'cgroup' as const, name: 'a/b' }], 'unknown-value', 'steps[0].name'],
  ])('is refused: %#', (steps: ReplayStep[], code, path) => {
    expect(() => run(steps)).toThrow(expect.objectContaining({ code, path }) as Error);
  });

  it('names each group once', () => {
    const groups = [{ name: 'g' }, { name: 'g' }];
    const duplicate = expect.objectContaining({ code: 'duplicate-cgroup' }) as Error;
    expect(() => run([], { groups })).toThrow(duplicate);
  });
});
