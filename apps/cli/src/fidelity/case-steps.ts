import {
  PAGES_PER_MIB,
  type MemoryPolicy,
  type PolicyMode,
  type ProcessPages,
  type RegionSpec,
  type ReplayStep,
  type SysctlName,
  type ThpDefrag,
  type ThpEnabled,
} from '@zonewise/simulator';
import { caseHost, cpuNumbers } from './case-host';
import type { RecordedCase, RecordedStep } from './case-file';

/** Pages that the rig's stand-in for a VM touches itself besides its mapping: stack and heap. */
const OVERHEAD_PAGES = 4;
/**
 * What starting a process of the rig took, counted by allocation trace: the first process forks it on CPU 0,
 * and copies its own pages on the next write to them.
 */
const GUEST_PROCESS: ProcessPages = {
  parent: { unmovablePages: 14, unmovablePairs: 1, movablePages: 9 },
  own: { unmovablePages: 1, unmovablePairs: 0, movablePages: 0 },
};
/** A reader has a buffer of 256 KiB besides. */
const READER_PROCESS: ProcessPages = {
  parent: { unmovablePages: 14, unmovablePairs: 1, movablePages: 6 },
  own: { unmovablePages: 6, unmovablePairs: 0, movablePages: 69 },
};
const MODELLED_SYSCTLS: Record<string, SysctlName> = {
  'vm.min_free_kbytes': 'min_free_kbytes',
  'vm.watermark_scale_factor': 'watermark_scale_factor',
  'vm.watermark_boost_factor': 'watermark_boost_factor',
  'vm.lowmem_reserve_ratio': 'lowmem_reserve_ratio',
  'vm.zone_reclaim_mode': 'zone_reclaim_mode',
  'vm.min_unmapped_ratio': 'min_unmapped_ratio',
  'vm.min_slab_ratio': 'min_slab_ratio',
  'vm.swappiness': 'swappiness',
  'vm.percpu_pagelist_high_fraction': 'percpu_pagelist_high_fraction',
  'vm.dirty_ratio': 'dirty_ratio',
  'vm.dirty_background_ratio': 'dirty_background_ratio',
  'vm.dirty_writeback_centisecs': 'dirty_writeback_centisecs',
  'vm.compaction_proactiveness': 'compaction_proactiveness',
  'vm.compact_unevictable_allowed': 'compact_unevictable_allowed',
  'vm.extfrag_threshold': 'extfrag_threshold',
};

const pages = (mib: number | undefined): number => Math.trunc((mib ?? 0) * PAGES_PER_MIB);

const BYTES_PER_PAGE = 4096;
const UNITS = ['', 'K', 'M', 'G', 'T'];

/** A limit as it is written to a cgroup's file: bytes with or without a unit, or `max`. */
function limitPages(value: string | undefined): number | null | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d+)([KMGT]?)$/i.exec(value);
  if (match === null) return null;
  const bytes = Number(match[1]) * 1024 ** UNITS.indexOf(match[2]!.toUpperCase());
  return Math.floor(bytes / BYTES_PER_PAGE);
}

/** Turns the steps of one case into replay steps; remembers cgroups and guests between them. */
class StepCompiler {
  private readonly cpuNodes: number[];
  private readonly swapPages: number;

  constructor(recorded: RecordedCase) {
    const host = caseHost(recorded);
    this.cpuNodes = host.nodes.filter((node) => node.cpus.length > 0).map((node) => node.nodeId);
    // The area's first page holds its header.
    this.swapPages = Math.max(pages(recorded.topology.swap_mib) - 1, 0);
  }

  compile(step: RecordedStep): ReplayStep {
    const compiled = this.step(step);
    return step.label === undefined ? compiled : { ...compiled, label: step.label };
  }

  private step(step: RecordedStep): ReplayStep {
    switch (step.op) {
      case 'sysctl':
        return this.sysctl(step);
      case 'write':
        return this.write(step);
      case 'cache':
        return this.cache(step);
      case 'guest':
        return this.guest(step);
      case 'unmovable':
        return this.unmovable(step);
      case 'touch':
        return {
          op: 'touch',
          name: step.name ?? '',
          cell: 0,
          offsetPages: pages(step.off_mib),
          pages: pages(step.touch_mib),
          access: step.access === 'read' ? 'read' : 'write',
          ...this.rate(step),
        };
      case 'touch_many': {
        const touches = (step.names ?? []).map((name) => ({
          name,
          cell: 0,
          offsetPages: pages(step.off_mib),
          pages: pages(step.touch_mib),
        }));
        return { op: 'touch_many', touches, ...this.rate(step) };
      }
      case 'free':
        return this.free(step);
      case 'kill':
        return { op: 'kill', name: step.name ?? '' };
      case 'settle':
      case 'snapshot':
        return { op: step.op };
      case 'drop_caches':
        return { op: 'drop_caches' };
      case 'compact':
        return { op: 'compact', ...(typeof step.node === 'number' && { nodeId: step.node }) };
      case 'hugepages':
        return this.hugepages(step);
      case 'swapon':
        return { op: 'swapon', pages: this.swapPages };
      case 'swapoff':
        return { op: 'swapoff' };
      case 'cgroup':
        return this.cgroup(step);
      case 'sleep':
      case 'sync':
        return { op: 'snapshot' };
      default:
        return { op: 'unmodelled', was: step.op };
    }
  }

  private sysctl(step: RecordedStep): ReplayStep {
    const name = MODELLED_SYSCTLS[step.name ?? ''];
    const value = String(step.value ?? '');
    // Other settings of the recordings steer the recording itself, not placement or reclaim.
    if (name === undefined) return { op: 'snapshot' };
    const numbers = value.trim().split(/\s+/).map(Number);
    return { op: 'sysctl', name, value: numbers.length > 1 ? numbers : (numbers[0] ?? 0) };
  }

  private write(step: RecordedStep): ReplayStep {
    const path = step.path ?? '';
    const value = String(step.value ?? '');
    if (path.endsWith('transparent_hugepage/enabled')) {
      return { op: 'thp', enabled: value as ThpEnabled };
    }
    if (path.endsWith('transparent_hugepage/defrag')) {
      return { op: 'thp', defrag: value as ThpDefrag };
    }
    return { op: 'unmodelled', was: `write ${path}` };
  }

  private policy(step: RecordedStep, byDefault: PolicyMode): MemoryPolicy {
    const mode = (step.mode ?? byDefault) as PolicyMode;
    return { mode, nodes: mode === 'default' ? [] : (step.nodes ?? []) };
  }

  private cpuNode(step: RecordedStep): number {
    return typeof step.cpu_node === 'number' ? step.cpu_node : this.cpuNodes[0]!;
  }

  private rate(step: RecordedStep): { ratePagesPerSecond?: number } {
    return step.rate_mibps ? { ratePagesPerSecond: pages(step.rate_mibps) } : {};
  }

  private group(step: RecordedStep): { cgroup?: string } {
    return step.cgroup === undefined ? {} : { cgroup: step.cgroup };
  }

  private cache(step: RecordedStep): ReplayStep {
    const access = step.access === 'write' || step.access === 'mapped' ? step.access : 'read';
    return {
      op: 'cache',
      file: step.file ?? 'f',
      offsetPages: pages(step.off_mib),
      pages: pages(step.mib),
      cpuNode: this.cpuNode(step),
      policy: this.policy(step, 'bind'),
      access,
      passes: step.passes ?? 1,
      processPages: READER_PROCESS,
      ...(step.name === undefined ? {} : { name: step.name }),
      ...this.group(step),
      ...this.rate(step),
    };
  }

  private guest(step: RecordedStep): ReplayStep {
    const region: RegionSpec = {
      cell: 0,
      sizePages: pages(step.size_mib),
      policy: this.policy(step, 'default'),
      policyScope: step.how === 'set_mempolicy' ? 'task' : 'mbind',
      cpuNodes: step.cpu_node === 'none' ? this.cpuNodes : [this.cpuNode(step)],
      roams: step.cpu_node === 'none',
      thp: step.thp === 'huge' || step.thp === 'nohuge' ? step.thp : 'none',
      ...(step.thp === 'hugetlb' && { hugetlb: { sizeKib: 2048 as const, reserve: false } }),
      pinned: Boolean(step.mlock),
    };
    return {
      op: 'guest',
      guest: {
        name: step.name ?? '',
        regions: [region],
        oomScoreAdj: step.oom_score_adj ?? 0,
        overheadPages: OVERHEAD_PAGES,
        processPages: GUEST_PROCESS,
        ...this.group(step),
      },
      touchPages: [pages(step.touch_mib)],
      ...this.rate(step),
    };
  }

  private unmovable(step: RecordedStep): ReplayStep {
    if (step.cgroup !== undefined) return { op: 'unmodelled', was: 'pipes in a memory cgroup' };
    return {
      op: 'unmovable',
      name: step.name ?? '',
      cpuNode: this.cpuNode(step),
      policy: this.policy(step, 'default'),
      pages: pages(step.mib),
      pipes: step.pipes ?? 1,
      processPages: GUEST_PROCESS,
      ...this.rate(step),
    };
  }

  private hugepages(step: RecordedStep): ReplayStep {
    const sizeKib = step.size_kb ?? 2048;
    if (sizeKib !== 2048 && sizeKib !== 1_048_576) {
      return { op: 'unmodelled', was: `hugepages of ${sizeKib} kB` };
    }
    return {
      op: 'hugepages',
      ...(typeof step.node === 'number' && { nodeId: step.node }),
      sizeKib,
      count: step.count ?? 0,
    };
  }

  private free(step: RecordedStep): ReplayStep {
    return {
      op: 'free',
      name: step.name ?? '',
      cell: 0,
      offsetPages: pages(step.off_mib),
      pages: pages(step.mib),
      stepPages: step.step_pages ?? 0,
      keepPages: step.keep_pages ?? 0,
    };
  }

  private cgroup(step: RecordedStep): ReplayStep {
    const limits = {
      maxPages: limitPages(step.max),
      highPages: limitPages(step.high),
      swapMaxPages: limitPages(step.swap_max),
      cpusetMems: step.cpuset_mems === undefined ? undefined : cpuNumbers(step.cpuset_mems),
    };
    const given = Object.entries(limits).filter(([, value]) => value !== undefined);
    return { op: 'cgroup', name: step.name ?? '', ...Object.fromEntries(given) };
  }
}

/** Replay steps of a case, one for each recorded step after boot (step 0). */
export function caseSteps(recorded: RecordedCase): ReplayStep[] {
  const compiler = new StepCompiler(recorded);
  return recorded.steps.slice(1).map(({ step }) => compiler.compile(step));
}
