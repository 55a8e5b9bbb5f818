/** Devices that matter for memory: disks (host page cache), assigned devices (pinning), the balloon. */
import type { XmlElement } from './tree';
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { DomainView } from './types';

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

/** Reads `<memballoon>`; a QEMU guest without one gets a virtio balloon when it is defined. */
export function readMemballoon(reader: Reader, domain: XmlElement): DomainView['memballoon'] {
  const element = first(domain, 'devices', 'memballoon');
  if (element === null) return null;
  const on = (name: string): boolean => reader.word(element, name, ['on', 'off']) === 'on';
  return {
    model: reader.required(element, 'model') ?? '',
    autodeflate: on('autodeflate'),
    freePageReporting: on('freePageReporting'),
  };
}

/** Arguments of QEMU that make or change guest memory behind libvirt's back. */
const MEMORY_ARGUMENTS = ['-m', '-numa', '-mem-path', '-mem-prealloc'];
const MEMORY_OBJECT =
  /memory-backend-|"qom-type"\s*:\s*"memory-backend-|\bpc-dimm\b|\bnvdimm\b|virtio-mem|virtio-pmem/;

/** Warns of memory in `<qemu:commandline>`: what it says is not part of the view. */
export function warnCommandline(reader: Reader, domain: XmlElement): void {
  for (const list of domain.children) {
    if (list.name.replace(/^.*:/, '') !== 'commandline') continue;
    for (const element of list.children) {
      const value = attributeOf(element, 'value') ?? '';
      const plain = value.replace(/^--/, '-');
      const memory = MEMORY_OBJECT.test(value);
      if (!memory && !MEMORY_ARGUMENTS.includes(plain)) continue;
      const shown = value.length > 80 ? `${value.slice(0, 80)}...` : value;
      const message = `QEMU's argument ${JSON.stringify(shown)} is about guest memory, and libvirt passes it on unread: it is not part of what is read here`;
      reader.warn('qemu-commandline-memory', element, 'value', message);
    }
  }
}
