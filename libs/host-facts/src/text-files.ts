/** Names under which a host's texts are kept as files, and the fields of `HostTexts` that they are. */
import type { HostTexts } from './types';

/** Texts by node number. */
type NodeField =
  | ('nodeMeminfo' | 'nodeNumastat' | 'nodeCpulist' | 'nodeDistance' | 'nodeVmstat')
  | ('nodeHugepages' | 'cellFreepages' | 'cellMemstats');
type WholeField = Exclude<keyof HostTexts, NodeField>;

/** Files of the whole host. */
export const TEXT_FILES: Readonly<Record<string, WholeField>> = {
  zoneinfo: 'zoneinfo',
  buddyinfo: 'buddyinfo',
  pagetypeinfo: 'pagetypeinfo',
  meminfo: 'meminfo',
  vmstat: 'vmstat',
  sysctl: 'sysctl',
  version: 'version',
  'numactl-hardware': 'numactlHardware',
  'thp-enabled': 'thpEnabled',
  'thp-defrag': 'thpDefrag',
  'lru-gen': 'lruGen',
  khugepaged: 'khugepaged',
  'node-states': 'nodeStates',
  zonelists: 'zonelists',
  'zone-ranges': 'zoneRanges',
  memmap: 'memmap',
  sections: 'sections',
  extfrag_index: 'extfragIndex',
  unusable_index: 'unusableIndex',
  numastat: 'numastat',
  'numastat-m': 'numastatMeminfo',
  nodeinfo: 'nodeinfo',
  freepages: 'freepages',
  freecell: 'freecell',
  nodememstats: 'nodememstats',
  'kernel-log': 'kernelLog',
};

/** Files of one node under /sys/devices/system/node/nodeN, and what virsh prints of one cell. */
export const NODE_TEXT_FILES: Readonly<Record<string, NodeField>> = {
  meminfo: 'nodeMeminfo',
  numastat: 'nodeNumastat',
  cpulist: 'nodeCpulist',
  distance: 'nodeDistance',
  vmstat: 'nodeVmstat',
  hugepages: 'nodeHugepages',
  freepages: 'cellFreepages',
  memstats: 'cellMemstats',
};

/** The name under which the text of a node is kept: `node0.meminfo`. */
export function nodeFileName(field: string, nodeId: string): string {
  const file = Object.keys(NODE_TEXT_FILES).find((name) => NODE_TEXT_FILES[name] === field);
  return `node${nodeId}.${file ?? field}`;
}

/** What a name such as `node0.meminfo` stands for: the entry "0" of `nodeMeminfo`; null for any other name. */
export function nodeTextOf(fileName: string): { field: NodeField; nodeId: string } | null {
  const found = /^node(\d{1,5})\.([a-z]+)$/.exec(fileName);
  const [, nodeId = '', file = ''] = found ?? [];
  const field = Object.hasOwn(NODE_TEXT_FILES, file) ? NODE_TEXT_FILES[file] : undefined;
  return field === undefined ? null : { field, nodeId };
}

/**
 * The texts among files of these names; names that mean nothing here are left out.
 * @param read gives the content of a file that is taken
 */
export function hostTextsOf(fileNames: string[], read: (fileName: string) => string): HostTexts {
  const texts: HostTexts = {};
  for (const name of fileNames) {
    const whole = Object.hasOwn(TEXT_FILES, name) ? TEXT_FILES[name] : undefined;
    if (whole !== undefined) texts[whole] = read(name);
    const node = nodeTextOf(name);
    if (node !== null) (texts[node.field] ??= {})[node.nodeId] = read(name);
  }
  return texts;
}
