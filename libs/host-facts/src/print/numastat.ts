import { fixed2, left, right, textOf } from './layout';
import { parseNodeMeminfo, type Meminfo } from '../parse/meminfo';
import { printNodeMeminfo } from './meminfo';
import type { NodeState, PrintedState } from './printed-state';

const COLUMN = 16;
const BYTES_PER_MIB = 1024 * 1024;
const DEFAULT_HUGE_BYTES = 2 * BYTES_PER_MIB;
const BYTES_PER_KIB = 1024;

const numastatRows = (node: NodeState): [name: string, count: number][] => [
  ['numa_hit', node.numaEvents.numa_hit],
  ['numa_miss', node.numaEvents.numa_miss],
  ['numa_foreign', node.numaEvents.numa_foreign],
  ['interleave_hit', node.numaEvents.numa_interleave],
  ['local_node', node.numaEvents.numa_local],
  ['other_node', node.numaEvents.numa_other],
];

/**
 * /sys/devices/system/node/nodeN/numastat.
 * @kernel drivers/base/node.c node_read_numastat()
 */
export function printNodeNumastat(node: NodeState): string {
  return textOf(numastatRows(node).map(([name, count]) => `${name} ${count}`));
}

/** `numastat` without options: the six counters, a column per node. */
export function printNumastat({ nodes }: PrintedState): string {
  const heading = nodes.map((node) => right(`node${node.nodeId}`, COLUMN)).join('');
  const rows = nodes.map(numastatRows);
  const names = rows[0]?.map(([name]) => name) ?? [];
  return textOf([
    left('', COLUMN) + heading,
    ...names.map((name, i) => {
      const counts = rows.map((row) => right(row[i]?.[1] ?? 0, COLUMN));
      return left(name, COLUMN) + counts.join('');
    }),
  ]);
}

function bytesPer(row: string): number {
  return row.startsWith('HugePages') ? DEFAULT_HUGE_BYTES : BYTES_PER_KIB;
}

/** numastat reads the node's text, and so does this. */
function meminfoOf(node: NodeState, state: PrintedState): Meminfo {
  const parsed = parseNodeMeminfo(printNodeMeminfo(node, state), node.nodeId, 'nodeMeminfo');
  return parsed.ok ? parsed.value : {};
}

/** Rows that numastat knows, in its order; what a node's meminfo has besides is not shown. */
const SYSTEM_ROWS = [
  'MemTotal',
  'MemFree',
  'MemUsed',
  'Active',
  'Inactive',
  'Active(anon)',
  'Inactive(anon)',
  'Active(file)',
  'Inactive(file)',
  'Unevictable',
  'Mlocked',
  'Dirty',
  'Writeback',
  'FilePages',
  'Mapped',
  'AnonPages',
  'Shmem',
  'KernelStack',
  'PageTables',
  'NFS_Unstable',
  'Bounce',
  'WritebackTmp',
  'Slab',
  'SReclaimable',
  'SUnreclaim',
  'AnonHugePages',
  'ShmemHugePages',
  'ShmemPmdMapped',
  'HugePages_Total',
  'HugePages_Free',
  'HugePages_Surp',
  'KReclaimable',
];

/**
 * `numastat -m` of numactl 2.0.16: meminfo of the nodes in MiB, with a total.
 * @differs the program also complains once per node of each line that it does not know (SwapCached,
 * SecPageTables, FileHugePages, FilePmdMapped); the complaints are left out
 */
export function printNumastatMeminfo(state: PrintedState): string {
  const { nodes } = state;
  const tables = nodes.map((node) => meminfoOf(node, state));
  const columns = [...nodes.map((node) => `Node ${node.nodeId}`), 'Total'];
  return textOf([
    '',
    'Per-node system memory usage (in MBs):',
    left('', COLUMN) + columns.map((name) => right(name, COLUMN)).join(''),
    left('', COLUMN) + columns.map(() => right('-'.repeat(COLUMN - 1), COLUMN)).join(''),
    ...SYSTEM_ROWS.map((name) => {
      const values = tables.map((table) => ((table[name] ?? 0) * bytesPer(name)) / BYTES_PER_MIB);
      const total = values.reduce((sum, value) => sum + value, 0);
      const cells = [...values, total].map((value) => right(fixed2(value), COLUMN));
      return left(name, COLUMN) + cells.join('');
    }),
  ]);
}
