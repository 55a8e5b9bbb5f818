/** The simulator behind the machine's interface, for comparison with the page-by-page reference. */
import { allocZones, policyNodemask } from '../src/alloc-zones';
import {
  Buddy,
  MAX_ORDER,
  MIGRATE_MOVABLE,
  MIGRATE_UNMOVABLE,
  PAGEBLOCK_PAGES,
} from '../src/buddy';
import { markAccessed } from '../src/filemap';
import { freeBlock } from '../src/free-run';
import { freeMapping, freeOffsets, rangeOf } from '../src/guest-exit';
import { hotplugOperation, hotplugSteps } from './production-hotplug';
import { hugetlbOperation } from './production-hugetlb';
import { endWrites, endWritesOf } from '../src/swap-write';
import { hardwareProfiles } from '../src/hardware-profile';
import { buildKernel, setupLowmemReserve, setupNodeReclaim, setupWatermarks } from '../src/kernel';
import { passTime, type KernelState } from '../src/kernel-state';
import { compactNode } from '../src/kcompactd';
import { advanceKswapd, finishKswapd } from '../src/kswapd';
import { accountRun, lruList, LRU_UNEVICTABLE, newRun, spanOf } from '../src/lru';
import { allocTurns, eachTurnPiece, type Turns } from '../src/interleave';
import { allocByPolicy, type PolicyContext } from '../src/mempolicy';
import { allocContext, allocPages, type AllocContext, type Segment } from '../src/page-alloc';
import { newMapping, type Mapping } from '../src/page-map';
import { drainPcps } from '../src/pcp';
import { kernelProfiles } from '../src/profile';
import { writeSysctl } from '../src/sysctl';
import { ZONE_NAMES } from '../src/types';
import type { HostModel, HostZone } from '../src/types';
import { tryToFreePages } from '../src/direct-reclaim';
import type { Zone } from '../src/zone';
import { IndexSet } from './index-set';
import { emptyNode } from './host';
import { verify } from '../src/verify';
import { isPicked, isUserKind, withinMemory } from './machine';
import type {
  Machine,
  MachineAnswer,
  MachineConfig,
  MachineOp,
  MachinePicture,
  MachinePolicy,
  RequestKind,
} from './machine';
import { indicesOf, pictureOf, tapeState, type HugeOwner, type Owner } from './production-picture';
import type { Tape } from './tape';

type AllocOp = Extract<MachineOp, { op: 'alloc' }>;

export function productionMachine(config: MachineConfig): ProductionMachine {
  const k = buildKernel({
    host: hostOf(config),
    runningGuests: [],
    steps: hotplugSteps(config),
    seed: 0,
    hardwareProfile: 'generic-2s',
  });
  k.hardware = { ...hardwareProfiles['generic-2s']!, ...config.costs, ...config.compaction };
  k.compaction = config.compaction !== undefined;
  for (const { kcompactd, zones } of k.nodes) {
    if (zones.length > 0) kcompactd.nextNs = firstCheckNs(config);
  }
  // The reference has no slab: trees of the swap cache find all the room they need.
  k.swapTree.room = Infinity;
  for (const zone of k.zones) {
    handOver(zone);
    // The machine's counts are exact.
    zone.statThreshold = 0;
    zone.percpuDriftMark = 0;
  }
  setupWatermarks(k);
  setupLowmemReserve(k);
  setupNodeReclaim(k);
  return new ProductionMachine(k, config);
}

function firstCheckNs({ compaction, sysctl }: MachineConfig): number {
  const looks = compaction !== undefined && (sysctl.compaction_proactiveness ?? 0) > 0;
  return looks ? compaction.firstCompactCheckNs : Infinity;
}

/** Boot: all pages free in their largest aligned blocks, ascending, each at its list's tail. */
function handOver(zone: Zone): void {
  zone.buddy = new Buddy(
    zone.buddy.basePfn,
    zone.startPfn + zone.spanned - zone.buddy.basePfn,
    zone.startPfn - zone.buddy.basePfn,
    false,
    zone.buddy.pageblocks * PAGEBLOCK_PAGES,
  );
  let at = zone.buddy.firstFrame;
  while (at < zone.buddy.frames) {
    let order = MAX_ORDER - 1;
    while (at % 2 ** order !== 0 || at + 2 ** order > zone.buddy.frames) order -= 1;
    zone.buddy.add(at, order, MIGRATE_MOVABLE, true);
    at += 2 ** order;
  }
  zone.otherPages = 0;
}

function hostOf(config: MachineConfig): HostModel {
  const cpus = config.nodes.flatMap((node) => node.cpus);
  return {
    kernelProfile: '6.1.y',
    nodes: config.nodes.map((node, nodeId) =>
      emptyNode(
        nodeId,
        node.cpus,
        node.zones.map(({ index, startPfn, pages }): HostZone => ({
          name: ZONE_NAMES[index],
          startPfn,
          spannedPages: pages,
          presentPages: pages,
          managedPages: pages,
          freePages: 0,
          boostPages: 0,
          minPages: 0,
          lowPages: 0,
          highPages: 0,
          protectionPages: [0, 0, 0, 0, 0],
          freeBlocks: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
          pagesets: cpus.map((cpu) => ({ cpu, countPages: 0, highPages: 4, batchPages: 1 })),
        })),
      ),
    ),
    distances: config.distances,
    sysctl: {
      ...kernelProfiles['6.1.y'].defaultSysctls,
      compaction_proactiveness: 0,
      ...config.sysctl,
      dirty_writeback_centisecs: 0,
    },
    thp: { enabled: 'never', defrag: 'never' },
    swap: { totalPages: config.swapPages, freePages: config.swapPages },
  };
}

/** The simulator's own state and functions, called as a replay's steps call them. */
export class ProductionMachine implements Machine {
  readonly owners = new Map<number, Owner>();
  readonly huge = new Map<number, HugeOwner>();

  constructor(
    readonly k: KernelState,
    private readonly config: MachineConfig,
  ) {}

  run(given: MachineOp): MachineAnswer {
    const { k } = this;
    const op = withinMemory(given, (id) => (k.nodes[id]?.zones.length ?? 0) > 0);
    k.current = { name: 'machine', killed: false };
    k.events = [];
    const done = op ? this.dispatch(op) : 0;
    endWrites(k, k.timeNs);
    k.allocatorCpu = -1;
    return { done };
  }

  private dispatch(op: MachineOp): number {
    const { k } = this;
    const mapping = 'owner' in op ? this.owners.get(op.owner)?.mapping : undefined;
    if (mapping && ['free', 'scatter', 'exit'].includes(op.op)) endWritesOf(k, mapping);
    switch (op.op) {
      case 'alloc':
        return isUserKind(op.kind) ? this.allocUser(op) : this.allocKernel(op);
      case 'free':
        return this.free(op);
      case 'scatter':
        return this.scatter(op);
      case 'exit':
        return this.exit(op.owner, op.cpu);
      case 'touch':
        for (const run of this.runsOf(op.owner, op.from, op.count)) {
          const part = run.list!.isolatePart(run, op.from, op.from + op.count);
          if (part) part.young = true;
        }
        return 0;
      case 'access': {
        if (mapping) markAccessed(k, mapping, op.from, op.from + op.count);
        return 0;
      }
      case 'reclaim': {
        const ac = this.context('anon', op.cpu, op.policy, null);
        // Only the second pass, anywhere, may reclaim.
        if (op.policy.mode === 'preferred_many') ac.nodemask = null;
        return tryToFreePages(k, ac, allocZones(k, ac).allowed);
      }
      case 'sysctl':
        writeSysctl(k, op.name, op.value);
        return 0;
      case 'compact':
        return this.compact(op);
      case 'drain':
        for (const zone of k.zones) drainPcps(zone);
        return 0;
      case 'idle':
        passTime(k, op.ns, false);
        advanceKswapd(k);
        return 0;
      case 'settle':
        finishKswapd(k, 1_000_000_000);
        return 0;
      case 'offline':
      case 'online':
      case 'online_kernel':
      case 'online_movable':
        return hotplugOperation(k, this.config, op);
      default:
        return hugetlbOperation(k, this.huge, op, (cpu, policy, mems) =>
          this.policyContext(cpu, policy, mems),
        );
    }
  }

  private compact(op: Extract<MachineOp, { op: 'compact' }>): number {
    const { k } = this;
    const moved = (): number => k.vmstat.get('pgmigrate_success');
    const before = moved();
    for (const node of k.nodes) {
      if (op.node !== null && op.node !== node.id) continue;
      passTime(k, compactNode(k, node, this.position(op.cpu)), false);
    }
    return moved() - before;
  }

  private owner(id: number, kind: RequestKind): Owner {
    let owner = this.owners.get(id);
    if (!owner) {
      owner = { blocks: [], live: new IndexSet() };
      if (isUserKind(kind)) {
        owner.mapping = newMapping(
          kind === 'file' ? 'file' : 'anon',
          `owner ${id}`,
          this.k.nodes.length,
          false,
        );
        this.k.hostMappings.push(owner.mapping);
      }
      this.owners.set(id, owner);
    }
    return owner;
  }

  private position(cpu: number): number {
    const found = this.k.cpus.find(({ id }) => id === cpu);
    if (!found) throw new RangeError(`cpu ${cpu} is not in the machine`);
    return found.position;
  }

  private policyContext(cpu: number, policy: MachinePolicy, mems: number[] | null): PolicyContext {
    const { faultNs, remoteFaultNs } = this.k.hardware;
    return {
      policy,
      cpu: this.position(cpu),
      cpusetMems: mems ? new Set(mems) : null,
      cpusetList: mems ?? undefined,
      write: false,
      costNs: faultNs,
      remoteCostNs: remoteFaultNs,
    };
  }

  private context(
    kind: RequestKind,
    cpu: number,
    policy: MachinePolicy,
    mems: number[] | null,
    highest = 2,
  ): AllocContext {
    const { k } = this;
    const position = this.position(cpu);
    const user = isUserKind(kind);
    const classIndex = user ? 3 : highest;
    return allocContext({
      cpu: position,
      preferred: policy.mode === 'preferred' ? k.nodes[policy.nodes[0]!]! : k.cpus[position]!.node,
      nodemask: policyNodemask(k, policy, mems ?? undefined, classIndex),
      cpusetMems: mems ? new Set(mems) : null,
      classIndex,
      directReclaim: kind !== 'atomic',
      high: kind === 'atomic',
      hardwall: user,
      costNs: k.hardware.faultNs,
      remoteCostNs: k.hardware.remoteFaultNs,
    });
  }

  private allocUser(op: AllocOp): number {
    const { k } = this;
    const owner = this.owner(op.owner, op.kind);
    const pc = this.policyContext(op.cpu, op.policy, op.mems);
    pc.cache = op.kind === 'file';
    const first = owner.live.end;
    const place = (segment: Segment, turns: Turns, placed: number): boolean => {
      eachTurnPiece(segment, turns, placed, ({ frame, step }, at, pages, turn, stride) => {
        const run = newRun({
          owner: owner.mapping!,
          zone: segment.zone,
          pages,
          frame: frame + step * at,
          step,
          offset: turn,
          stride,
          mapped: op.kind !== 'file',
          young: op.kind !== 'file',
          referenced: op.kind === 'file',
        });
        accountRun(run, 1);
        if (op.kind === 'locked') segment.zone.node.lists[LRU_UNEVICTABLE]!.push(run);
        else lruList(segment.zone.node, run, false).push(run);
      });
      return true;
    };
    let done = 0;
    if (op.policy.mode === 'interleave') done = allocTurns(k, pc, first, op.count, place);
    else {
      while (done < op.count) {
        const segment = allocByPolicy(k, pc, op.count - done);
        if (!segment) break;
        place(segment, { first: first + done, length: 1, places: [0] }, 0);
        done += segment.pages;
      }
    }
    owner.live.append(done);
    return done;
  }

  private allocKernel(op: AllocOp): number {
    const { k } = this;
    const owner = this.owner(op.owner, op.kind);
    const policy: MachinePolicy =
      op.policy.mode === 'interleave' ? { mode: 'default', nodes: [] } : op.policy;
    const ac = this.context(op.kind, op.cpu, policy, op.mems, op.highest ?? 2);
    ac.order = op.order;
    ac.type = op.kind === 'kernel' ? op.type : MIGRATE_UNMOVABLE;
    const many = policy.mode === 'preferred_many';
    const within = many ? { ...ac, directReclaim: false } : undefined;
    const anywhere = many ? { ...ac, nodemask: null, secondPass: within !== undefined } : ac;
    let done = 0;
    while (done < op.count) {
      const want = op.count - done;
      const segment =
        (within && allocPages(k, within, want)) ?? allocPages(k, anywhere, within ? 1 : want);
      if (!segment) break;
      for (const { frame, count, step } of segment.runs) {
        for (let i = 0; i < count; i += 1) {
          owner.blocks.push({
            zone: segment.zone,
            frame: frame + ((step * i) << op.order),
            order: op.order,
          });
          done += 1;
        }
      }
      segment.zone.kernelPages += segment.pages;
    }
    return done;
  }

  private free(op: Extract<MachineOp, { op: 'free' }>): number {
    const { k } = this;
    const owner = this.owners.get(op.owner);
    if (!owner) return 0;
    const cpu = this.position(op.cpu);
    if (owner.mapping) return this.freeUser(owner, op, cpu);
    const end = Math.min(op.from + op.count, owner.blocks.length);
    let freed = 0;
    for (let index = op.from; index < end; index += 1) {
      const block = owner.blocks[index];
      if (!block || (index - op.from) % op.every < op.keep) continue;
      freeBlock(k, block.zone, cpu, block.frame, block.order);
      owner.blocks[index] = undefined;
      freed += 1;
    }
    return freed;
  }

  /** Neighbours that are picked go in one piece. */
  private scatter({ seed, percent, ...op }: Extract<MachineOp, { op: 'scatter' }>): number {
    const owner = this.owners.get(op.owner);
    if (!owner) return 0;
    const cpu = this.position(op.cpu);
    const end = Math.min(op.from + op.count, indicesOf(owner));
    if (owner.mapping) {
      const picks = (index: number): boolean => isPicked(seed, index, percent);
      const gone = owner.live.removeWhere(op.from, end, picks);
      const range = { from: op.from, to: end, picks };
      const freed = freeOffsets(this.k, owner.mapping, range, cpu);
      return this.settleSlots(owner.mapping, gone, freed);
    }
    let freed = 0;
    for (let from = op.from; from < end; from += 1) {
      let to = from;
      while (to < end && isPicked(seed, to, percent)) to += 1;
      if (to === from) continue;
      freed += this.free({ ...op, op: 'free', from, count: to - from, every: 1, keep: 0 });
      from = to;
    }
    return freed;
  }

  private exit(id: number, cpu: number): number {
    const owner = this.owners.get(id);
    if (!owner) return 0;
    this.owners.delete(id);
    const { mapping, live } = owner;
    if (!mapping) {
      const left = owner.blocks.filter((block) => block !== undefined);
      for (const { zone, frame, order } of left) {
        freeBlock(this.k, zone, this.position(cpu), frame, order);
      }
      return left.length;
    }
    const freed = freeMapping(this.k, mapping, this.position(cpu));
    this.k.hostMappings = this.k.hostMappings.filter((other) => other !== mapping);
    const all = { from: 0, to: live.end, every: 1, keep: 0 };
    return mapping.kind === 'file' ? freed : live.remove(all);
  }

  private freeUser(owner: Owner, op: Extract<MachineOp, { op: 'free' }>, cpu: number): number {
    const mapping = owner.mapping!;
    const { from, every, keep } = op;
    const to = Math.min(from + op.count, owner.live.end);
    const gone = owner.live.remove({ from, to, every, keep });
    const pattern = { from, to, stepPages: keep === 0 ? 0 : every, keepPages: keep };
    const freed = keep < every ? freeOffsets(this.k, mapping, rangeOf(pattern), cpu) : 0;
    return this.settleSlots(mapping, gone, freed);
  }

  /** @returns what counts as freed: of the indices that are gone, those that were there */
  private settleSlots(mapping: Mapping, gone: number, freed: number): number {
    if (mapping.kind === 'file') return freed;
    // The others' swap-cache frames were reclaimed before; only their slots are left.
    this.k.swap.freePages += gone - freed;
    mapping.swapPages -= gone - freed;
    return gone;
  }

  private runsOf(id: number, from: number, count: number) {
    const mapping = this.owners.get(id)?.mapping;
    if (!mapping || mapping.kind !== 'anon') return [];
    return [...mapping.runs].filter(
      (run) => run.offset < from + count && run.offset + spanOf(run) > from,
    );
  }

  picture(): MachinePicture {
    return pictureOf(this.k, this);
  }

  record(tape: Tape): void {
    tapeState(this.k, this, tape);
  }

  verify(): void {
    verify(this.k, 0);
  }
}
