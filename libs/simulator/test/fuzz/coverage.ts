import type { MachineConfig, MachineOp } from '../machine';
import { EVENTS } from '../reference/events';

const ZONES = ['DMA', 'DMA32', 'Normal', 'Movable'];
const TYPES = ['unmovable', 'movable', 'reclaimable'];
const POLICIES = ['default', 'preferred', 'preferred_many', 'bind', 'interleave'];
const SETTINGS = [
  'min_free_kbytes',
  'watermark_scale_factor',
  'watermark_boost_factor',
  'lowmem_reserve_ratio',
  'zone_reclaim_mode',
  'min_unmapped_ratio',
  'swappiness',
  'compaction_proactiveness',
  'compact_unevictable_allowed',
];

/** Everything that is counted: kinds of machines, kinds of operations, and events in the reference. */
const COUNTED: readonly string[] = [
  ...ZONES.map((zone) => `machine with ${zone}`),
  'machine with several nodes',
  'machine with a node without CPUs',
  'machine with a node without memory',
  'machine with batches above 1',
  'machine without compaction',
  ...['anon', 'file', 'locked', 'kernel', 'atomic'].map((kind) => `requests of ${kind}`),
  ...Array.from({ length: 11 }, (_, order) => `requests of order ${order}`),
  ...TYPES.map((type) => `requests of ${type} kernel memory`),
  ...POLICIES.map((policy) => `policy ${policy}`),
  'cpuset',
  'requests for DMA',
  'requests for DMA32',
  'requests refused',
  'free all of a range',
  'free a pattern',
  'free a random subset',
  ...['exit', 'touch', 'access', 'reclaim', 'compact', 'drain', 'idle', 'settle'],
  ...['offline', 'online', 'online_kernel', 'online_movable'],
  ...['size of a pool', "size of a node's pool", 'overcommit', 'unmapHuge', 'zapHuge'],
  ...['huge pages reserved', 'huge pages not reserved'],
  ...POLICIES.map((policy) => `huge pages touched under ${policy}`),
  ...SETTINGS.map((name) => `set ${name}`),
  ...EVENTS,
];

/** From so many pages on a zone's per-CPU lists move more than one page at a time. */
const BATCH_ZONE_PAGES = 12_288;

function namesOf(op: MachineOp): string[] {
  switch (op.op) {
    case 'alloc':
      return [`policy ${op.policy.mode}`, ...(op.mems === null ? [] : ['cpuset'])];
    case 'free':
      return [op.keep === 0 ? 'free all of a range' : 'free a pattern'];
    case 'scatter':
      return ['free a random subset'];
    case 'hugepages':
      return [op.node === null ? 'size of a pool' : "size of a node's pool"];
    case 'mapHuge':
      return [op.reserve ? 'huge pages reserved' : 'huge pages not reserved'];
    case 'touchHuge':
      return [`huge pages touched under ${op.policy.mode}`];
    case 'sysctl':
      return [`set ${op.name}`];
    default:
      return [op.op];
  }
}

/** How often what was at work; a comparison that never reclaims tests no reclaim. */
export class Coverage {
  operations = 0;
  private readonly counts = new Map<string, number>(COUNTED.map((name) => [name, 0]));

  /** Adds to a count. @throws RangeError for one that is not in the list */
  add(name: string, times: number): void {
    const count = this.counts.get(name);
    if (count === undefined) {
      throw new RangeError(`'${name}' is not one of the things that are counted`);
    }
    this.counts.set(name, count + times);
  }

  addMachine({ nodes, compaction }: MachineConfig): void {
    this.add('machine without compaction', compaction === undefined ? 1 : 0);
    const zones = nodes.flatMap((node) => node.zones);
    ZONES.forEach((name, index) => {
      this.add(`machine with ${name}`, zones.some((zone) => zone.index === index) ? 1 : 0);
    });
    this.add('machine with several nodes', nodes.length > 1 ? 1 : 0);
    const without = (key: 'cpus' | 'zones'): number =>
      nodes.some((node) => node[key].length === 0) ? 1 : 0;
    this.add('machine with a node without CPUs', without('cpus'));
    this.add('machine with a node without memory', without('zones'));
    const large = zones.some((zone) => zone.pages >= BATCH_ZONE_PAGES);
    this.add('machine with batches above 1', large ? 1 : 0);
  }

  /** An operation and what it answered. */
  addOp(op: MachineOp, done: number): void {
    this.operations++;
    namesOf(op).forEach((name) => this.add(name, 1));
    if (op.op === 'alloc') {
      if (op.highest !== undefined) {
        this.add(`requests for ${String(ZONES[op.highest])}`, done);
      }
      this.add(`requests of ${op.kind}`, done);
      this.add(`requests of order ${op.order}`, done);
      this.add('requests refused', done < op.count ? 1 : 0);
      if (op.kind === 'kernel') {
        this.add(`requests of ${String(TYPES[op.type])} kernel memory`, done);
      }
    }
  }

  /** What a reference machine has counted. */
  addEvents(events: Readonly<Record<string, number>>): void {
    Object.entries(events).forEach(([name, times]) => this.add(name, times));
  }

  of(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  /** What never happened. */
  missing(): string[] {
    return [...this.counts].filter(([, times]) => times === 0).map(([name]) => name);
  }

  /** A line for each count. */
  text(): string {
    const lines = [...this.counts].map(
      ([name, times]) => `  ${String(times).padStart(12)}  ${name}`,
    );
    return lines.join('\n');
  }
}
