/** What a kill leaves in the events of a step. */
import { guestStep, region, twoNodes } from '../test/host';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './buddy';
import { addGuest, buildKernel } from './kernel';
import { dumpHeader } from './oom-dump';
import { replay } from './replay';
import type { HostModel, ReplayEvent, ReplayStep } from './types';

type Kill = Extract<ReplayEvent, { type: 'oom_kill' }>;

const bind = (node: number) => ({ mode: 'bind' as const, nodes: [node] });
const FREELY = { mode: 'default' as const, nodes: [] };

function killsOf(steps: ReplayStep[], host: HostModel = twoNodes()): Kill[] {
  const result = replay({ host, runningGuests: [], steps, seed: 1, verify: true });
  return result.steps.flatMap(({ events }) =>
    events.flatMap((event) => (event.type === 'oom_kill' ? [event] : [])),
  );
}

const lineOf = (kill: Kill | undefined, start: string): string | undefined =>
  kill?.report.find((line) => line.startsWith(start));

describe('the report of a kill', () => {
  it('shows the state before the victim gave its memory back', () => {
    const [kill] = killsOf([guestStep('web', 40000, bind(0))]);
    const killed = /anon-rss:(\d+)kB.* pgtables:(\d+)kB/.exec(kill!.report.at(-1)!)!;
    expect(kill!.victimPages).toBe(Number(killed[1]) / 4);
    expect(kill!.report.at(-1)).toMatch(
      /^Out of memory: Killed process 1001 \(web\) total-vm:160000kB, /,
    );
    const tables = Number(killed[2]) / 4;
    expect(lineOf(kill, 'Node 0 active_anon')).toContain(` pagetables:${4 * tables}kB `);
    expect(lineOf(kill, '[   1001]')).toContain(`  ${4096 * tables} `);
    expect(lineOf(kill, 'Node 1')).toBeUndefined();
  });

  it('has a summary in one line', () => {
    const [kill] = killsOf([guestStep('web', 40000, bind(0))]);
    const free = /Node 0 Normal free:(\d+)kB /.exec(lineOf(kill, 'Node 0 Normal free')!)![1];
    expect(kill!.summary).toMatch(
      new RegExp(`^node 0 Normal: free ${Number(free) / 4}, min \\d+ \\+ reserve 0, cache 0, `),
    );
    expect(kill!.summary).not.toContain('\n');
  });

  it('is in full for the first 20 kills of a replay', () => {
    const guests = Array.from({ length: 22 }, (_, i) => guestStep(`g${i}`, 33000, bind(0)));
    const kills = killsOf(guests);
    expect(kills).toHaveLength(22);
    expect(kills.map(({ report }) => report.length > 0)).toEqual(kills.map((_, i) => i < 20));
    expect(kills.every(({ summary }) => summary.startsWith('node 0 Normal: free'))).toBe(true);
  });

  it('lists who could have been killed, also who is exempt, and nobody else', () => {
    const task = { policyScope: 'task' as const };
    const exempt = guestStep('spared', 3000, bind(0), task);
    if (exempt.op === 'guest') exempt.guest.oomScoreAdj = -1000;
    const [kill] = killsOf([
      exempt,
      guestStep('elsewhere', 3000, bind(1), { ...task, cpuNodes: [1] }),
      guestStep('web', 40000, bind(0), task),
    ]);
    const tasks = kill!.report.flatMap((line) => /^\[ +(\d+)\].* (-?\d+) (\S+)$/.exec(line) ?? []);
    expect(tasks.filter((_, i) => i % 4 !== 0)).toEqual([
      ...['1001', '-1000', 'spared'],
      ...['1003', '0', 'web'],
    ]);
  });

  it("names the cpuset's nodes where there is no policy, and all nodes with memory without a cpuset", () => {
    const [cpuset] = killsOf([guestStep('web', 40000, FREELY, { cpusetMems: [0] })]);
    expect(lineOf(cpuset, 'oom-kill:')).toContain(
      'constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=web,mems_allowed=0,',
    );
    expect(lineOf(cpuset, 'Node 1')).toBeUndefined();
    const [all] = killsOf([guestStep('web', 80000, FREELY)]);
    expect(lineOf(all, 'oom-kill:')).toContain(
      'constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0-1,',
    );
    expect(lineOf(all, 'Node 1 Normal free:')).toBeDefined();
  });

  it('shows a policy only where it decides who may be killed', () => {
    const [kill] = killsOf([guestStep('web', 80000, { mode: 'bind', nodes: [0, 1] })]);
    expect(lineOf(kill, 'oom-kill:')).toContain(
      'constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0-1,',
    );
  });

  it('says that kswapd has given a node up, also at the kill that follows', () => {
    const kills = killsOf([guestStep('web', 40000, bind(0)), guestStep('db', 40000, bind(0))]);
    expect(
      kills.map((kill) => /all_unreclaimable\? (\w+)/.exec(kill.report.join('\n'))?.[1]),
    ).toEqual(['yes', 'yes']);
  });

  it.each<[flags: string, what: string, request: { guest?: true; write?: true; type?: number }]>([
    ['0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)', 'guest memory', { guest: true }],
    ['0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)', 'a page of a file', {}],
    ['0x141cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_WRITE)', 'a written page', { write: true }],
    ['0x400dc0(GFP_KERNEL_ACCOUNT|__GFP_ZERO)', 'a page table', { type: MIGRATE_UNMOVABLE }],
    ['0x40cd0(GFP_KERNEL|__GFP_COMP|__GFP_RECLAIMABLE)', 'slab', { type: MIGRATE_RECLAIMABLE }],
  ])('says %s for %s', (flags, _, request) => {
    const k = buildKernel({ host: twoNodes(), runningGuests: [], steps: [], seed: 1 });
    const step = guestStep('web', 10, bind(0));
    if (step.op !== 'guest') throw new Error('not a guest');
    const web = addGuest(k, step.guest);
    const oc = {
      ...{ nodemask: null, cpusetMems: null, order: 1, cpu: 0 },
      ...{ type: request.type ?? MIGRATE_MOVABLE, write: request.write ?? false },
      ...(request.guest && { guest: web }),
    };
    const constraint = 'CONSTRAINT_NONE' as const;
    const [first] = dumpHeader(k, { oc, constraint, candidates: [web], victim: web });
    expect(first).toBe(`host invoked oom-killer: gfp_mask=${flags}, order=1, oom_score_adj=0`);
  });

  it('shows the pools of huge pages and free swap', () => {
    const host = twoNodes();
    const [node] = host.nodes;
    node!.hugepages = [{ sizeKib: 2048, totalPages: 8, freePages: 3 }];
    node!.zones[0]!.freePages -= 8 * 512;
    node!.zones[0]!.freeBlocks = [];
    const [kill] = killsOf([{ op: 'swapon', pages: 500 }, guestStep('web', 40000, bind(0))], host);
    expect(kill!.report).toEqual(
      expect.arrayContaining([
        'Node 0 hugepages_total=8 hugepages_free=3 hugepages_surp=0 hugepages_size=2048kB',
        'Free swap  = 0kB',
        'Total swap = 2000kB',
      ]),
    );
    expect(lineOf(kill, '[   1001]')).toMatch(/ 500 +0 web$/);
  });
});

/** Two cells whose vCPUs may use one node each, as numatune restrictive with a memnode for each cell. */
function restricted(name: string, cells: [pages: number, node: number][]): ReplayStep {
  const regions = cells.map(([pages, node], cell) =>
    region(pages, FREELY, { cell, cpuNodes: [node], cpusetMems: [node] }),
  );
  const guest = { name, regions, oomScoreAdj: 0, overheadPages: 0 };
  return { op: 'guest', guest, touchPages: cells.map(([pages]) => pages) };
}

function exempt(step: ReplayStep): ReplayStep {
  if (step.op === 'guest') step.guest.oomScoreAdj = -1000;
  return step;
}

describe('who may be killed', () => {
  const run = (steps: ReplayStep[]) =>
    replay({ host: twoNodes(), runningGuests: [], steps, seed: 1, verify: true });

  it("a guest itself, whichever of its threads' cpusets the memory ran out under", () => {
    const cells: [number, number][] = [
      [1000, 0],
      [40000, 1],
    ];
    const { steps } = run([restricted('web', cells)]);
    expect(steps[0]).toMatchObject({ status: 'killed' });
    expect(steps[0]!.snapshot.guests).toMatchObject([{ name: 'web', alive: false }]);
    expect(killsOf([restricted('web', cells)])).toMatchObject([{ victim: 'web' }]);
  });

  it('another one with a thread in the same cpuset, whichever of its cells that is', () => {
    const big = restricted('big', [
      [1000, 0],
      [25000, 1],
    ]);
    const kills = killsOf([big, guestStep('web', 20000, FREELY, { cpusetMems: [1] })]);
    expect(kills).toMatchObject([{ victim: 'big', invokedBy: 'web' }]);
  });

  it('nobody whose threads all have other nodes', () => {
    const big = restricted('big', [[28000, 0]]);
    const kills = killsOf([big, guestStep('web', 40000, FREELY, { cpusetMems: [1] })]);
    expect(kills).toMatchObject([{ victim: 'web' }]);
  });

  it('nobody at all: the guest that asked is gone, and the result says why', () => {
    const { steps, caveats } = run([exempt(guestStep('web', 40000, bind(0)))]);
    expect(steps[0]).toMatchObject({ op: 'guest', status: 'killed' });
    expect(steps[0]!.pagesDone).toBeLessThan(40000);
    expect(steps[0]!.snapshot.guests).toMatchObject([{ alive: false }]);
    expect(caveats.map(({ code }) => code)).toContain('no-process-to-kill');
  });

  it('nobody, where several touch at the same time', () => {
    const start = (name: string): ReplayStep => {
      const step = exempt(guestStep(name, 40000, bind(0)));
      return { ...step, touchPages: [100] } as ReplayStep;
    };
    const touches = ['a', 'b'].map((name) => ({ name, cell: 0, offsetPages: 0, pages: 20000 }));
    const { steps } = run([start('a'), start('b'), { op: 'touch_many', touches }]);
    expect(steps[2]).toMatchObject({ status: 'killed' });
    expect(steps[2]!.pagesDone).toBeLessThan(40000);
    expect(steps[2]!.snapshot.guests.some(({ alive }) => alive)).toBe(true);
  });
});
