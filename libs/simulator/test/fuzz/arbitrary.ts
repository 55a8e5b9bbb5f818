import * as fc from 'fast-check';
import { HOTPLUG_PAGES } from '../machine';
import type {
  MachineConfig,
  MachineNodeConfig,
  MachineOp,
  MachinePolicy,
  RequestKind,
} from '../machine';
import type { Aim, PlannedOp } from './aim';
import {
  boostFactor,
  config,
  lowmemReserveRatio,
  minFreeKbytes,
  minUnmappedRatio,
  pagesOf,
  proactiveness,
  reclaimMode,
  scaleFactor,
  swappiness,
} from './arbitrary-machine';

/** A machine and what is done to it: one case of the property test. */
export interface FuzzCase {
  config: MachineConfig;
  ops: PlannedOp[];
}

type AllocOp = Extract<MachineOp, { op: 'alloc' }>;

const KINDS: readonly RequestKind[] = ['anon', 'file', 'kernel', 'atomic', 'locked'];

/** Nodes that have memory, or may get some; policies and cpusets name no others. */
function nodesWithMemory({ nodes: all }: MachineConfig): number[] {
  return all.flatMap(({ zones, hotplug }, id) =>
    zones.length > 0 || (hotplug?.blocks ?? 0) > 0 ? [id] : [],
  );
}

function subset(ids: readonly number[]): fc.Arbitrary<number[]> {
  return fc
    .subarray([...ids], { minLength: 1 })
    .map((nodesOfSubset) => [...nodesOfSubset].sort((a, b) => a - b));
}

function policy(ids: readonly number[]): fc.Arbitrary<MachinePolicy> {
  const some = subset(ids);
  const of = (mode: MachinePolicy['mode']): fc.Arbitrary<MachinePolicy> =>
    some.map((list) => ({ mode, nodes: list }));
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant<MachinePolicy>({ mode: 'default', nodes: [] }) },
    { weight: 2, arbitrary: of('preferred') },
    { weight: 2, arbitrary: of('preferred_many') },
    { weight: 3, arbitrary: of('bind') },
    { weight: 2, arbitrary: of('interleave') },
  );
}

/** Which of its indices an owner is asked for: mostly some of the newest, seldom all. */
const aim: fc.Arbitrary<Aim> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      reach: fc.constant('newest' as const),
      back: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 })),
      pages: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 100 })),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      reach: fc.constant('part' as const),
      start: fc.integer({ min: 0, max: 999 }),
      share: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 500 })),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ reach: 'all' as const }) },
);

/** Every owner has pages of one kind, and there are two owners of each. */
function holder(kind: RequestKind): fc.Arbitrary<{ kind: RequestKind; owner: number }> {
  return fc.nat(1).map((second) => ({ kind, owner: 2 * KINDS.indexOf(kind) + second }));
}

/** What tells requests apart but how many there are. */
function request(machine: MachineConfig): fc.Arbitrary<Omit<AllocOp, 'count'>> {
  const ids = nodesWithMemory(machine);
  const order = fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 3, arbitrary: fc.integer({ min: 4, max: 10 }) },
  );
  const common = {
    op: fc.constant('alloc' as const),
    cpu: fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus)),
    policy: policy(ids),
    mems: fc.oneof(
      { weight: 6, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: subset(ids) },
    ),
  };
  const user = fc.record({
    ...common,
    who: fc.oneof(
      { weight: 4, arbitrary: holder('anon') },
      { weight: 4, arbitrary: holder('file') },
      { weight: 1, arbitrary: holder('locked') },
    ),
    order: fc.constant(0),
    type: fc.constant(0 as const),
  });
  const kernel = fc.record({
    ...common,
    who: fc.oneof({ weight: 2, arbitrary: holder('kernel') }, holder('atomic')),
    order,
    type: fc.constantFrom(0 as const, 0 as const, 1 as const, 2 as const),
    highest: fc.constantFrom(...Array<undefined>(10).fill(undefined), 0 as const, 1 as const),
  });
  return fc.oneof(user, kernel).map(({ who, ...rest }) => ({ ...who, ...rest }));
}

/** Requests for so many pages in all. */
function requests(machine: MachineConfig, pages: fc.Arbitrary<number>): fc.Arbitrary<AllocOp> {
  return fc
    .tuple(request(machine), pages)
    .map(([one, wanted]) => ({ ...one, count: Math.max(wanted >> one.order, 1) }));
}

/** Memory that is full but for single pages, of which the machine needs larger blocks. */
function scattered(machine: MachineConfig): fc.Arbitrary<MachineOp[]> {
  const total = pagesOf(machine.nodes);
  const cpu = fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus));
  const local: MachinePolicy = { mode: 'default', nodes: [] };
  const common = { policy: local, mems: null, order: 0, type: 0 as const };
  const taken = fc.integer({ min: 60, max: 100 }).map((share) => Math.ceil((total * share) / 100));
  const movable = fc
    .record({
      who: fc.oneof(holder('anon'), holder('file'), holder('locked')),
      at: cpu,
      count: taken,
      seed: fc.nat(),
      percent: fc.integer({ min: 5, max: 60 }),
    })
    .map(({ who, at, count, seed, percent }): MachineOp[] => [
      { op: 'alloc', ...who, cpu: at, ...common, count },
      { op: 'scatter', owner: who.owner, cpu: at, from: 0, count, seed, percent },
      { op: 'drain' },
    ]);
  /** The kernel holds a page in every few; between them is page cache, which can be moved in vain. */
  const pinned = fc
    .record({
      who: holder('kernel'),
      cache: holder('file'),
      at: cpu,
      count: taken,
      every: fc.integer({ min: 2, max: 5 }),
      percent: fc.integer({ min: 20, max: 90 }),
    })
    .map(({ who, cache, at, count, every, percent }): MachineOp[] => [
      { op: 'alloc', ...who, cpu: at, ...common, count },
      { op: 'free', owner: who.owner, cpu: at, from: 0, count, every, keep: 1 },
      { op: 'drain' },
      { op: 'alloc', ...cache, cpu: at, ...common, count: Math.ceil((count * percent) / 100) },
    ]);
  return fc.oneof(movable, pinned);
}

/** A few large blocks, mostly movable ones, for which compaction clears whole pageblocks. */
function largeBlocks(machine: MachineConfig): fc.Arbitrary<AllocOp> {
  const order = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constantFrom(2, 2, 3, 3, 4, 9, 10));
  const type = fc.constantFrom(0 as const, 1 as const, 1 as const, 2 as const);
  return fc
    .tuple(request(machine), holder('kernel'), order, type, fc.integer({ min: 1, max: 3 }))
    .map(([one, who, large, of, count]) => ({ ...one, ...who, order: large, type: of, count }));
}

/** Settings written while the machine runs. */
function write(total: number): fc.Arbitrary<MachineOp> {
  const given = fc.oneof(
    fc.record({ name: fc.constant('min_free_kbytes' as const), value: minFreeKbytes(total) }),
    fc.record({ name: fc.constant('watermark_scale_factor' as const), value: scaleFactor }),
    fc.record({ name: fc.constant('watermark_boost_factor' as const), value: boostFactor }),
    fc.record({ name: fc.constant('lowmem_reserve_ratio' as const), value: lowmemReserveRatio }),
    fc.record({ name: fc.constant('zone_reclaim_mode' as const), value: reclaimMode }),
    fc.record({ name: fc.constant('min_unmapped_ratio' as const), value: minUnmappedRatio }),
    fc.record({ name: fc.constant('swappiness' as const), value: swappiness }),
    fc.record({ name: fc.constant('compaction_proactiveness' as const), value: proactiveness }),
    fc.record({ name: fc.constant('compact_unevictable_allowed' as const), value: fc.nat(1) }),
  );
  return given.map((setting) => ({ op: 'sysctl' as const, ...setting }));
}

const RANGE_TO_FIND = { from: 0, count: 0 };

/** Giving back, in any pattern: a range, some of every so many, a random subset, everything. */
function giveBack(machine: MachineConfig): fc.Arbitrary<PlannedOp> {
  const common = {
    owner: fc.integer({ min: 0, max: 2 * KINDS.length - 1 }),
    cpu: fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus)),
    aim,
  };
  const pattern = fc
    .record({
      ...common,
      every: fc.integer({ min: 1, max: 9 }),
      keep: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 8 })),
    })
    .map(({ every, keep, ...rest }) => ({
      op: 'free' as const,
      ...rest,
      ...RANGE_TO_FIND,
      every,
      keep: keep % every,
    }));
  const scatter = fc
    .record({ ...common, seed: fc.nat(), percent: fc.integer({ min: 1, max: 99 }) })
    .map((rest) => ({ op: 'scatter' as const, ...rest, ...RANGE_TO_FIND }));
  const exit = fc.record({
    op: fc.constant('exit' as const),
    owner: common.owner,
    cpu: common.cpu,
  });
  return fc.oneof(
    { weight: 12, arbitrary: pattern },
    { weight: 3, arbitrary: scatter },
    { weight: 1, arbitrary: exit },
  );
}

/** Mappings are few and small: there are some tens of huge pages at most. */
const MAPPINGS = 3;
const MOST_HUGE_PAGES = 6;

/** The pool of huge pages: its sizes, and mappings that reserve, touch and give back. */
function hugetlb(machine: MachineConfig): fc.Arbitrary<MachineOp> {
  const ids = nodesWithMemory(machine);
  const cpu = fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus));
  const mapping = fc.nat(MAPPINGS - 1);
  const some = fc.nat(MOST_HUGE_PAGES);
  const mems = fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: subset(ids) },
  );
  const task = { mapping, cpu, policy: policy(ids), mems };
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constant('hugepages' as const),
        count: fc.oneof(some, some, fc.constantFrom(0, 0, 1, 100)),
        node: fc.oneof(fc.constant(null), fc.constantFrom(...machine.nodes.keys())),
        policy: policy(ids),
      }),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('overcommit' as const), count: some }) },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant('mapHuge' as const),
        ...task,
        pages: some,
        reserve: fc.boolean(),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant('touchHuge' as const),
        ...task,
        from: fc.constantFrom(0, 0, 0, 1, 2, 4),
        count: some,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('zapHuge' as const),
        ...{ mapping, cpu, from: fc.constantFrom(0, 0, 1, 3), count: some },
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ op: fc.constant('unmapHuge' as const), mapping, cpu }),
    },
  );
}

/** Blocks that may come and go together: of the same zone at boot, or of none. */
interface Blocks {
  node: number;
  first: number;
  count: number;
}

function blocksOf({ zones, hotplug: room }: MachineNodeConfig, node: number): Blocks[] {
  const found: Blocks[] = [];
  let before: number | undefined;
  for (let block = 0; block < (room?.blocks ?? 0); block += 1) {
    const startPfn = (room?.startPfn ?? 0) + block * HOTPLUG_PAGES;
    const endPfn = startPfn + HOTPLUG_PAGES;
    const own = zones.filter(
      (zone) => zone.startPfn < endPfn && zone.startPfn + zone.pages > startPfn,
    );
    const whole = own.every(
      (zone) => zone.startPfn <= startPfn && zone.startPfn + zone.pages >= endPfn,
    );
    const last = found.at(-1);
    const kind = whole ? (own[0]?.index ?? -1) : undefined;
    if (last !== undefined && kind !== undefined && kind === before) {
      last.count += 1;
    } else if (kind !== undefined) {
      found.push({ node, first: block, count: 1 });
    }
    before = kind;
  }
  return found;
}

/** Blocks of memory that go and come, to the zone that they left or to another, also where that is refused. */
function hotplug(machine: MachineConfig): fc.Arbitrary<MachineOp> {
  const all = machine.nodes.flatMap(blocksOf);
  const none = { node: 0, first: 0, count: 1 };
  const range = fc
    .constantFrom(...(all.length > 0 ? all : [none]))
    .chain(({ node, first, count }) => {
      // Mostly one block; the last memory of a zone goes in one piece more often than block by block.
      const size = fc.constantFrom(1, 1, 1, 2, 3, count);
      return fc.tuple(size, fc.nat(count - 1)).map(([wanted, at]) => {
        const blocks = Math.min(wanted, count);
        return { node, block: first + Math.min(at, count - blocks), count: blocks };
      });
    });
  const how = fc.constantFrom(
    'online' as const,
    'online_kernel' as const,
    'online_movable' as const,
  );
  return fc.oneof(
    range.map((blocks) => ({ op: 'offline' as const, ...blocks })),
    fc
      .tuple(how, range, fc.boolean())
      .map(([name, blocks, memmap]) => ({ op: name, ...blocks, memmap })),
  );
}

/**
 * Huge pages and others in memory of a node that goes, in one piece or block by block, after memory has come to where it could be
 * moved again: what the kernel holds stays away from memory that is movable.
 */
function emptiedNode(machine: MachineConfig): fc.Arbitrary<MachineOp[]> {
  const all = machine.nodes.flatMap(blocksOf);
  const cpu = fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus));
  const local: MachinePolicy = { mode: 'default', nodes: [] };
  const task = { policy: local, mems: null };
  return fc
    .record({
      node: fc.constantFrom(...all.map(({ node }) => node)),
      at: cpu,
      who: fc.oneof(holder('anon'), holder('file')),
      pages: fc.integer({ min: 1, max: 900 }),
      inPool: fc.integer({ min: 0, max: 4 }),
      spare: fc.integer({ min: 0, max: 2 }),
      mapped: fc.integer({ min: 0, max: 4 }),
      touched: fc.integer({ min: 0, max: 6 }),
      overcommit: fc.nat(2),
      reserve: fc.boolean(),
      memmap: fc.boolean(),
      later: fc.constantFrom('online' as const, 'online_movable' as const),
      whole: fc.boolean(),
    })
    .map(
      ({
        node,
        at,
        who,
        pages,
        inPool,
        spare,
        mapped,
        touched,
        overcommit,
        reserve,
        memmap,
        later,
        whole,
      }) => {
        const own = all.filter((range) => range.node === node);
        const single = own.flatMap(({ first, count }) =>
          Array.from({ length: count }, (_, i) => ({ node, block: first + i, count: 1 })),
        );
        const ranges = whole
          ? own.map(({ first, count }) => ({ node, block: first, count }))
          : single;
        const bind: MachinePolicy = { mode: 'bind', nodes: [node] };
        const huge = { mapping: 0, cpu: at, policy: bind, mems: null };
        const others = machine.nodes.flatMap((_, id) => (id === node ? [] : [id]));
        return [
          ...single.map((range): MachineOp => ({ op: 'online_movable', ...range, memmap })),
          ...others.map((id): MachineOp => ({
            op: 'hugepages',
            count: spare,
            node: id,
            policy: local,
          })),
          { op: 'hugepages', count: inPool, node, policy: local },
          { op: 'overcommit', count: overcommit },
          { op: 'mapHuge', ...huge, pages: mapped, reserve },
          { op: 'touchHuge', ...huge, from: 0, count: touched },
          { op: 'alloc', ...who, cpu: at, ...task, policy: bind, order: 0, type: 0, count: pages },
          ...ranges.map((range): MachineOp => ({ op: 'offline', ...range })),
          ...ranges.map((range): MachineOp => ({ op: later, ...range, memmap })),
        ];
      },
    );
}

function op(machine: MachineConfig): fc.Arbitrary<PlannedOp> {
  const total = pagesOf(machine.nodes);
  const ids = nodesWithMemory(machine);
  /** Mostly a few pages, so that the state is looked at often; seldom a good part of the machine. */
  const pages = fc.oneof(
    { weight: 60, arbitrary: fc.integer({ min: 1, max: 8 }) },
    { weight: 25, arbitrary: fc.integer({ min: 1, max: 64 }) },
    { weight: 10, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: Math.ceil(total / 4) }) },
    { weight: 1, arbitrary: fc.constant(total) },
  );
  const look = fc
    .record({
      op: fc.constantFrom('touch' as const, 'access' as const),
      owner: fc.integer({ min: 0, max: 3 }),
      aim,
    })
    .map((rest) => ({ ...rest, ...RANGE_TO_FIND }));
  const reclaim = fc.record({
    op: fc.constant('reclaim' as const),
    cpu: fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus)),
    policy: policy(ids),
  });
  /** From less than a batch of reclaim takes to more than a kswapd naps, and between two looks of a kcompactd. */
  const idle = fc.record({
    op: fc.constant('idle' as const),
    ns: fc.constantFrom(1000, 50_000, 1_000_000, 20_000_000, 150_000_000, 600_000_000),
  });
  const compact = fc.record({
    op: fc.constant('compact' as const),
    cpu: fc.constantFrom(...machine.nodes.flatMap((node) => node.cpus)),
    node: fc.constantFrom(null, ...ids),
  });
  const compacts = machine.compaction === undefined ? 0 : 1;
  return fc.oneof(
    { weight: 26, arbitrary: requests(machine, pages) },
    { weight: 5 * compacts, arbitrary: largeBlocks(machine) },
    { weight: 14, arbitrary: giveBack(machine) },
    { weight: 6, arbitrary: look },
    { weight: 11, arbitrary: hugetlb(machine) },
    { weight: 1, arbitrary: reclaim },
    { weight: 2, arbitrary: write(total) },
    { weight: compacts, arbitrary: compact },
    { weight: 4 * compacts, arbitrary: hotplug(machine) },
    { weight: 1, arbitrary: fc.constant({ op: 'drain' as const }) },
    { weight: 2, arbitrary: idle },
    { weight: 1, arbitrary: fc.constant({ op: 'settle' as const }) },
  );
}

/** Machines with up to `maxOps` operations each, of which the first fill a part of the memory. */
export function fuzzCase(minOps: number, maxOps: number): fc.Arbitrary<FuzzCase> {
  return config.chain((machine) => {
    const total = pagesOf(machine.nodes);
    const part = fc.integer({ min: 1, max: Math.ceil(total / 2) });
    const wholes = fc.array(requests(machine, part), { maxLength: 4 });
    const plugs = machine.nodes.some((node, id) => blocksOf(node, id).length > 0);
    const special = [scattered(machine), ...(plugs ? [emptiedNode(machine)] : [])];
    const fill = machine.compaction === undefined ? wholes : fc.oneof(wholes, ...special);
    const all = fc.array(op(machine), { minLength: minOps, maxLength: maxOps, size: 'max' });
    return fc
      .tuple(fill, all)
      .map(([first, then]) => ({ config: machine, ops: [...first, ...then].slice(0, maxOps) }));
  });
}
