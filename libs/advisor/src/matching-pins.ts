/** Where replays take vCPUs to run that nothing pins: the pins that hold them there, and who is left without. */
import { withChange } from './change';
import { unpinnedGuest } from './compile';
import { formatSome } from './format';
import { cpuNodes, nodeUnion, sameNodes } from './host-nodes';
import { ownValue } from './own-value';
import { isPinned, partsByCell, unpinnedName } from './placement';
import type { AdviceRequest, Change, GuestSpec, PinningValue } from './types';

/** What a domain's placement says of vCPUs that are taken to run near their memory. */
const NEAR_MEMORY = ['unpinned-near-memory', 'strict-affinity'];

/**
 * Pins of the planned guests whose vCPUs follow the numatune that a change gives them, by name. libvirt gives every vCPU
 * and emulator thread all CPUs of the host where there is no CPU set and no pin (qemuProcessSetupPid), whatever numatune
 * says; with these pins they run where the replay has them. None for guests that the change itself pins, that are pinned
 * today or that may run everywhere, and none that would name a forbidden node. Of a guest that pins some of its vCPUs only
 * they are those of the others.
 */
export function matchingPins(request: AdviceRequest, change: Change): Map<string, PinningValue> {
  const forbidden = request.options?.constraints?.forbiddenNodes ?? [];
  const pins = new Map<string, PinningValue>();
  for (const spec of request.guests) {
    const { name } = spec.guest;
    if (spec.state !== 'planned' || ownValue(change.numatune, name) === undefined) continue;
    if (isHeld(request, change, spec)) continue;
    const pin = pinOf(request, change, spec);
    if (pin === undefined || pin.nodes.some((node) => forbidden.includes(node))) continue;
    pins.set(name, pin);
  }
  return pins;
}

/** A sentence that names the guests that get matching pins, with a blank before it; empty where there are none. */
export function matchingPinsText(request: AdviceRequest, change: Change): string {
  const pins = matchingPins(request, change);
  const names = request.guests.filter(({ guest }) => pins.has(guest.name)).map(unpinnedName);
  if (names.length === 0) return '';
  const whose = names.length === 1 ? 'its' : 'their';
  return ` The vCPUs of ${formatSome(names)} are pinned to the nodes of ${whose} numatune.`;
}

/** Guests, as `unpinnedName` has them, that a replay of the change takes to run on some nodes' CPUs only, and that nothing holds there. */
export function unheldGuests(request: AdviceRequest, change: Change): string[] {
  const pins = matchingPins(request, change);
  return request.guests.flatMap((spec) => {
    const { name } = spec.guest;
    if (pins.has(name) || isHeld(request, change, spec)) return [];
    const setting = ownValue(change.numatune, name) ?? ownValue(request.numatune, name);
    const isNear =
      setting !== undefined || spec.assumptions.some(({ code }) => NEAR_MEMORY.includes(code));
    return isNear && pinOf(request, change, spec) !== undefined ? [unpinnedName(spec)] : [];
  });
}

/** Whether its document, the request or the change pins a guest. */
function isHeld(request: AdviceRequest, change: Change, spec: GuestSpec): boolean {
  const { name } = spec.guest;
  const pinning = ownValue(change.pinning, name) ?? ownValue(request.pinning, name);
  return pinning !== undefined || isPinned(spec, request.host);
}

/** Pins to where the replay has the vCPUs that nothing pins; undefined where that is everywhere. */
function pinOf(request: AdviceRequest, change: Change, spec: GuestSpec): PinningValue | undefined {
  const { regions } = unpinnedGuest(withChange(request, change), spec);
  const pins = partsByCell(spec);
  // Memory devices with nodes of their own have no vCPUs of their own, and cells may have none without a pin.
  const cells = regions
    .filter(
      ({ cell }) => !spec.ownNodesCells?.includes(cell) && pins.get(cell)?.unpinned.vcpus !== 0,
    )
    .map((region) => ({ cellid: region.cell, nodes: nodeUnion(region.cpuNodes) }));
  const all = cpuNodes(request.host);
  if (cells.every(({ nodes }) => sameNodes(nodes, all))) return undefined;
  const union = nodeUnion(...cells.map(({ nodes }) => nodes));
  const isOne = cells.every(({ nodes }) => sameNodes(nodes, union));
  return isOne ? { nodes: union } : { nodes: union, cells };
}
