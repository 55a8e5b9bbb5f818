/** Names in a request that must mean something: guests and nodes. Pure. */
import type { SimulationRequest } from '@zonewise/advisor';

export interface ReferenceProblem {
  code: 'unknown-domain' | 'unknown-host-node' | 'nodeset-missing';
  /** JSON pointer into the request. */
  path: string;
  message: string;
}

function pointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * Guests that demand or numatune name but the request does not hold, and nodes that the host lacks or
 * that have no memory.
 */
export function referenceProblems(request: SimulationRequest): ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  const guests = new Set(request.guests.map((spec) => spec.guest.name));
  const nodes = new Set(
    request.host.nodes
      .filter((node) => node.zones.some((zone) => zone.managedPages > 0))
      .map((node) => node.nodeId),
  );
  const needGuest = (name: string, path: string): void => {
    if (guests.has(name)) return;
    const message = `There is no domain ${JSON.stringify(name)} here; found ${[...guests].join(', ')}.`;
    problems.push({ code: 'unknown-domain', path, message });
  };
  const needNode = (nodeId: number, path: string): void => {
    if (nodes.has(nodeId)) return;
    const message = `The host has no memory on node ${nodeId}; nodes with memory are ${[...nodes].join(', ')}.`;
    problems.push({ code: 'unknown-host-node', path, message });
  };

  request.demand.startOrder?.forEach((name, index) => {
    needGuest(name, `/demand/startOrder/${index}`);
  });
  for (const name of Object.keys(request.demand.guests ?? {})) {
    needGuest(name, `/demand/guests/${pointer(name)}`);
  }
  request.demand.backgroundCache?.forEach(({ node }, index) => {
    needNode(node, `/demand/backgroundCache/${index}/node`);
  });
  for (const [name, { mode, nodeset }] of Object.entries(request.numatune ?? {})) {
    const path = `/numatune/${pointer(name)}`;
    needGuest(name, path);
    nodeset.forEach((nodeId, index) => {
      needNode(nodeId, `${path}/nodeset/${index}`);
    });
    if (mode !== 'none' && nodeset.length === 0) {
      const message = `numatune mode ${mode} needs at least one node.`;
      problems.push({ code: 'nodeset-missing', path: `${path}/nodeset`, message });
    }
  }
  return problems;
}
