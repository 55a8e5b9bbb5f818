/** A host's model with what a replay left in place of what it began with. */
import type { HostModel, Snapshot } from '@zonewise/simulator';

export function modelAfter(host: HostModel, { nodes }: Snapshot): HostModel {
  return {
    ...host,
    nodes: host.nodes.map((node) => {
      const now = nodes.find(({ nodeId }) => nodeId === node.nodeId);
      if (now === undefined) return node;
      return {
        ...node,
        ...{ lru: now.lru, dirtyPages: now.dirtyPages, writebackPages: now.writebackPages },
        hugepages: now.hugepages,
        zones: node.zones.map((zone) => {
          const after = now.zones.find(({ name }) => name === zone.name);
          if (after === undefined) return zone;
          const { freePages, pcpPages, lowPages, minPages, protectionPages } = after;
          return {
            ...zone,
            ...{ lowPages, minPages, protectionPages },
            freePages: freePages + pcpPages,
            pagesets: [],
          };
        }),
      };
    }),
  };
}
