/** What advice must not touch. */
import { kernelProfiles } from '@zonewise/simulator';
import type { HostSysctls } from '@zonewise/simulator';
import type { AdviceConstraints } from './advice-types';
import { ADVICE_PROFILES, THP_FILES, WEIGHTED_FIGURES } from './advice-types';
import { withChange } from './change';
import { effectiveNumatune, placedGuest } from './compile';
import { AdvisorInputError } from './errors';
import { managedPages, memoryNodes, nodeUnion, nodesText } from './host-nodes';
import { formatCount } from './format';
import { guestMemoryPages, isBound } from './placement';
import { poolNeeds, poolNodes } from './pools';
import type { AdviceRequest, Change, GuestSpec } from './types';
import { VcpuLimits } from './vcpu-load';

/** Nodes that a changed nodeset may name, ascending. */
export function allowedNodes({ host, options }: AdviceRequest): number[] {
  const forbidden = new Set(options?.constraints?.forbiddenNodes ?? []);
  return memoryNodes(host).filter((node) => !forbidden.has(node));
}

/** Whether advice may change anything of a guest: planned, not pinned, and memory that numatune decides about. */
export function mayMove({ options }: AdviceRequest, spec: GuestSpec): boolean {
  const pinned = options?.constraints?.pinnedGuests ?? [];
  return (
    spec.state === 'planned' &&
    !pinned.includes(spec.guest.name) &&
    guestMemoryPages(spec.guest) > 0
  );
}

export function isFixed({ options }: AdviceRequest, name: keyof HostSysctls): boolean {
  return options?.constraints?.fixedSysctls?.includes(name) ?? false;
}

/**
 * Node sets that guests are bound to beyond `maxOvercommitPercent`: a guest counts where its memory can only be, and a
 * set holds everybody who is bound to a part of it.
 */
export function overcommitted(
  request: AdviceRequest,
): { nodes: number[]; wantedPages: number; limitPages: number }[] {
  const percent = request.options?.constraints?.maxOvercommitPercent;
  if (percent === undefined) return [];
  const all = memoryNodes(request.host);
  const bound = request.guests.map(({ guest }) => {
    const { mode, nodeset, memnodes } = effectiveNumatune(request, guest.name);
    const named = nodeUnion(nodeset, ...(memnodes ?? []).map((memnode) => memnode.nodeset));
    const pages = guestMemoryPages(placedGuest(request, guest.name));
    return { nodes: isBound(mode) && named.length > 0 ? named : all, pages };
  });
  const sets = new Map([all, ...bound.map(({ nodes }) => nodes)].map((set) => [set.join(), set]));
  return [...sets.values()].flatMap((nodes) => {
    const inside = bound.filter((guest) => guest.nodes.every((node) => nodes.includes(node)));
    const wantedPages = inside.reduce((sum, { pages }) => sum + pages, 0);
    const memory = request.host.nodes
      .filter(({ nodeId }) => nodes.includes(nodeId))
      .reduce((sum, node) => sum + managedPages(node), 0);
    const limitPages = Math.floor((memory * percent) / 100);
    return wantedPages > limitPages ? [{ nodes, wantedPages, limitPages }] : [];
  });
}

/** Why a configuration is not replayed, by the bound that left it out. */
export interface Violation {
  bound: 'constraints' | 'vcpu-overcommit';
  message: string;
}

/** Why a change may not be advised whatever its figures; undefined where it may. */
export function violation(request: AdviceRequest, change: Change): Violation | undefined {
  const forbidden = forbiddenBy(request, change);
  if (forbidden !== undefined) return { bound: 'constraints', message: forbidden };
  const crowds = new VcpuLimits(request).violation(withChange(request, change));
  return crowds === undefined ? undefined : { bound: 'vcpu-overcommit', message: crowds };
}

function forbiddenBy(request: AdviceRequest, change: Change): string | undefined {
  const constraints = request.options?.constraints;
  if (constraints === undefined) return undefined;
  const { pinnedGuests = [], forbiddenNodes = [], fixedSysctls = [] } = constraints;
  const touched = [change.numatune, change.pinning, change.backing, change.diskCache];
  const pinned = pinnedGuests.find((name) =>
    touched.some((part) => part && Object.hasOwn(part, name)),
  );
  if (pinned !== undefined) return `${pinned} is to stay as it is.`;
  const fixed = fixedSysctls.find((name) => Object.hasOwn(change.sysctl, name));
  if (fixed !== undefined) return `vm.${fixed} is to stay as it is.`;
  const { fixedThp = [], fixedHugepages = [] } = constraints;
  const file = fixedThp.find((name) => change.thp?.[name] !== undefined);
  if (file !== undefined) return `transparent_hugepage/${file} is to stay as it is.`;
  const pool = change.hugepages?.find(({ node }) => fixedHugepages.includes(node));
  if (pool !== undefined) return `The pools of node ${pool.node} are to stay as they are.`;
  const named = [
    ...Object.values(change.numatune).flatMap(({ nodeset, memnodes }) => [
      ...nodeset,
      ...(memnodes ?? []).flatMap((memnode) => memnode.nodeset),
    ]),
    ...Object.values(change.pinning ?? {}).flatMap(({ nodes }) => nodes),
  ];
  const forbidden = forbiddenNodes.find((node) => named.includes(node));
  if (forbidden !== undefined) return `Node ${forbidden} is not to be named.`;
  const over = overcommitted(withChange(request, change))[0];
  if (over === undefined) return undefined;
  return (
    `Guests with ${over.wantedPages} pages would be bound to ${nodesText(over.nodes)}, and ` +
    `${constraints.maxOvercommitPercent} % of their memory are ${over.limitPages}.`
  );
}

/**
 * Refuses what cannot be advised about.
 * @throws AdvisorInputError `no-guests`, `no-nodes`, `kernel-not-modelled`, `invalid-options`, `contradictory-constraints`
 */
export function checkAdvisable(request: AdviceRequest): void {
  const { host, guests } = request;
  if (guests.length === 0) {
    const message = 'There is no guest: advice is about the memory of at least one guest.';
    throw new AdvisorInputError('no-guests', '/guests', message);
  }
  if (memoryNodes(host).length === 0) {
    const found = host.nodes.length === 0 ? 'no node' : 'no node with memory';
    const message = `The host has ${found}; at least one node with memory is needed.`;
    throw new AdvisorInputError('no-nodes', '/host/nodes', message);
  }
  if (!Object.hasOwn(kernelProfiles, host.kernelProfile)) {
    const message = `Found "${String(host.kernelProfile)}"; kernels that are modelled: ${Object.keys(kernelProfiles).join(', ')}.`;
    throw new AdvisorInputError('kernel-not-modelled', '/host/kernelProfile', message);
  }
  checkOptions(request);
  if (request.options?.constraints) checkConstraints(request, request.options.constraints);
}

function checkOptions({ options = {} }: AdviceRequest): void {
  const { profile, weights, budget } = options;
  if (profile !== undefined && !ADVICE_PROFILES.includes(profile)) {
    invalid('profile', profile, `one of ${ADVICE_PROFILES.join(', ')}`);
  }
  for (const [figure, weight] of Object.entries(weights ?? {})) {
    if (!(WEIGHTED_FIGURES as readonly string[]).includes(figure)) {
      invalid(`weights/${figure}`, figure, `a weight of ${WEIGHTED_FIGURES.join(', ')}`);
    }
    if (!(Number.isFinite(weight) && weight >= 0)) {
      invalid(`weights/${figure}`, weight, 'a number from 0');
    }
  }
  if (weights !== undefined && !Object.values(weights).some((weight) => weight > 0)) {
    invalid('weights', JSON.stringify(weights), 'at least one weight above 0');
  }
  for (const [name, value] of Object.entries(budget ?? {})) {
    if (!(Number.isFinite(value) && value >= 1))
      invalid(`budget/${name}`, value, 'a number from 1');
  }
}

function invalid(path: string, found: unknown, expected: string): never {
  const message = `Found ${String(found)}; expected ${expected}.`;
  throw new AdvisorInputError('invalid-options', `/options/${path}`, message);
}

function checkConstraints(request: AdviceRequest, constraints: AdviceConstraints): void {
  const { host, guests } = request;
  const at = (name: string): string => `/options/constraints/${name}`;
  const { pinnedGuests = [], fixedSysctls = [] } = constraints;
  pinnedGuests.forEach((name, i) => {
    if (guests.some((spec) => spec.guest.name === name)) return;
    const known = guests.map((spec) => spec.guest.name).join(', ');
    const message = `Found "${name}"; the guests are: ${known}.`;
    throw new AdvisorInputError('unknown-guest', at(`pinnedGuests/${i}`), message);
  });
  checkNodes(request, 'forbiddenNodes', constraints.forbiddenNodes);
  fixedSysctls.forEach((name, i) => {
    if (Object.hasOwn(host.sysctl, name)) return;
    const known = Object.keys(host.sysctl).sort().join(', ');
    const message = `Found "${name}"; the settings that can be replayed are: ${known}.`;
    throw new AdvisorInputError('unknown-sysctl', at(`fixedSysctls/${i}`), message);
  });
  constraints.fixedThp?.forEach((file, i) => {
    if (THP_FILES.includes(file)) return;
    invalid(`constraints/fixedThp/${i}`, file, `one of ${THP_FILES.join(', ')}`);
  });
  checkNodes(request, 'fixedHugepages', constraints.fixedHugepages);
  const percent = constraints.maxOvercommitPercent;
  if (percent !== undefined && !(Number.isFinite(percent) && percent > 0)) {
    invalid('constraints/maxOvercommitPercent', percent, 'a number above 0');
  }
  const vcpus = constraints.vcpuOvercommitMax;
  if (vcpus !== undefined && !(Number.isFinite(vcpus) && vcpus > 0)) {
    invalid('constraints/vcpuOvercommitMax', vcpus, 'a number above 0');
  }
  contradictions(request, pinnedGuests);
}

function checkNodes(
  { host }: AdviceRequest,
  name: 'forbiddenNodes' | 'fixedHugepages',
  nodes: number[] = [],
): void {
  nodes.forEach((node, i) => {
    if (host.nodes.some(({ nodeId }) => nodeId === node)) return;
    const known = host.nodes.map(({ nodeId }) => nodeId).join(', ');
    const message = `Found ${node}; the host's nodes are ${known}.`;
    throw new AdvisorInputError('unknown-node', `/options/constraints/${name}/${i}`, message);
  });
}

/** Constraints that no configuration can keep. */
function contradictions(request: AdviceRequest, pinnedGuests: string[]): void {
  const contradictory = (path: string, message: string): never => {
    throw new AdvisorInputError(
      'contradictory-constraints',
      `/options/constraints/${path}`,
      message,
    );
  };
  const nodes = allowedNodes(request);
  if (nodes.length === 0) {
    contradictory(
      'forbiddenNodes',
      'All nodes with memory are forbidden; at least one must be left.',
    );
  }
  for (const name of pinnedGuests) {
    const { mode, nodeset } = effectiveNumatune(request, name);
    if (!isBound(mode) || nodeset.some((node) => nodes.includes(node))) continue;
    contradictory(
      'pinnedGuests',
      `${name} is to stay as it is, but all nodes of its ${mode} numatune (${nodeset.join(',')}) are forbidden.`,
    );
  }
  const short = pinnedGuests.map((name) => poolShort(request, name)).find((why) => why !== null);
  if (short) contradictory('fixedHugepages', short);
  const percent = request.options?.constraints?.maxOvercommitPercent ?? 0;
  const all = memoryNodes(request.host);
  const whole = overcommitted(request).find((set) => set.nodes.length === all.length);
  if (whole) {
    contradictory(
      'maxOvercommitPercent',
      `All guests together have ${whole.wantedPages} pages, and ${percent} % of the host's memory are ` +
        `${whole.limitPages}: no placement keeps that.`,
    );
  }
  const staying = request.guests.filter((spec) => !mayMove(request, spec));
  const [over] = overcommitted({ ...request, guests: staying });
  if (over) {
    contradictory(
      'maxOvercommitPercent',
      `Guests that stay as they are have ${over.wantedPages} pages bound to ${nodesText(over.nodes)}, and ${percent} % of ` +
        `its memory are ${over.limitPages}: no placement of the others keeps that.`,
    );
  }
}

/** A guest that stays as it is, on pools that stay as they are and have too little for it even alone; null for others. */
function poolShort(request: AdviceRequest, name: string): string | null {
  const fixed = request.options?.constraints?.fixedHugepages ?? [];
  const own = request.guests.find(({ guest, state }) => guest.name === name && state === 'planned');
  if (own === undefined || fixed.length === 0) return null;
  const others = request.guests.filter(({ state }) => state === 'running');
  const needs = poolNeeds({ ...request, guests: [...others, own] });
  const { regions } = placedGuest(request, name);
  for (const region of regions) {
    if (!region.hugetlb) continue;
    const { sizeKib } = region.hugetlb;
    const nodes = poolNodes(request.host, region);
    const need = needs.find((pool) => pool.node === nodes[0] && pool.sizeKib === sizeKib);
    if (need === undefined || need.short === 0) continue;
    if (!nodes.every((node) => fixed.includes(node))) continue;
    return (
      `${name} is to stay as it is, and the pools of ${nodesText(nodes)} are to stay as large as they are: for it alone ` +
      `${formatCount(need.short)} huge pages of ${sizeKib} KiB are missing.`
    );
  }
  return null;
}
