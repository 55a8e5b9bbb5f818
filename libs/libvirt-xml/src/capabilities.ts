/** `virsh capabilities`: the host's nodes. */
import { readDocument } from './document';
import type { XmlElement } from './tree';
import { readCaches, readInterconnects } from './hmat';
import { Reader, all, attributeOf, first } from './reader';
import type { CapabilitiesView, CpuPlace, ParseOutcome } from './types';

type Node = CapabilitiesView['topology']['nodes'][number];
/** Node ids and CPU ids of any host libvirt can describe. */
const MAX_ID = 16383;

/**
 * Reads the NUMA topology of a capabilities document. A cell without `<memory>` has 0 KiB; ids may have
 * gaps; a document without a topology has no nodes (virCapabilitiesHostNUMAFormat).
 * @returns nodes ascending by id, memory in KiB, or every problem found
 */
export function parseCapabilities(xml: string): ParseOutcome<CapabilitiesView> {
  const read = readDocument(xml);
  if (!read.ok) return read;
  const { root } = read.value;
  const reader = new Reader(read.value);
  if (root.name !== 'capabilities') {
    const message = 'this is not a libvirt capabilities document';
    const detail = { expected: '<capabilities>', found: `<${root.name}>` };
    reader.problem('wrong-root', root, null, message, detail);
    return { ok: false, problems: reader.problems };
  }
  const nodes = readNodes(reader, root);
  const topology = first(root, 'host', 'topology');
  const cachesOf = (id: number): Node['caches'] =>
    nodes.find((node) => node.id === id)?.caches ?? [];
  // The host's own firmware wrote the links: their ends are taken as they are.
  const interconnects = readInterconnects(reader, topology, () => undefined, cachesOf);
  const cpuCaches = readCpuCaches(reader, root);
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const arch = first(root, 'host', 'cpu', 'arch')?.text ?? null;
  return { ok: true, value: { arch, topology: { nodes, interconnects }, cpuCaches } };
}

function readNodes(reader: Reader, root: XmlElement): Node[] {
  const nodes = new Map<number, Node>();
  for (const element of all(root, 'host', 'topology', 'cells', 'cell')) {
    const given = reader.required(element, 'id');
    const id = given === null ? null : reader.uint(element, 'id', 0, MAX_ID);
    if (id === null) continue;
    if (nodes.has(id)) {
      reader.problem('duplicate-node', element, 'id', `node ${id} is described twice`);
    }
    nodes.set(id, readNode(reader, element, id));
  }
  return [...nodes.values()].sort((a, b) => a.id - b.id);
}

function readNode(reader: Reader, element: XmlElement, id: number): Node {
  const memory = first(element, 'memory');
  const cpuPlaces = readCpus(reader, element);
  return {
    id,
    memoryKib: memory === null ? 0 : (reader.sizeText(memory) ?? 0),
    cpus: cpuPlaces.map((cpu) => cpu.id),
    pages: readPages(reader, element),
    distances: readDistances(reader, element),
    cpuPlaces,
    caches: readCaches(reader, element),
  };
}

function readCpus(reader: Reader, cell: XmlElement): CpuPlace[] {
  const cpus = new Map<number, CpuPlace>();
  for (const element of all(cell, 'cpus', 'cpu')) {
    const given = reader.required(element, 'id');
    const id = given === null ? null : reader.uint(element, 'id', 0, MAX_ID);
    if (id === null) continue;
    cpus.set(id, {
      id,
      socket: reader.uint(element, 'socket_id'),
      die: reader.uint(element, 'die_id'),
      cluster: reader.uint(element, 'cluster_id'),
      core: reader.uint(element, 'core_id'),
      siblings: reader.set(element, 'siblings') ?? [id],
    });
  }
  return [...cpus.values()].sort((a, b) => a.id - b.id);
}

function readCpuCaches(reader: Reader, root: XmlElement): CapabilitiesView['cpuCaches'] {
  return all(root, 'host', 'cache', 'bank').map((bank) => ({
    level: reader.uint(bank, 'level') ?? 0,
    type: attributeOf(bank, 'type') ?? 'both',
    sizeKib: reader.size(bank, 'size') ?? 0,
    cpus: reader.set(bank, 'cpus') ?? [],
  }));
}

function readPages(reader: Reader, cell: XmlElement): Node['pages'] {
  const pages: Node['pages'] = [];
  for (const element of all(cell, 'pages')) {
    const given = reader.required(element, 'size');
    const sizeKib = given === null ? null : reader.size(element, 'size');
    const count = reader.uintText(element, 0, Number.MAX_SAFE_INTEGER);
    if (sizeKib !== null && count !== null) pages.push({ sizeKib, count });
  }
  return pages;
}

function readDistances(reader: Reader, cell: XmlElement): Node['distances'] {
  const distances = new Map<number, number>();
  for (const element of all(cell, 'distances', 'sibling')) {
    const complete = ['id', 'value'].every((name) => reader.required(element, name) !== null);
    const id = reader.uint(element, 'id', 0, MAX_ID);
    const value = reader.uint(element, 'value', 0, 65535);
    if (!complete || id === null || value === null) continue;
    if (distances.has(id)) {
      const message = `the distance to node ${id} is given twice`;
      reader.problem('duplicate-distance', element, 'id', message, {
        found: attributeOf(element, 'value') ?? '',
      });
    }
    distances.set(id, value);
  }
  return [...distances].map(([id, value]) => ({ id, value })).sort((a, b) => a.id - b.id);
}
