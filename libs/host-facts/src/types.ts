/** What a Linux host printed, as text, and what was read out of it. */
import type { HostModel, RunningGuest } from '@zonewise/simulator';

/** Text sources by the name used in `POST /v1/hosts/import`. All optional; more is better. */
export interface HostTexts {
  /** `virsh capabilities` is read by libvirt-xml; its topology is passed as `capabilitiesTopology`. */
  numactlHardware?: string;
  zoneinfo?: string;
  buddyinfo?: string;
  pagetypeinfo?: string;
  meminfo?: string;
  vmstat?: string;
  /** `sysctl -a` or bare `name=value` / `vm.name = value` lines. */
  sysctl?: string;
  /** /sys/kernel/mm/transparent_hugepage/enabled and /defrag, as printed: `always [madvise] never`. */
  thpEnabled?: string;
  thpDefrag?: string;
  /** `uname -r` or /proc/version. */
  version?: string;
  /** Per node texts by node number. */
  nodeMeminfo?: Record<string, string>;
  nodeNumastat?: Record<string, string>;
  nodeCpulist?: Record<string, string>;
  nodeDistance?: Record<string, string>;
}

export interface FactProblem {
  code: string;
  /** Source and place, e.g. `zoneinfo:41` or `numactlHardware:node 2 size`. */
  path: string;
  message: string;
  line?: number;
  column?: number;
  expected?: string;
  found?: string;
}

/** Where a value of the model came from, so that nothing derived looks read. */
export interface Provenance {
  path: string;
  source: string;
  kind: 'read' | 'derived' | 'default';
  note?: string;
}

/** Two sources that disagree, and which one was taken by which rule. */
export interface Difference {
  path: string;
  taken: { source: string; value: number | string };
  other: { source: string; value: number | string };
  rule: string;
}

export interface HostImport {
  model: HostModel;
  provenance: Provenance[];
  differences: Difference[];
  caveats: { code: string; message: string }[];
}

export type ImportOutcome =
  { ok: true; value: HostImport } | { ok: false; problems: FactProblem[] };

export type { HostModel, RunningGuest };
