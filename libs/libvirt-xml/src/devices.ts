/** Devices that matter for memory: memory devices, disks (host page cache), assigned devices (pinning). */
import type { XmlElement } from './document';
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { DomainView } from './types';

const MEMORY_MODELS = ['dimm', 'nvdimm', 'virtio-pmem', 'virtio-mem', 'sgx-epc'] as const;
const CACHE_MODES = [
  'default',
  'none',
  'writethrough',
  'writeback',
  'directsync',
  'unsafe',
] as const;
/** Where the host's own file or block layer stands between the guest and its data. */
const HOST_CACHED_SOURCES = ['file', 'block', 'dir', 'volume'];

type MemoryDevice = DomainView['memoryDevices'][number];

/** Reads `<memory model=...>` devices; sizes in KiB. */
export function readMemoryDevices(
  reader: Reader,
  domain: XmlElement,
  cellCount: number,
): MemoryDevice[] {
  return all(domain, 'devices', 'memory').map((element) => {
    const given = reader.required(element, 'model');
    if (given !== null) reader.word(element, 'model', MEMORY_MODELS, 'unknown-memory-model');
    const size = requiredChild(reader, element, 'target', 'size');
    const device: MemoryDevice = {
      model: given ?? '',
      sizeKib: size === null ? 0 : (reader.sizeText(size) ?? 0),
      node: readTargetNode(reader, element, cellCount),
      nodemask: readNodemask(reader, element),
    };
    const requested = first(element, 'target', 'requested');
    if (requested !== null) device.requestedKib = reader.sizeText(requested) ?? 0;
    return device;
  });
}

function requiredChild(reader: Reader, element: XmlElement, ...names: string[]): XmlElement | null {
  const found = first(element, ...names);
  if (found === null) {
    const message = `<${element.name}> needs <${names.join('><')}>`;
    reader.problem('missing-element', element, null, message, { expected: names.join('/') });
  }
  return found;
}

function readTargetNode(reader: Reader, device: XmlElement, cellCount: number): number | null {
  const element = first(device, 'target', 'node');
  const node = element === null ? null : reader.uintText(element);
  if (element !== null && node !== null && cellCount > 0 && node >= cellCount) {
    const message = `memory device in guest cell ${node}, which does not exist`;
    const detail = { expected: `0 to ${cellCount - 1}`, found: `${node}` };
    reader.problem('unknown-cell', element, null, message, detail);
  }
  return node;
}

function readNodemask(reader: Reader, device: XmlElement): number[] | null {
  const element = first(device, 'source', 'nodemask');
  const nodemask = element === null ? null : reader.setText(element);
  if (element !== null && nodemask !== null) reader.remember(element, null);
  return nodemask;
}

/** Reads `<disk>`; an empty drive uses nothing. */
export function readDisks(reader: Reader, domain: XmlElement): DomainView['disks'] {
  return all(domain, 'devices', 'disk').map((element) => {
    const driver = first(element, 'driver');
    const cache =
      driver === null ? null : reader.word(driver, 'cache', CACHE_MODES, 'unknown-cache-mode');
    const source = sourceOf(element);
    const target = first(element, 'target');
    const bypassed = cache === 'none' || cache === 'directsync';
    return {
      target: target === null ? '' : (attributeOf(target, 'dev') ?? ''),
      source,
      cache,
      usesHostPageCache: !bypassed && source !== null && hostCaches(element),
    };
  });
}

function sourceOf(disk: XmlElement): string | null {
  const element = first(disk, 'source');
  if (element === null) return null;
  const names = ['file', 'dev', 'dir', 'volume', 'name', 'path'];
  return names.map((name) => attributeOf(element, name)).find((value) => value !== null) ?? null;
}

function hostCaches(disk: XmlElement): boolean {
  // device='lun' passes SCSI commands through; network and vhost-user back ends have caches of their own.
  if (attributeOf(disk, 'device') === 'lun') return false;
  return HOST_CACHED_SOURCES.includes(attributeOf(disk, 'type') ?? 'file');
}

/**
 * Whether a device makes QEMU pin all guest memory: PCI passthrough (also as a network interface), a
 * userspace NVMe disk and vDPA. A mediated device pins only what it uses.
 */
export function readVfio(domain: XmlElement): boolean {
  const devices = first(domain, 'devices');
  if (devices === null) return false;
  const typed = (name: string, types: string[]): boolean =>
    all(devices, name).some((at) => types.includes(attributeOf(at, 'type') ?? ''));
  return (
    typed('hostdev', ['pci']) || typed('interface', ['hostdev', 'vdpa']) || typed('disk', ['nvme'])
  );
}

/** A PCI root is no place for a NUMA node, and other controllers name a guest cell that exists. */
export function checkControllers(reader: Reader, domain: XmlElement, cellCount: number): void {
  for (const element of all(domain, 'devices', 'controller')) {
    const node = first(element, 'target', 'node');
    if (node === null) continue;
    const model = attributeOf(element, 'model') ?? '';
    if (/^pcie?-root$/.test(model) && attributeOf(element, 'index') === '0') {
      const message = "the PCI controller with index 0 can't be associated with a NUMA node";
      reader.problem('pci-root-with-node', node, null, message);
      continue;
    }
    const id = reader.uintText(node);
    if (id === null || id < cellCount) continue;
    const message = `controller in guest cell ${id}, which does not exist`;
    reader.problem('unknown-cell', node, null, message, { found: `${id}` });
  }
}
