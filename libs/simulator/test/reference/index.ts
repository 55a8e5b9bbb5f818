import { isPicked, isUserKind, withinMemory } from '../machine';
import type {
  Machine,
  MachineAnswer,
  MachineConfig,
  MachineOp,
  MachinePicture,
  MachinePolicy,
} from '../machine';
import type { Tape } from '../tape';
import { boot } from './boot';
import type { EventCounts } from './events';
import { runHotplug } from './hotplug';
import { runHugetlb } from './hugetlb';
import { endWrites, endWritesOf } from './swap-write';
import { compactNode, triggerKcompactds } from './kcompactd';
import { letKswapdsAct, settle } from './kswapd';
import { addToLru, clearPage, markAccessed, removeFromLru, setFlag } from './lru';
import type { Mutation } from './mutations';
import { allocPages, countNuma } from './page-alloc';
import { drainAllPages, freePage } from './pcp';
import { pictureOf, tapeState, verify } from './picture';
import { allocTries } from './policy';
import type { AllocTry } from './policy';
import {
  ACTIVE_FILE,
  FREED,
  INACTIVE_ANON,
  INACTIVE_FILE,
  PG_REFERENCED,
  SWAPPED,
  UNEVICTABLE,
  YOUNG,
  zoneOf,
} from './state';
import type { Owner, System } from './state';
import { tryToFreePages } from './direct-reclaim';
import { setupLowmemReserve, setupMinUnmapped, setupPerZoneWmarks } from './watermark';

export { MUTATIONS } from './mutations';
export type { Mutation } from './mutations';

type Op<K extends MachineOp['op']> = Extract<MachineOp, { op: K }>;

function cpuPosition(system: System, number: number): number {
  const position = system.cpus.findIndex((cpu) => cpu.number === number);
  if (position === -1) {
    const there = system.cpus.map((cpu) => cpu.number).join(', ');
    throw new RangeError(`CPU ${number} is not one of ${there}`);
  }
  return position;
}

function ownerOf(system: System, id: number): Owner {
  let owner = system.owners.get(id);
  if (owner === undefined) {
    owner = { pages: [], orders: [], swapCache: new Map() };
    system.owners.set(id, owner);
  }
  return owner;
}

/** Gives a block to its owner; user pages go to the head of their inactive list. */
function handOut(system: System, op: Op<'alloc'>, owner: Owner, page: number, order: number): void {
  const index = owner.pages.push(page) - 1;
  owner.orders.push(order);
  clearPage(system, page);
  if (isUserKind(op.kind)) {
    const anon = op.kind !== 'file';
    system.pages.owner[page] = op.owner;
    system.pages.ownerIndex[page] = index;
    system.pages.mapped[page] = anon ? 1 : 0;
    setFlag(system, page, anon ? YOUNG : PG_REFERENCED);
    const list = op.kind === 'locked' ? UNEVICTABLE : INACTIVE_ANON;
    addToLru(system, page, anon ? list : INACTIVE_FILE);
  }
}

function alloc(system: System, op: Op<'alloc'>): number {
  const cpu = cpuPosition(system, op.cpu);
  const owner = ownerOf(system, op.owner);
  const user = isUserKind(op.kind);
  const order = user ? 0 : op.order;
  const cpuNode = system.cpus[cpu]?.node;
  const { faultNs, remoteFaultNs } = system.config.costs;
  // Tries repeat with the index: after as many requests as there are nodes to interleave over.
  const memo = new Map<number, AllocTry[]>();
  const inMems = op.policy.nodes.filter((id) => op.mems === null || op.mems.includes(id));
  const period = Math.max(inMems.length > 0 ? inMems.length : op.policy.nodes.length, 1);
  const tries = (index: number): AllocTry[] => {
    const known = memo.get(index % period);
    if (known !== undefined) {
      return known;
    }
    const made = allocTries(system, { ...op, order, cpu, index });
    memo.set(index % period, made);
    return made;
  };
  let done = 0;
  system.runningCpu = cpu;
  for (; done < op.count; done++) {
    letKswapdsAct(system);
    let page = -1;
    for (const attempt of tries(owner.pages.length)) {
      page = allocPages(system, attempt);
      if (page !== -1) {
        const { node } = zoneOf(system, page);
        if (attempt.interleaveNode === node) {
          countNuma(system, node, 'interleave');
        }
        system.timeNs += faultNs + (node === cpuNode ? 0 : remoteFaultNs);
        handOut(system, op, owner, page, order);
        break;
      }
    }
    if (page === -1) {
      break;
    }
  }
  system.runningCpu = -1;
  return done;
}

function freeLruPage(system: System, page: number, cpu: number): void {
  if (system.pages.lru[page] !== -1) {
    removeFromLru(system, page);
  }
  clearPage(system, page);
  freePage(system, page, 0, cpu);
}

/** Frees the block with an index. @returns whether there was one */
function freeIndex(system: System, owner: Owner, index: number, cpu: number): boolean {
  const page = owner.pages[index] ?? FREED;
  if (page === FREED) {
    return false;
  }
  owner.pages[index] = FREED;
  if (page === SWAPPED) {
    system.swapFree++;
    const frame = owner.swapCache.get(index);
    owner.swapCache.delete(index);
    if (frame !== undefined) {
      freeLruPage(system, frame, cpu);
    }
  } else if ((owner.orders[index] ?? 0) === 0) {
    freeLruPage(system, page, cpu);
  } else {
    freePage(system, page, owner.orders[index] ?? 0, cpu);
  }
  return true;
}

/**
 * Frees those of an owner's blocks that are meant, upwards.
 * @returns how many there were
 */
function free(
  system: System,
  op: { owner: number; cpu: number },
  from: number,
  to: number,
  isMeant: (index: number) => boolean,
): number {
  endWritesOf(system, op.owner);
  const cpu = cpuPosition(system, op.cpu);
  const owner = ownerOf(system, op.owner);
  const end = Math.min(to, owner.pages.length);
  let done = 0;
  for (let index = from; index < end; index++) {
    if (isMeant(index) && freeIndex(system, owner, index, cpu)) {
      done++;
    }
  }
  return done;
}

function visit(
  system: System,
  op: { owner: number; from: number; count: number },
  look: (page: number) => void,
): void {
  const { pages } = ownerOf(system, op.owner);
  pages.slice(op.from, op.from + op.count).forEach((page) => page >= 0 && look(page));
}

function writeSysctl(system: System, op: Op<'sysctl'>): void {
  Object.assign(system.sysctl, { [op.name]: op.value });
  switch (op.name) {
    case 'min_free_kbytes':
      system.userMinFreeKbytes = system.sysctl.min_free_kbytes;
      setupPerZoneWmarks(system);
      break;
    case 'watermark_scale_factor':
      setupPerZoneWmarks(system);
      break;
    case 'lowmem_reserve_ratio':
      setupLowmemReserve(system);
      break;
    case 'min_unmapped_ratio':
      setupMinUnmapped(system);
      break;
    case 'compaction_proactiveness':
      triggerKcompactds(system);
      break;
    default:
      break;
  }
}

/** Direct reclaim by itself; no page will be used, so interleaving does not choose a node. */
function reclaim(system: System, op: Op<'reclaim'>): number {
  const cpu = cpuPosition(system, op.cpu);
  const local: MachinePolicy = { mode: 'default', nodes: [] };
  const tries = allocTries(system, {
    kind: 'anon',
    order: 0,
    type: 1,
    policy: op.policy.mode === 'interleave' ? local : op.policy,
    mems: null,
    cpu,
    index: 0,
  });
  return tryToFreePages(system, tries.at(-1)?.fast.zonelist ?? [], 0, 3, cpu);
}

/** @returns pages moved */
function compact(system: System, op: Op<'compact'>): number {
  const moved = (): number => system.vmstat.get('pgmigrate_success') ?? 0;
  const before = moved();
  for (const node of system.nodes) {
    if (op.node === null || op.node === node.id) {
      compactNode(system, node, cpuPosition(system, op.cpu));
    }
  }
  return moved() - before;
}

function run(system: System, op: MachineOp): number {
  switch (op.op) {
    case 'alloc':
      return alloc(system, op);
    case 'free': {
      const { from, count, every, keep } = op;
      return free(system, op, from, from + count, (index) => (index - from) % every >= keep);
    }
    case 'scatter': {
      const { from, count, seed, percent } = op;
      return free(system, op, from, from + count, (index) => isPicked(seed, index, percent));
    }
    case 'exit': {
      const done = free(system, op, 0, Infinity, () => true);
      system.owners.delete(op.owner);
      return done;
    }
    case 'touch':
      visit(system, op, (page) => system.pages.mapped[page] === 1 && setFlag(system, page, YOUNG));
      return 0;
    case 'access':
      visit(system, op, (page) => {
        const list = system.pages.lru[page];
        if (list === INACTIVE_FILE || list === ACTIVE_FILE) {
          markAccessed(system, page);
        }
      });
      return 0;
    case 'reclaim':
      return reclaim(system, op);
    case 'sysctl':
      writeSysctl(system, op);
      return 0;
    case 'drain':
      drainAllPages(system);
      return 0;
    case 'compact':
      return compact(system, op);
    case 'idle':
      system.timeNs += op.ns;
      letKswapdsAct(system);
      return 0;
    case 'settle':
      settle(system);
      return 0;
    case 'offline':
    case 'online':
    case 'online_kernel':
    case 'online_movable':
      return runHotplug(system, op);
    default: {
      const done = runHugetlb(system, op, (cpu) => cpuPosition(system, cpu));
      system.runningCpu = -1;
      return done;
    }
  }
}

/** A machine that can also count everything again. */
export interface ReferenceMachine extends Machine {
  /** How often each mechanism was at work since the start. */
  readonly events: Readonly<EventCounts>;
  /** @throws Error that names the first count or list that does not fit */
  verify(): void;
}

/**
 * The allocator page by page: slow and plain, to compare the simulator with.
 * @param mutation an error planted on purpose
 */
export function referenceMachine(
  config: MachineConfig,
  mutation: Mutation | null = null,
): ReferenceMachine {
  const system = boot(config, mutation);
  return {
    events: system.events,
    run: (given: MachineOp): MachineAnswer => {
      const op = withinMemory(given, (id) => system.nodes[id]?.hasMemory ?? false);
      const done = op === null ? 0 : run(system, op);
      endWrites(system, system.timeNs);
      return { done };
    },
    picture: (): MachinePicture => pictureOf(system),
    record: (tape: Tape): void => tapeState(system, tape),
    verify: (): void => verify(system),
  };
}
