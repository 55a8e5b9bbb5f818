/** Files of a host as the collector or sosreport packs them, sorted into what an import takes. */
import { nodeTextOf } from './text-files';
import type { HostTexts } from './types';

export interface CollectedFile {
  /** As in the archive, the folder that everything is in included. */
  path: string;
  text: string;
}

/** A running guest. */
export interface CollectedGuest {
  name: string;
  pid: number | null;
  xml?: string;
  numaMaps?: string;
  smapsRollup?: string;
}

export interface Collection {
  texts: HostTexts;
  /** `virsh capabilities`. */
  capabilities?: string;
  hostName?: string;
  guests: CollectedGuest[];
  /** What the collector could not read: `/proc/pagetypeinfo: Permission denied`. */
  unread: string[];
}

type WholeText = {
  [K in keyof HostTexts]-?: HostTexts[K] extends string | undefined ? K : never;
}[keyof HostTexts];

/** Where a file belongs. */
type Slot =
  | { kind: 'text'; field: WholeText | 'capabilities' | 'hostName' }
  | { kind: 'node'; file: string; nodeId: string }
  | { kind: 'pool'; nodeId: string; line: string }
  | { kind: 'setting'; name: string }
  | { kind: 'lines'; field: 'khugepaged' | 'nodeStates'; name: string }
  | { kind: 'process'; pid: number; field: 'name' | 'xml' | 'numaMaps' | 'smapsRollup' }
  | { kind: 'pid'; guest: string }
  | { kind: 'xml'; guest: string }
  | { kind: 'unread' };

const FILES: Readonly<Record<string, WholeText | 'hostName'>> = {
  'proc/zoneinfo': 'zoneinfo',
  'proc/buddyinfo': 'buddyinfo',
  'proc/pagetypeinfo': 'pagetypeinfo',
  'proc/meminfo': 'meminfo',
  'proc/vmstat': 'vmstat',
  'proc/version': 'version',
  'proc/sys/kernel/hostname': 'hostName',
  'sys/kernel/mm/transparent_hugepage/enabled': 'thpEnabled',
  'sys/kernel/mm/transparent_hugepage/defrag': 'thpDefrag',
  'sys/kernel/mm/lru_gen/enabled': 'lruGen',
  'sys/kernel/debug/extfrag/extfrag_index': 'extfragIndex',
  'sys/kernel/debug/extfrag/unusable_index': 'unusableIndex',
  sysctl: 'sysctl',
};

/** Outputs by the command, blanks as underscores, as the collector and sosreport name them. */
const COMMANDS: Readonly<Record<string, WholeText | 'capabilities' | 'hostName'>> = {
  'numactl_--hardware': 'numactlHardware',
  'numactl_-H': 'numactlHardware',
  numastat: 'numastat',
  'numastat_-m': 'numastatMeminfo',
  'sysctl_-a': 'sysctl',
  'virsh_-r_capabilities': 'capabilities',
  'virsh_-r_nodeinfo': 'nodeinfo',
  'virsh_-r_freepages_--all': 'freepages',
  'virsh_-r_freecell_--all': 'freecell',
  'virsh_-r_freecell': 'freecell',
  'virsh_-r_nodememstats': 'nodememstats',
  hostname: 'hostName',
  'uname_-a': 'version',
};

const PROCESS_FILES: Readonly<Record<string, 'name' | 'xml' | 'numaMaps' | 'smapsRollup'>> = {
  name: 'name',
  'domain.xml': 'xml',
  numa_maps: 'numaMaps',
  smaps_rollup: 'smapsRollup',
};

const NODE = /^sys\/devices\/system\/node\/node(\d{1,5})\/(.*)$/;
const POOL = /^hugepages\/(hugepages-\d{1,12}kB\/(?:nr|free|surplus)_hugepages)$/;
const COMMAND = /^(?:sos_commands\/[^/]+|commands)\/([^/]+)$/;
const PROCESS = /^(?:guests|proc)\/(\d{1,10})\/([a-z_.]+)$/;
const GUEST_FILE = /^(?:var\/)?run\/libvirt\/qemu\/([^/]+)\.(pid|xml)$/;

/** Whether an import reads such a file: what is not wanted need not be unpacked. */
export function isCollected(path: string): boolean {
  return slotOf(path) !== null;
}

/** Archives may or may not have a folder around everything. */
function slotOf(path: string): Slot | null {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return slotBelow(parts.join('/')) ?? slotBelow(parts.slice(1).join('/'));
}

function slotBelow(path: string): Slot | null {
  if (path === 'unread') return { kind: 'unread' };
  const field = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (field !== undefined) return { kind: 'text', field };
  const lines = lineSlot(path);
  if (lines !== null) return lines;
  const setting = /^proc\/sys\/vm\/([a-z_]+)$/.exec(path)?.[1];
  if (setting !== undefined) return { kind: 'setting', name: setting };
  return nodeSlot(path) ?? commandSlot(path) ?? guestSlot(path);
}

/** Files of one number or list each, which are kept as one text. */
const LINE_FILES = [
  ['khugepaged', /^sys\/kernel\/mm\/transparent_hugepage\/khugepaged\/([a-z_]+)$/],
  ['nodeStates', /^sys\/devices\/system\/node\/(possible|online|has_[a-z_]+)$/],
] as const;

function lineSlot(path: string): Slot | null {
  for (const [field, pattern] of LINE_FILES) {
    const name = pattern.exec(path)?.[1];
    if (name !== undefined) return { kind: 'lines', field, name };
  }
  return null;
}

function nodeSlot(path: string): Slot | null {
  const [, nodeId = '', file = ''] = NODE.exec(path) ?? [];
  if (nodeId === '') return null;
  const line = POOL.exec(file)?.[1];
  if (line !== undefined) return { kind: 'pool', nodeId, line };
  return nodeTextOf(`node${nodeId}.${file}`) === null ? null : { kind: 'node', file, nodeId };
}

function commandSlot(path: string): Slot | null {
  const name = COMMAND.exec(path)?.[1] ?? '';
  const field = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (field !== undefined) return { kind: 'text', field };
  const cell = /^virsh_-r_nodememstats_--cell_(\d{1,4})$/.exec(name)?.[1];
  if (cell !== undefined) return { kind: 'node', file: 'memstats', nodeId: cell };
  const guest = /^virsh_-r_dumpxml_(.+)$/.exec(name)?.[1];
  return guest === undefined ? null : { kind: 'xml', guest };
}

function guestSlot(path: string): Slot | null {
  const [, pid = '', file = ''] = PROCESS.exec(path) ?? [];
  const field = Object.hasOwn(PROCESS_FILES, file) ? PROCESS_FILES[file] : undefined;
  if (field !== undefined) return { kind: 'process', pid: Number(pid), field };
  const [, guest = '', kind = ''] = GUEST_FILE.exec(path) ?? [];
  if (guest === '') return null;
  return kind === 'pid' ? { kind: 'pid', guest } : { kind: 'xml', guest };
}

/**
 * Sorts the files of one host. Of files that tell the same the first one is taken.
 * Guests are those with a QEMU process among the files, and those whose XML has the id of a running domain.
 */
export function collectionOf(files: readonly CollectedFile[]): Collection {
  const sorter = new Sorter();
  for (const { path, text } of files) {
    const slot = slotOf(path);
    if (slot !== null) sorter.put(slot, text);
  }
  return sorter.finish();
}

interface Process {
  name?: string;
  xml?: string;
  numaMaps?: string;
  smapsRollup?: string;
}

class Sorter {
  private readonly texts: HostTexts = {};
  private capabilities: string | undefined;
  private hostName: string | undefined;
  private readonly settings: string[] = [];
  private readonly processes = new Map<number, Process>();
  private readonly pids = new Map<number, string>();
  private readonly documents = new Map<string, string>();
  private unread: string[] = [];

  put(slot: Slot, text: string): void {
    switch (slot.kind) {
      case 'text':
        return this.putText(slot.field, text);
      case 'node': {
        const found = nodeTextOf(`node${slot.nodeId}.${slot.file}`);
        if (found !== null) (this.texts[found.field] ??= {})[found.nodeId] ??= text;
        return;
      }
      case 'pool': {
        const pools = (this.texts.nodeHugepages ??= {});
        pools[slot.nodeId] = `${pools[slot.nodeId] ?? ''}${slot.line}:${text.trim()}\n`;
        return;
      }
      case 'lines':
        this.texts[slot.field] = `${this.texts[slot.field] ?? ''}${slot.name}:${text.trim()}\n`;
        return;
      case 'setting':
        this.settings.push(`vm.${slot.name} = ${text.trim()}`);
        return;
      case 'process': {
        const process = this.processes.get(slot.pid) ?? {};
        process[slot.field] ??= text;
        this.processes.set(slot.pid, process);
        return;
      }
      case 'pid':
        if (/^\d{1,10}$/.test(text.trim())) this.pids.set(Number(text), slot.guest);
        return;
      case 'xml':
        if (!this.documents.has(slot.guest)) this.documents.set(slot.guest, text);
        return;
      case 'unread':
        this.unread = text.split('\n').filter((line) => line !== '');
    }
  }

  private putText(field: WholeText | 'capabilities' | 'hostName', text: string): void {
    if (field === 'capabilities') this.capabilities ??= text;
    else if (field === 'hostName') this.hostName ??= text.trim();
    else this.texts[field] ??= text;
  }

  finish(): Collection {
    const { texts, capabilities, hostName, unread } = this;
    if (this.settings.length > 0) texts.sysctl ??= `${this.settings.join('\n')}\n`;
    return {
      texts,
      ...(capabilities === undefined ? {} : { capabilities }),
      ...(hostName === undefined ? {} : { hostName }),
      guests: this.guests(),
      unread,
    };
  }

  private guests(): CollectedGuest[] {
    const guests: CollectedGuest[] = [];
    for (const [pid, { name, xml, ...maps }] of this.processes) {
      const called = name?.trim() ?? this.pids.get(pid);
      if (called === undefined) continue;
      const document = xml ?? this.documents.get(called);
      guests.push({
        name: called,
        pid,
        ...(document === undefined ? {} : { xml: document }),
        ...maps,
      });
    }
    for (const [name, xml] of this.documents) {
      if (guests.some((guest) => guest.name === name) || !isRunning(xml)) continue;
      guests.push({ name, pid: null, xml });
    }
    return guests.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

/** Only a running domain's document has an id, or is the status that libvirt keeps of one. */
function isRunning(xml: string): boolean {
  return /<domstatus[\s>]|<domain\s[^>]*\bid=['"]\d/.test(xml);
}
