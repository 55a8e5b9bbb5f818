/** A domain document to its memory-placement view. */
import { readCellLinks, readCells } from './cells';
import { checkControllers, readDisks, readMemballoon, readVfio, warnCommandline } from './devices';
import { readDocument } from './document';
import type { XmlDocument } from './document';
import type { XmlElement } from './tree';
import { LIMITS } from './limits';
import { checkMemtune, isQemuType, readMemoryBacking, readSizes } from './memory';
import { readMemoryDevices } from './memory-devices';
import { checkMemoryHotplug } from './memory-hotplug';
import { checkSharedMemory } from './shared-memory';
import { readNumatune } from './numatune';
import { Reader, all, attributeOf, first } from './reader';
import type { DomainView, ParseOutcome, ReadOptions, XmlProblem } from './types';
import { checkVcpuCounts, readCputune, readIothreads, readVcpu, readVcpus } from './vcpu';
import { SINCE, versionNumber } from './version';

/** virDomainVirtType. */
const DOMAIN_TYPES = [
  ...['qemu', 'kqemu', 'kvm', 'xen', 'lxc', 'uml', 'openvz', 'test', 'vmware', 'hyperv', 'vbox'],
  ...['phyp', 'parallels', 'bhyve', 'vz', 'hvf'],
];

const typesOf = (version: number): string[] =>
  version < SINCE.hvf ? DOMAIN_TYPES.filter((type) => type !== 'hvf') : DOMAIN_TYPES;

/** A document that was accepted, with its tree for edits. */
export interface ReadDomain {
  document: XmlDocument;
  domain: XmlElement;
  view: DomainView;
}

/**
 * Reads a libvirt domain, or the domain in a `<domstatus>`.
 *
 * Refused is what libvirt itself refuses about memory and vCPU placement when the domain is defined;
 * host nodes are checked only against a host (runtimePlacement, checkStart), as libvirt does at start.
 *
 * @param xml document text, at most 16 MiB
 * @returns the view (memory in KiB, sets ascending), or every problem found with line and column
 */
export function parseDomain(xml: string, options: ReadOptions = {}): ParseOutcome<DomainView> {
  const outcome = readDomain(xml, options);
  return outcome.ok ? { ok: true, value: outcome.value.view } : outcome;
}

/**
 * Reads an upload of one or several domains: documents that follow each other, as several
 * `virsh dumpxml` print them, or the children of one `<domains>`. Lines count through the upload.
 * @returns at least one view in the order of the upload, or the problems of all domains
 */
export function parseDomains(xml: string, options: ReadOptions = {}): ParseOutcome<DomainView[]> {
  const version = versionNumber(options.libvirtVersion);
  if (version === null) return { ok: false, problems: [badVersion(options)] };
  const read = readDocument(xml, true);
  if (!read.ok) return read;
  const views: DomainView[] = [];
  const problems: XmlProblem[] = [];
  const roots = read.value.roots.flatMap((root) =>
    root.name === 'domains' && root.children.length > 0 ? root.children : [root],
  );
  const several = roots.length > 1;
  for (const [index, root] of roots.entries()) {
    const reader = new Reader(read.value, version);
    const domain = findDomain(reader, root);
    if (domain !== null) views.push(readView(reader, domain));
    // Documents behind each other have no parent that could count them.
    const counted = several && root.parent === null;
    for (const problem of reader.problems) {
      const path = problem.path.replace(/^\/[^/]+/, (name) => `${name}[${index + 1}]`);
      problems.push(counted ? { ...problem, path } : problem);
    }
    if (problems.length > LIMITS.problems) break;
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: views };
}

export function readDomain(xml: string, options: ReadOptions = {}): ParseOutcome<ReadDomain> {
  const version = versionNumber(options.libvirtVersion);
  if (version === null) return { ok: false, problems: [badVersion(options)] };
  const read = readDocument(xml);
  if (!read.ok) return read;
  const document = read.value;
  const reader = new Reader(document, version);
  const domain = findDomain(reader, document.root);
  if (domain === null) return { ok: false, problems: reader.problems };
  const view = readView(reader, domain);
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  return { ok: true, value: { document, domain, view } };
}

function badVersion({ libvirtVersion = '' }: ReadOptions): XmlProblem {
  return {
    code: 'invalid-libvirt-version',
    path: '/',
    message: 'this is no version of libvirt',
    line: 1,
    column: 1,
    expected: 'a version such as 9.4.0',
    found: libvirtVersion.slice(0, 32),
  };
}

function findDomain(reader: Reader, root: XmlElement): XmlElement | null {
  if (root.name === 'domain') return root;
  if (root.name !== 'domstatus') {
    const message = 'this is not a libvirt domain document';
    const detail = { expected: '<domain> or <domstatus>', found: `<${root.name}>` };
    reader.problem('wrong-root', root, null, message, detail);
    return null;
  }
  const domain = first(root, 'domain');
  if (domain === null) {
    const message = '<domstatus> without a <domain> inside';
    reader.problem('missing-domain', root, null, message, { expected: '<domain>' });
  }
  return domain;
}

function readView(reader: Reader, domain: XmlElement): DomainView {
  const type = readType(reader, domain);
  const given = readVcpu(reader, domain);
  const vcpus = readVcpus(reader, domain, given);
  const iothreads = readIothreads(reader, domain);
  const cells = readCells(reader, domain, given.count);
  const interconnects = readCellLinks(reader, domain, cells);
  const cputune = readCputune(reader, domain, given.count, iothreads);
  const numatune = readNumatune(reader, domain, given.placement, cells.length);
  const memoryDevices = readMemoryDevices(reader, domain, cells.length);
  const cellsKib = cells.reduce((sum, cell) => sum + cell.memoryKib, 0);
  const devicesKib = memoryDevices.reduce((sum, device) => sum + device.sizeKib, 0);
  const unpinned =
    given.cpuset === null &&
    cputune.vcpupin.length + cputune.iothreadpin.length === 0 &&
    cputune.emulatorpin === null;
  // Automatic memory without any pin makes the vCPUs automatic too, even where the document says static.
  const automatic = numatune.memory?.placement === 'auto' && unpinned;
  const vcpu = automatic ? { ...given, placement: 'auto' as const } : given;
  if (isQemuType(type)) {
    checkVcpuCounts(reader, domain, given);
    fillFirstCell(reader, domain, cells, given.count);
  }
  const sizes = readSizes(reader, domain, { cellsKib, devicesKib });
  checkMemtune(reader, domain);
  checkMemoryHotplug(reader, domain, sizes, { cells, memoryDevices });
  const memoryBacking = readMemoryBacking(reader, domain, cells.length);
  if (isQemuType(type)) checkSharedMemory(reader, domain, memoryBacking, cells);
  checkControllers(reader, domain, cells.length);
  warnCommandline(reader, domain);
  const numadNodeset = readNumad(reader, domain);
  return {
    name: readName(reader, domain),
    type,
    ...readUuid(reader, domain),
    ...sizes,
    vcpu,
    vcpus,
    iothreads: [...iothreads].sort((a, b) => a - b),
    cputune,
    numatune,
    cells,
    interconnects,
    memoryBacking,
    memoryDevices,
    memballoon: readMemballoon(reader, domain),
    disks: readDisks(reader, domain),
    hasVfioHostdev: readVfio(domain),
    ...(numadNodeset === null ? {} : { numadNodeset }),
    warnings: reader.warnings,
    positions: reader.positions,
  };
}

function readType(reader: Reader, domain: XmlElement): string {
  if (reader.required(domain, 'type') === null) return '';
  const type = reader.word(domain, 'type', typesOf(reader.version), 'unknown-domain-type') ?? '';
  if (type !== '' && type !== 'test' && !isQemuType(type)) {
    const message = `a ${type} domain: the placement rules read here are those of QEMU guests`;
    reader.warn('not-a-qemu-domain-type', domain, 'type', message);
  }
  return type;
}

function readName(reader: Reader, domain: XmlElement): string {
  const element = first(domain, 'name');
  const name = element?.text ?? '';
  if (name === '') {
    const message = 'a domain needs a name';
    reader.problem('missing-element', element ?? domain, null, message, { expected: '<name>' });
  } else if (element !== null && /[/\n]/.test(name)) {
    const message = "a domain name cannot contain '/' or a line break";
    reader.problem('invalid-name', element, null, message, { found: name });
  }
  return name;
}

function readUuid(reader: Reader, domain: XmlElement): { uuid?: string } {
  const element = first(domain, 'uuid');
  if (element === null || element.text === '') return {};
  const digits = element.text.replace(/[-\s]/g, '').toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(digits)) {
    reader.problem('invalid-uuid', element, null, 'the uuid is malformed', {
      expected: '32 hexadecimal digits',
      found: element.text,
    });
    return {};
  }
  return { uuid: digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') };
}

/** The QEMU driver gives vCPUs that no cell names to cell 0 (since libvirt 6.4.0). */
function fillFirstCell(
  reader: Reader,
  domain: XmlElement,
  cells: DomainView['cells'],
  vcpuCount: number,
): void {
  const [cell] = cells;
  const named = new Set(cells.flatMap(({ cpus }) => cpus));
  if (cell === undefined || named.size >= vcpuCount) return;
  const missing: number[] = [];
  for (let id = 0; id < vcpuCount; id += 1) if (!named.has(id)) missing.push(id);
  cell.cpus = [...cell.cpus, ...missing].sort((a, b) => a - b);
  const message = `${missing.length} vCPUs are in no cell; the QEMU driver gives them to cell ${cell.id}`;
  const element = all(domain, 'cpu', 'numa')[0] ?? domain;
  reader.warn('cell-cpus-filled', element, null, message);
}

/** A running domain's status document keeps what numad advised when it started. */
function readNumad(reader: Reader, domain: XmlElement): number[] | null {
  const status = domain.parent;
  const numad = status === null ? null : first(status, 'numad');
  if (numad === null || attributeOf(numad, 'nodeset') === null) return null;
  const nodeset = reader.set(numad, 'nodeset');
  if (nodeset !== null) reader.remember(numad, 'nodeset');
  return nodeset;
}
