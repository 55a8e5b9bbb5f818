/** Whether a packing keeps the rules, added up from nothing: shares no code with the packer. */
import type { GuestShape, HostShape, Packing } from '../src';

/** What the hosts have, by host, node and kind of thing. */
function capacityOf(hosts: HostShape[]): Map<string, number> {
  const capacity = new Map<string, number>();
  for (const { id, nodes } of hosts) {
    for (const { nodeId, memoryPages, vcpus, hugepages } of nodes) {
      capacity.set(`${id}/${nodeId}/memory`, memoryPages);
      capacity.set(`${id}/${nodeId}/vcpus`, vcpus);
      for (const { sizeKib, pages } of hugepages) capacity.set(`${id}/${nodeId}/${sizeKib}`, pages);
    }
  }
  return capacity;
}

/** Rules about one guest on one host besides capacity; `keys` are those of the guests that are there. */
function brokenBy(guest: GuestShape, host: HostShape, nodes: number[], keys: string[]): string[] {
  const { name, cells, hostGroups, notOn, antiAffinity = [] } = guest;
  const at = `${name} on ${host.id}`;
  const rules: [boolean, string][] = [
    [nodes.length === cells.length, 'a cell without a node'],
    [new Set(nodes).size === nodes.length, 'two cells on one node'],
    [hostGroups === undefined || hostGroups.includes(host.group ?? ''), 'the group is not allowed'],
    [notOn?.includes(host.id) !== true, 'excluded'],
    [!antiAffinity.some((key) => keys.includes(key)), 'another with the same key is there'],
  ];
  return rules.flatMap(([kept, rule]) => (kept ? [] : [`${at}: ${rule}`]));
}

/** @returns every rule that is broken, in words; empty for a sound packing */
export function brokenRules(
  hosts: HostShape[],
  guests: GuestShape[],
  { placed, refused, hostsUsed }: Packing,
): string[] {
  const broken: string[] = [];
  const answered = [...placed, ...refused].map(({ guest }) => guest).sort();
  const asked = guests.map(({ name }) => name).sort();
  if (JSON.stringify(answered) !== JSON.stringify(asked)) {
    broken.push('not every guest is answered once');
  }
  const guestOf = new Map(guests.map((guest) => [guest.name, guest]));
  const hostOf = new Map(hosts.map((host) => [host.id, host]));
  const keysOn = new Map(hosts.map(({ id, antiAffinity = [] }) => [id, [...antiAffinity]]));
  const left = capacityOf(hosts);
  const inUse = new Set(hosts.flatMap(({ id, occupied }) => (occupied ? [id] : [])));
  const take = (key: string, amount: number): void => {
    left.set(key, (left.get(key) ?? 0) - amount);
  };
  for (const { guest: name, host: id, nodes } of placed) {
    const guest = guestOf.get(name);
    const host = hostOf.get(id);
    const keys = keysOn.get(id);
    if (guest === undefined || host === undefined || keys === undefined) {
      broken.push(`${name} on ${id}: unknown`);
      continue;
    }
    broken.push(...brokenBy(guest, host, nodes, keys));
    keys.push(...(guest.antiAffinity ?? []));
    inUse.add(id);
    guest.cells.forEach(({ memoryPages, vcpus, hugepages }, c) => {
      take(`${id}/${nodes[c]}/memory`, memoryPages);
      take(`${id}/${nodes[c]}/vcpus`, vcpus);
      if (hugepages !== undefined) take(`${id}/${nodes[c]}/${hugepages.sizeKib}`, hugepages.pages);
    });
  }
  for (const [key, amount] of left) if (amount < 0) broken.push(`${key}: ${-amount} too many`);
  if (inUse.size !== hostsUsed) broken.push(`${inUse.size} hosts in use, ${hostsUsed} said`);
  return broken;
}
