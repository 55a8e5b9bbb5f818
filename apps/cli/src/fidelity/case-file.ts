/** Shape of a recorded case as `truth.py strip` leaves it: what a replay may know, and no answers. */

export interface RecordedZone {
  counters: Record<string, number>;
  pagesets: { cpu: number; count: number; high: number; batch: number }[];
  free: number;
  /** Kernels before 5.14 do not print it. */
  boost?: number;
  min: number;
  low: number;
  high: number;
  spanned: number;
  present: number;
  managed: number;
  protection: number[];
  start_pfn: number;
}

export interface RecordedSnapshot {
  zoneinfo: Record<string, { zones: Record<string, RecordedZone>; stats: Record<string, number> }>;
  buddyinfo: Record<string, Record<string, number[]>>;
  pagetypeinfo: {
    free: Record<string, Record<string, Record<string, number[]>>>;
    blocks?: Record<string, Record<string, Record<string, number>>>;
  };
  meminfo: Record<string, number>;
  sysctl: Record<string, string>;
  nodes: Record<
    string,
    {
      numastat: Record<string, number>;
      distance?: number[];
      cpulist?: string;
      meminfo: Record<string, number>;
    }
  >;
}

/** A step's arguments, see the recording rig's vocabulary; sizes are MiB. */
export interface RecordedStep {
  op: string;
  label?: string;
  name?: string;
  names?: string[];
  value?: string | number;
  path?: string;
  cpu_node?: number | 'none';
  /** Size of hugetlb pages, and how many are wanted. */
  size_kb?: number;
  count?: number;
  mode?: string;
  nodes?: number[];
  how?: string;
  thp?: string;
  cgroup?: string;
  size_mib?: number;
  touch_mib?: number;
  off_mib?: number;
  mib?: number;
  file?: string;
  access?: string;
  passes?: number;
  rate_mibps?: number;
  step_pages?: number;
  keep_pages?: number;
  pipes?: number;
  mlock?: number | boolean;
  oom_score_adj?: number;
  cpuset_mems?: string;
  /** A memory cgroup's limits: bytes, also with a unit, or `max`. */
  max?: string;
  high?: string;
  swap_max?: string;
  [other: string]: unknown;
}

export interface RecordedCase {
  format: string;
  id: string;
  group: string;
  title: string;
  kernel: { release: string };
  topology: { nodes: { mib: number; cpus: number }[]; swap_mib?: number };
  boot: { sysctls: Record<string, string>; mm: Record<string, string>; log?: string[] };
  steps: { n: number; step: RecordedStep; snapshot?: RecordedSnapshot }[];
}

/** Whether a parsed JSON file is a recorded case (a folder may hold other JSON beside them). */
export function isRecordedCase(value: unknown): value is RecordedCase {
  return (value as { format?: unknown } | null)?.format === 'kernel-truth';
}

/** The state after boot, which every replay starts from. */
export function bootSnapshot(recorded: RecordedCase): RecordedSnapshot {
  const snapshot = recorded.steps[0]?.snapshot;
  if (snapshot === undefined) throw new Error(`${recorded.id}: step 0 has no snapshot`);
  return snapshot;
}
