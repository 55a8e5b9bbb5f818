/** `virsh capabilities`: the host's nodes. */
import { readDocument } from './document';
import type { XmlElement } from './document';
import { Reader, all, attributeOf, first } from './reader';
import type { CapabilitiesView, ParseOutcome } from './types';

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
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const arch = first(root, 'host', 'cpu', 'arch')?.text ?? null;
  return { ok: true, value: { arch, topology: { nodes } } };
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
  return {
    id,
    memoryKib: memory === null ? 0 : (reader.sizeText(memory) ?? 0),
    cpus: readCpus(reader, element),
    pages: readPages(reader, element),
    distances: readDistances(reader, element),
  };
}

function readCpus(reader: Reader, cell: XmlElement): number[] {
  const cpus = new Set<number>();
  for (const element of all(cell, 'cpus', 'cpu')) {
    const given = reader.required(element, 'id');
    const id = given === null ? null : reader.uint(element, 'id', 0, MAX_ID);
    if (id !== null) cpus.add(id);
  }
  return [...cpus].sort((a, b) => a - b);
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
