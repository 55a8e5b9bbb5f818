/** What hosts and guests have to be before anything is packed. */
import { PlacementInputError } from './errors';
import type { GuestShape, HostShape } from './types';

/** Most cells of a guest: matching them with nodes costs their square. */
export const MAX_CELLS = 64;

/** @throws PlacementInputError for names given twice, guests without cells and amounts that are no whole numbers */
export function checkShapes(hosts: readonly HostShape[], guests: readonly GuestShape[]): void {
  const unique = (
    names: string[],
    code: 'duplicate-guest' | 'duplicate-host',
    what: string,
  ): void => {
    const seen = new Map<string, number>();
    names.forEach((name, i) => {
      const before = seen.get(name);
      if (before !== undefined) {
        const message = `${what} ${before} and ${i} are both called ${JSON.stringify(name)}.`;
        throw new PlacementInputError(code, `/${what.toLowerCase()}/${i}`, message);
      }
      seen.set(name, i);
    });
  };
  unique(
    hosts.map(({ id }) => id),
    'duplicate-host',
    'Hosts',
  );
  unique(
    guests.map(({ name }) => name),
    'duplicate-guest',
    'Guests',
  );
  hosts.forEach(({ nodes }, h) => {
    nodes.forEach(({ nodeId, memoryPages, vcpus, hugepages }, n) => {
      const path = `/hosts/${h}/nodes/${n}`;
      if (nodes.findIndex((other) => other.nodeId === nodeId) !== n) {
        throw new PlacementInputError('duplicate-node', path, `Node ${nodeId} is there twice.`);
      }
      whole(path, [
        memoryPages,
        vcpus,
        ...hugepages.flatMap(({ sizeKib, pages }) => [sizeKib, pages]),
      ]);
    });
  });
  guests.forEach(({ cells }, g) => {
    const path = `/guests/${g}/cells`;
    if (cells.length === 0)
      throw new PlacementInputError('no-cells', path, 'A guest has at least one cell.');
    if (cells.length > MAX_CELLS) {
      const message = `Found ${cells.length} cells; at most ${MAX_CELLS} are placed.`;
      throw new PlacementInputError('too-many-cells', path, message);
    }
    for (const { memoryPages, vcpus, hugepages } of cells) {
      whole(path, [memoryPages, vcpus, ...(hugepages ? [hugepages.sizeKib, hugepages.pages] : [])]);
    }
  });
}

function whole(path: string, amounts: number[]): void {
  const wrong = amounts.find((amount) => !Number.isSafeInteger(amount) || amount < 0);
  if (wrong === undefined) return;
  const message = `Found ${wrong}; amounts are whole numbers from 0 upwards.`;
  throw new PlacementInputError('invalid-amount', path, message);
}
