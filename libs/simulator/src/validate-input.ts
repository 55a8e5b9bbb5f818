/** Checks of running guests and steps against the host, before anything is replayed. */
import { SimulatorInputError, type SimulatorErrorCode } from './errors';
import { HUGETLB_SIZES_KIB } from './hugetlb';
import { checkHotplug } from './validate-hotplug';
import { hardwareProfiles } from './hardware-profile';
import { kernelProfiles } from './profile';
import type {
  GroupSpec,
  GuestProcess,
  HotplugSpec,
  MemoryPolicy,
  ProcessPages,
  ReplayInput,
  ReplayStep,
} from './types';
import { validateHostModel } from './validate-host';

/** Settings of compaction that a host may leave out, and the largest value that the kernel takes. @kernel kernel/sysctl.c */
const COMPACTION_LIMITS: Record<string, number | undefined> = {
  compaction_proactiveness: 100,
  compact_unevictable_allowed: 1,
  extfrag_threshold: 1000,
};

export const MAX_STEPS = 10000;
const MAX_GUESTS = 4096;
const MAX_REGIONS = 256;
/** Pages: 64 TiB per region, file or swap area, and per second of a step's rate: what a replay can keep books of, and more than any host has. */
export const MAX_REPLAY_PAGES = 2 ** 34;
/** What /proc/sys/fs/pipe-user-pages-hard and open files leave a process at most. */
const MAX_PIPES = 2 ** 20;
/** 4 GiB: more than the image of any process. */
const MAX_PROCESS_PAGES = 2 ** 20;
/** One level below the root. */
const GROUP_NAME = /^[^/\s]{1,255}$/;
const POLICY_MODES = ['default', 'preferred', 'preferred_many', 'bind', 'interleave'];

function fail(code: SimulatorErrorCode, path: string, message: string): never {
  throw new SimulatorInputError({ code, path, message });
}

function pages(path: string, value: number, most = MAX_REPLAY_PAGES): void {
  if (!Number.isSafeInteger(value))
    fail('not-an-integer', path, `${String(value)} is not a whole number`);
  if (value < 0 || value > most) fail('out-of-range', path, `${value} is not within 0 to ${most}`);
}

class InputCheck {
  private readonly withMemory = new Set<number>();
  private readonly withCpus = new Set<number>();
  private readonly all = new Set<number>();
  /** Regions of every guest seen so far: name -> cell -> pages. */
  private readonly guests = new Map<string, Map<number, number>>();
  private readonly groups = new Set<string>();

  constructor(private readonly input: ReplayInput) {
    for (const node of input.host.nodes) {
      this.all.add(node.nodeId);
      if (node.cpus.length > 0) this.withCpus.add(node.nodeId);
      if (node.zones.some((zone) => zone.managedPages > 0)) this.withMemory.add(node.nodeId);
    }
  }

  run(): void {
    if (this.input.steps.length > MAX_STEPS) {
      fail(
        'limit-exceeded',
        'steps',
        `${this.input.steps.length} steps; at most ${MAX_STEPS} are replayed`,
      );
    }
    this.input.groups?.forEach((group, i) => {
      const path = `groups[${i}]`;
      if (this.groups.has(group.name))
        fail('duplicate-cgroup', `${path}.name`, `memory cgroup ${group.name} already exists`);
      this.group(group, path);
    });
    this.input.runningGuests.forEach((guest, i) => {
      const path = `runningGuests[${i}]`;
      this.guest(guest, path);
      pages(`${path}.swapPages`, guest.swapPages);
      guest.residency.forEach((part, j) => {
        const at = `${path}.residency[${j}]`;
        this.node(part.nodeId, `${at}.nodeId`);
        if (!this.guests.get(guest.name)!.has(part.cell))
          fail('unknown-cell', `${at}.cell`, `guest ${guest.name} has no cell ${part.cell}`);
        pages(`${at}.pages`, part.pages);
        pages(`${at}.hugePages`, part.hugePages, part.pages);
      });
    });
    this.input.steps.forEach((step, i) => this.step(step, `steps[${i}]`));
    if (this.guests.size > MAX_GUESTS)
      fail('limit-exceeded', 'steps', `${this.guests.size} guests; at most ${MAX_GUESTS}`);
  }

  private node(id: number, path: string): void {
    if (!this.all.has(id))
      fail(
        'unknown-node',
        path,
        `node ${id} is not in the host; it has ${[...this.all].join(', ')}`,
      );
  }

  private policy(policy: MemoryPolicy, path: string): void {
    if (!POLICY_MODES.includes(policy.mode))
      fail('unknown-value', `${path}.mode`, unknownPolicy(String(policy.mode)));
    const { kernelProfile } = this.input.host;
    if (policy.mode === 'preferred_many' && !kernelProfiles[kernelProfile].preferredMany) {
      const message = `policy preferred_many came with Linux 5.15, and the host is replayed as ${kernelProfile}`;
      fail('unknown-value', `${path}.mode`, message);
    }
    if (policy.mode !== 'default' && policy.nodes.length === 0)
      fail('out-of-range', `${path}.nodes`, `policy ${policy.mode} needs a node`);
    policy.nodes.forEach((id, i) => {
      this.node(id, `${path}.nodes[${i}]`);
    });
    const usable = policy.nodes.some((id) => this.withMemory.has(id));
    if (policy.mode !== 'default' && !usable)
      fail('node-without-memory', `${path}.nodes`, "none of the policy's nodes has memory");
  }

  private hugepageSize(sizeKib: number | undefined, path: string): void {
    if (sizeKib !== undefined && !HUGETLB_SIZES_KIB.some((size) => size === sizeKib))
      fail('unknown-value', path, `${sizeKib} KiB is not one of ${HUGETLB_SIZES_KIB.join(', ')}`);
  }

  private cpuNodes(ids: number[], path: string): void {
    if (ids.length === 0) fail('out-of-range', path, 'at least one node must run the threads');
    ids.forEach((id, i) => {
      this.node(id, `${path}[${i}]`);
      if (!this.withCpus.has(id))
        fail('node-without-cpus', `${path}[${i}]`, `node ${id} has no CPUs`);
    });
  }

  private cpuset(mems: number[] | undefined, path: string): void {
    mems?.forEach((id, i) => this.node(id, `${path}[${i}]`));
    if (mems && !mems.some((id) => this.withMemory.has(id)))
      fail('node-without-memory', path, 'cpuset.mems has no node with memory');
  }

  private process(process: ProcessPages | undefined, path: string): void {
    for (const by of ['parent', 'own'] as const) {
      const counts = process?.[by];
      if (!counts) continue;
      pages(`${path}.${by}.unmovablePages`, counts.unmovablePages, MAX_PROCESS_PAGES);
      pages(`${path}.${by}.unmovablePairs`, counts.unmovablePairs, MAX_PROCESS_PAGES);
      pages(`${path}.${by}.movablePages`, counts.movablePages, MAX_PROCESS_PAGES);
    }
  }

  private group({ name, cpusetMems, ...limits }: GroupSpec, path: string): void {
    if (!GROUP_NAME.test(name))
      fail('unknown-value', `${path}.name`, `${JSON.stringify(name)} is not a name of a cgroup`);
    for (const key of ['maxPages', 'highPages', 'swapMaxPages'] as const) {
      const limit = limits[key];
      if (limit !== undefined && limit !== null) pages(`${path}.${key}`, limit);
    }
    this.cpuset(cpusetMems, `${path}.cpusetMems`);
    this.groups.add(name);
  }

  private inGroup(name: string | undefined, path: string): void {
    if (name !== undefined && !this.groups.has(name))
      fail('unknown-cgroup', `${path}.cgroup`, `memory cgroup ${name} does not exist`);
  }

  private guest(guest: GuestProcess, path: string): void {
    this.inGroup(guest.cgroup, path);
    if (guest.regions.length === 0 || guest.regions.length > MAX_REGIONS) {
      fail(
        'limit-exceeded',
        `${path}.regions`,
        `${guest.regions.length} regions; 1 to ${MAX_REGIONS} are possible`,
      );
    }
    if (!Number.isInteger(guest.oomScoreAdj) || Math.abs(guest.oomScoreAdj) > 1000) {
      fail(
        'out-of-range',
        `${path}.oomScoreAdj`,
        `${String(guest.oomScoreAdj)} is not within -1000 to 1000`,
      );
    }
    pages(`${path}.overheadPages`, guest.overheadPages);
    this.process(guest.processPages, `${path}.processPages`);
    const cells = new Map<number, number>();
    guest.regions.forEach((region, i) => {
      const at = `${path}.regions[${i}]`;
      pages(`${at}.sizePages`, region.sizePages);
      this.policy(region.policy, `${at}.policy`);
      this.cpuNodes(region.cpuNodes, `${at}.cpuNodes`);
      this.cpuset(region.cpusetMems, `${at}.cpusetMems`);
      this.hugepageSize(region.hugetlb?.sizeKib, `${at}.hugetlb.sizeKib`);
      if (region.hugetlb?.cpuNodes)
        this.cpuNodes(region.hugetlb.cpuNodes, `${at}.hugetlb.cpuNodes`);
      cells.set(region.cell, region.sizePages);
    });
    if (this.guests.has(guest.name))
      fail('duplicate-guest', `${path}.name`, `guest ${guest.name} already exists`);
    this.guests.set(guest.name, cells);
  }

  private range(name: string, cell: number, offset: number, length: number, path: string): void {
    pages(`${path}.offsetPages`, offset);
    pages(`${path}.pages`, length);
    const cells = this.guests.get(name);
    if (!cells) return;
    const size = cells.get(cell);
    if (size === undefined)
      fail('unknown-cell', `${path}.cell`, `guest ${name} has no cell ${cell}`);
    if (offset + length > size)
      fail('outside-region', path, `${offset} + ${length} pages exceed the region's ${size}`);
  }

  private step(step: ReplayStep, path: string): void {
    if ('ratePagesPerSecond' in step && step.ratePagesPerSecond !== undefined) {
      pages(`${path}.ratePagesPerSecond`, step.ratePagesPerSecond);
    }
    switch (step.op) {
      case 'sysctl':
        return this.sysctl(step.name, step.value, path);
      case 'cache':
        pages(`${path}.offsetPages`, step.offsetPages);
        pages(`${path}.pages`, step.pages);
        pages(`${path}.passes`, step.passes, 16);
        this.inGroup(step.cgroup, path);
        this.policy(step.policy, `${path}.policy`);
        this.cpuNodes([step.cpuNode], `${path}.cpuNode`);
        this.process(step.processPages, `${path}.processPages`);
        return this.cpuset(step.cpusetMems, `${path}.cpusetMems`);
      case 'unmovable':
        pages(`${path}.pages`, step.pages);
        pages(`${path}.pipes`, step.pipes, MAX_PIPES);
        if (step.pipes === 0) fail('out-of-range', `${path}.pipes`, 'at least one pipe is needed');
        this.policy(step.policy, `${path}.policy`);
        this.cpuNodes([step.cpuNode], `${path}.cpuNode`);
        this.process(step.processPages, `${path}.processPages`);
        return this.cpuset(step.cpusetMems, `${path}.cpusetMems`);
      case 'guest':
        this.guest(step.guest, `${path}.guest`);
        step.touchPages.forEach((count, i) => {
          const region = step.guest.regions[i];
          if (region)
            this.range(step.guest.name, region.cell, 0, count, `${path}.touchPages[${i}]`);
        });
        return;
      case 'touch':
        return this.range(step.name, step.cell, step.offsetPages, step.pages, path);
      case 'touch_many':
        step.touches.forEach((touch, i) =>
          this.range(
            touch.name,
            touch.cell,
            touch.offsetPages,
            touch.pages,
            `${path}.touches[${i}]`,
          ),
        );
        return;
      case 'free':
        pages(`${path}.stepPages`, step.stepPages);
        pages(`${path}.keepPages`, step.keepPages);
        return this.range(step.name, step.cell, step.offsetPages, step.pages, path);
      case 'hugepages':
        if (step.nodeId !== undefined) this.node(step.nodeId, `${path}.nodeId`);
        if (step.policy) this.policy(step.policy, `${path}.policy`);
        this.hugepageSize(step.sizeKib, `${path}.sizeKib`);
        return pages(`${path}.count`, step.count);
      case 'overcommit_hugepages':
        this.hugepageSize(step.sizeKib, `${path}.sizeKib`);
        return pages(`${path}.count`, step.count);
      case 'swapon':
        return pages(`${path}.pages`, step.pages);
      case 'hotplug':
        return this.hotplug(step, path);
      case 'cgroup':
        return this.group(step, path);
      case 'thp':
      case 'kill':
      case 'settle':
      case 'drop_caches':
      case 'compact':
      case 'swapoff':
      case 'snapshot':
      case 'unmodelled':
        return;
    }
  }

  private hotplug(step: HotplugSpec, path: string): void {
    this.node(step.nodeId, `${path}.nodeId`);
    checkHotplug(this.input.host, step, path, fail);
    if (step.action !== 'offline') this.withMemory.add(step.nodeId);
  }

  private sysctl(name: string, value: number | number[], path: string): void {
    const limit = COMPACTION_LIMITS[name];
    if (!(name in this.input.host.sysctl) && limit === undefined)
      fail('unknown-value', `${path}.name`, `sysctl ${name} is not modelled`);
    for (const item of Array.isArray(value) ? value : [value])
      pages(`${path}.value`, item, 2 ** 31);
    const list = name === 'lowmem_reserve_ratio';
    if (Array.isArray(value) !== list)
      fail('out-of-range', `${path}.value`, `${name} takes ${list ? 'a list' : 'one number'}`);
    const profile = kernelProfiles[this.input.host.kernelProfile];
    const single = Array.isArray(value) ? 0 : value;
    if (limit !== undefined && single > limit)
      fail('out-of-range', `${path}.value`, `${single} is not within 0 to ${limit}`);
    if (
      name === 'watermark_scale_factor' &&
      (single < 1 || single > profile.watermarkScaleFactorMax)
    ) {
      fail(
        'out-of-range',
        `${path}.value`,
        `${single} is not within 1 to ${profile.watermarkScaleFactorMax}`,
      );
    }
    if (name === 'swappiness' && single > profile.swappinessMax) {
      fail(
        'out-of-range',
        `${path}.value`,
        `${single} is not within 0 to ${profile.swappinessMax}`,
      );
    }
  }
}

function unknownPolicy(mode: string): string {
  if (/^weighted[-_ ]interleave$/.test(mode)) {
    return `policy ${mode} came with Linux 6.9, and replays follow 6.1.y, which does not have it; interleave is its nearest there`;
  }
  return `policy ${mode} is not known`;
}

/** @throws SimulatorInputError naming the first thing wrong; for a host model, all of them in `problems` */
export function checkInput(input: ReplayInput): void {
  const problems = validateHostModel(input.host);
  if (problems[0]) {
    const at = problems.map((problem) => ({ ...problem, path: `host.${problem.path}` }));
    throw new SimulatorInputError(at[0]!, at);
  }
  if (!Object.hasOwn(kernelProfiles, input.host.kernelProfile)) {
    fail(
      'unknown-value',
      'host.kernelProfile',
      `kernel ${String(input.host.kernelProfile)} is not modelled`,
    );
  }
  if (!kernelProfiles[input.host.kernelProfile].validated) {
    fail(
      'unknown-value',
      'host.kernelProfile',
      `of kernel ${input.host.kernelProfile} only the formulas are known: a host is replayed as 6.1.y, 6.12 or 5.10`,
    );
  }
  if (!Number.isSafeInteger(input.seed))
    fail('not-an-integer', 'seed', `${String(input.seed)} is not a whole number`);
  const { hardwareProfile } = input;
  if (hardwareProfile !== undefined && !Object.hasOwn(hardwareProfiles, hardwareProfile)) {
    fail(
      'unknown-hardware-profile',
      'hardwareProfile',
      `${hardwareProfile} is not one of ${Object.keys(hardwareProfiles).join(', ')}`,
    );
  }
  const { stallLimitNs } = input;
  if (stallLimitNs !== undefined && !(stallLimitNs >= 0)) {
    fail('out-of-range', 'stallLimitNs', `${String(stallLimitNs)} is not a time from 0`);
  }
  checkStallExcess(input);
  for (const [name, share] of Object.entries(input.unseen ?? {})) {
    if (!(share >= 0 && share <= 1))
      fail('out-of-range', `unseen.${name}`, `${String(share)} is not a share from 0 to 1`);
  }
  new InputCheck(input).run();
}

function checkStallExcess({ stallExcess }: ReplayInput): void {
  if (stallExcess === undefined) return;
  const { limitNs, budgetNs } = stallExcess;
  const times = [['limitNs', limitNs] as const, ...Object.entries(budgetNs)];
  for (const [name, ns] of times) {
    if (ns >= 0) continue;
    const where = name === 'limitNs' ? name : `budgetNs.${name}`;
    fail('out-of-range', `stallExcess.${where}`, `${String(ns)} is not a time from 0`);
  }
}
