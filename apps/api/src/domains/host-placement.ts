import type { HostPlacement } from '@zonewise/libvirt-xml';
import type { HostModel } from '@zonewise/simulator';

/** What numatune semantics ask of a host: which nodes have memory, and each node's CPUs. */
export function hostPlacement(model: HostModel): HostPlacement {
  return {
    memoryNodes: model.nodes
      .filter((node) => node.zones.some((zone) => zone.managedPages > 0))
      .map((node) => node.nodeId),
    nodes: model.nodes.map(({ nodeId, cpus }) => ({ nodeId, cpus })),
  };
}
