import type { CapabilitiesView, StartHost } from '@zonewise/libvirt-xml';
import type { HostModel, HostNode } from '@zonewise/simulator';

const PAGE_KIB = 4;

/** What a host description does not say, and a start depends on. */
export interface StartContext {
  /** Such as `9.0.0`; rules of older ones apply only where it is given. */
  libvirtVersion?: string;
  /** `uname -r`; goes before the one of the host. */
  kernelRelease?: string;
}

/**
 * The host as the start of another guest finds it. What a node can give is its free memory, its page
 * cache and its reclaimable slab; nothing is taken to be swapped out.
 */
export function startHost(model: HostModel, context: StartContext = {}): StartHost {
  const kernelRelease = context.kernelRelease ?? model.kernelRelease;
  return {
    nodes: model.nodes.map((node) => ({
      id: node.nodeId,
      memoryKib: PAGE_KIB * node.zones.reduce((sum, zone) => sum + zone.managedPages, 0),
      freeKib: PAGE_KIB * obtainablePages(node),
      cpus: node.cpus,
      pages: node.hugepages.map(({ sizeKib, totalPages, freePages }) => {
        return { sizeKib, count: totalPages, free: freePages };
      }),
    })),
    ...(kernelRelease === undefined ? {} : { kernelRelease }),
    ...versionOf(context),
  };
}

/** A host of which only `virsh capabilities` is known: all of its memory counts as free. */
export function startHostOf(view: CapabilitiesView, context: StartContext = {}): StartHost {
  const { kernelRelease } = context;
  return {
    nodes: view.topology.nodes,
    ...(kernelRelease === undefined ? {} : { kernelRelease }),
    ...versionOf(context),
  };
}

function versionOf({ libvirtVersion }: StartContext): Pick<StartHost, 'libvirtVersion'> {
  return libvirtVersion === undefined ? {} : { libvirtVersion };
}

function obtainablePages({ zones, lru, slabReclaimablePages }: HostNode): number {
  const free = zones.reduce((sum, { freePages, pagesets }) => {
    return sum + freePages + pagesets.reduce((held, { countPages }) => held + countPages, 0);
  }, 0);
  return free + lru.inactiveFilePages + lru.activeFilePages + slabReclaimablePages;
}
