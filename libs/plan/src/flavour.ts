/** Guests by their size instead of by a document: a flavour becomes the domain XML that such a guest would have. */
import { create } from 'xmlbuilder';

export interface Flavour {
  memoryMib: number;
  /** Default 1. */
  vcpus?: number;
  /** Host CPUs as libvirt writes them, such as `0-3`. */
  cpuset?: string;
  numatune?: { mode: 'strict' | 'preferred' | 'interleave' | 'restrictive'; nodeset: string };
  /** Guest RAM in huge pages of this size. */
  hugepagesKib?: 2048 | 1048576;
  /** Guest RAM is locked. */
  locked?: boolean;
  /** Cache mode of its disk; without one it has no disk. */
  diskCache?: 'none' | 'writethrough' | 'writeback' | 'directsync' | 'unsafe';
}

/** Domain XML of a guest of a flavour. */
export function domainXmlOf(name: string, flavour: Flavour): string {
  const { memoryMib, vcpus = 1, cpuset, numatune, hugepagesKib, locked, diskCache } = flavour;
  const domain = create('domain', { headless: true }).att('type', 'kvm');
  domain.ele('name', name);
  domain.ele('memory', { unit: 'MiB' }, memoryMib);
  if (hugepagesKib !== undefined || locked === true) {
    const backing = domain.ele('memoryBacking');
    if (hugepagesKib !== undefined) {
      backing.ele('hugepages').ele('page', { size: hugepagesKib, unit: 'KiB' });
    }
    if (locked === true) backing.ele('locked');
  }
  domain.ele('vcpu', { placement: 'static', ...(cpuset === undefined ? {} : { cpuset }) }, vcpus);
  if (numatune !== undefined) domain.ele('numatune').ele('memory', { ...numatune });
  domain.ele('os').ele('type', { arch: 'x86_64', machine: 'q35' }, 'hvm');
  if (diskCache !== undefined) {
    const disk = domain.ele('devices').ele('disk', { type: 'file', device: 'disk' });
    disk.ele('driver', { name: 'qemu', type: 'raw', cache: diskCache });
    disk.ele('source', { file: `/var/lib/libvirt/images/${name}.img` });
    disk.ele('target', { dev: 'vda', bus: 'virtio' });
  }
  return domain.end({ pretty: true });
}
