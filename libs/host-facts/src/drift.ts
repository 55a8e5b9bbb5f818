/** What became different between two moments of a host. */
import {
  extfragIndex,
  unusableIndex,
  type HostModel,
  type HostNode,
  type HostZone,
} from '@zonewise/simulator';
import type { NodeResidency } from './types';

/** A host and its guests at one moment. */
export interface HostMoment {
  model: HostModel;
  guests: GuestMoment[];
}

export interface GuestMoment {
  name: string;
  /** null: it was not running. */
  residency: Pick<NodeResidency, 'nodeId' | 'pages'>[] | null;
}

export interface Change<T = number> {
  from: T;
  to: T;
}

/** Pages of a node that both moments have. */
export interface NodeDrift {
  nodeId: number;
  managedPages: Change;
  freePages: Change;
  /** Page cache. */
  filePages: Change;
  anonPages: Change;
  slabPages: Change;
  /** Pages of hugetlb pools by size. */
  hugepages: Change<{ sizeKib: number; totalPages: number; freePages: number }[]>;
}

/** A zone that both moments have. Marks are as /proc/zoneinfo prints them, with the boost. */
export interface ZoneDrift {
  nodeId: number;
  zone: HostZone['name'];
  managedPages: Change;
  freePages: Change;
  minPages: Change;
  lowPages: Change;
  highPages: Change;
  boostPages: Change;
  protectionPages: Change<number[]>;
  /** Largest order of which a block is free; -1: none. */
  largestFreeOrder: Change;
  /** For blocks of 2 MiB, as debugfs shows them. */
  extfragIndex: Change;
  unusableIndex: Change;
}

export interface SettingDrift {
  /** `sysctl.swappiness`, `thp.enabled`, `kernelRelease`, `swap.freePages`, `distances`. */
  name: string;
  from: string;
  to: string;
}

export interface GuestDrift {
  name: string;
  /** null: it is not among the guests of that moment, or was not running. */
  pagesByNode: Change<{ nodeId: number; pages: number }[] | null>;
}

/** Whatever is the same on both sides is left out. */
export interface HostDrift {
  addedNodes: number[];
  removedNodes: number[];
  nodes: NodeDrift[];
  zones: ZoneDrift[];
  settings: SettingDrift[];
  guests: GuestDrift[];
}

/** Order of a block of 2 MiB. */
const HUGE_ORDER = 9;

/** Compares two moments of a host: `from` is the earlier one. */
export function compareHosts(from: HostMoment, to: HostMoment): HostDrift {
  const before = new Map(from.model.nodes.map((node) => [node.nodeId, node]));
  const after = new Map(to.model.nodes.map((node) => [node.nodeId, node]));
  const pairs = [...before].flatMap(([nodeId, node]) => {
    const later = after.get(nodeId);
    return later === undefined ? [] : [[node, later] as const];
  });
  return {
    addedNodes: [...after.keys()].filter((nodeId) => !before.has(nodeId)),
    removedNodes: [...before.keys()].filter((nodeId) => !after.has(nodeId)),
    nodes: pairs.map(([a, b]) => nodeDrift(a, b)).filter(({ nodeId: _, ...rest }) => differs(rest)),
    zones: pairs
      .flatMap(([a, b]) => zoneDrifts(a, b))
      .filter(({ nodeId: _, zone: __, ...rest }) => differs(rest)),
    settings: settingDrifts(from.model, to.model),
    guests: guestDrifts(from.guests, to.guests),
  };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function differs(changes: Record<string, Change<unknown>>): boolean {
  return Object.values(changes).some(({ from, to }) => !same(from, to));
}

function nodeDrift(from: HostNode, to: HostNode): NodeDrift {
  const change = <T>(value: (node: HostNode) => T): Change<T> => ({
    from: value(from),
    to: value(to),
  });
  const sum = (field: 'managedPages' | 'freePages') =>
    change(({ zones }) => zones.reduce((total, zone) => total + zone[field], 0));
  return {
    nodeId: from.nodeId,
    managedPages: sum('managedPages'),
    freePages: sum('freePages'),
    filePages: change((node) => node.filePages),
    anonPages: change((node) => node.anonPages),
    slabPages: change((node) => node.slabReclaimablePages + node.slabUnreclaimablePages),
    hugepages: change(({ hugepages }) =>
      hugepages.map(({ sizeKib, totalPages, freePages }) => ({ sizeKib, totalPages, freePages })),
    ),
  };
}

function zoneDrifts(from: HostNode, to: HostNode): ZoneDrift[] {
  return from.zones.flatMap((a) => {
    const b = to.zones.find(({ name }) => name === a.name);
    if (b === undefined) return [];
    const change = <T>(value: (zone: HostZone) => T): Change<T> => ({
      from: value(a),
      to: value(b),
    });
    return [
      {
        nodeId: from.nodeId,
        zone: a.name,
        managedPages: change((zone) => zone.managedPages),
        freePages: change((zone) => zone.freePages),
        minPages: change((zone) => zone.minPages),
        lowPages: change((zone) => zone.lowPages),
        highPages: change((zone) => zone.highPages),
        boostPages: change((zone) => zone.boostPages),
        protectionPages: change((zone) => zone.protectionPages),
        largestFreeOrder: change((zone) => zone.freeBlocks.findLastIndex((count) => count > 0)),
        extfragIndex: change((zone) => extfragIndex(zone.freeBlocks, HUGE_ORDER)),
        unusableIndex: change((zone) => unusableIndex(zone.freeBlocks, HUGE_ORDER)),
      },
    ];
  });
}

function settingDrifts(from: HostModel, to: HostModel): SettingDrift[] {
  const before = settingsOf(from);
  const after = settingsOf(to);
  const names = [...new Set([...before.keys(), ...after.keys()])];
  return names.flatMap((name) => {
    const [a, b] = [before.get(name) ?? 'not known', after.get(name) ?? 'not known'];
    return a === b ? [] : [{ name, from: a, to: b }];
  });
}

function settingsOf({ kernelRelease, sysctl, thp, swap, distances }: HostModel) {
  const groups = { sysctl, thp, swap };
  const settings = new Map<string, string>();
  if (kernelRelease !== undefined) settings.set('kernelRelease', kernelRelease);
  for (const [group, values] of Object.entries(groups))
    for (const [name, value] of Object.entries(values) as [string, unknown][])
      settings.set(`${group}.${name}`, Array.isArray(value) ? value.join(' ') : String(value));
  settings.set('distances', distances.map((row) => row.join(' ')).join(' / '));
  return settings;
}

function guestDrifts(from: GuestMoment[], to: GuestMoment[]): GuestDrift[] {
  const names = [...new Set([...from, ...to].map(({ name }) => name))];
  return names.flatMap((name) => {
    const pagesByNode = { from: residencyOf(from, name), to: residencyOf(to, name) };
    return same(pagesByNode.from, pagesByNode.to) ? [] : [{ name, pagesByNode }];
  });
}

function residencyOf(guests: GuestMoment[], name: string) {
  const residency = guests.find((guest) => guest.name === name)?.residency ?? null;
  return residency === null
    ? null
    : residency.map(({ nodeId, pages }) => ({ nodeId, pages })).sort((a, b) => a.nodeId - b.nodeId);
}
