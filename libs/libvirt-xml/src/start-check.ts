/** What would keep a domain from starting on a host that libvirt only finds out at start. */
import { Assumptions } from './assumptions';
import { formatSet, nodesText } from './bitmap';
import type { ProblemCode } from './codes';
import { checkHost } from './host-check';
import { hugepageKibOf } from './hugepages';
import { ramOf } from './regions';
import type { DomainView, HostPlacement, XmlProblem } from './types';
import { SINCE, versionNumber } from './version';

/** A host as far as a start asks for it; the nodes of a CapabilitiesView are such nodes. */
export interface StartHost {
  nodes: {
    id: number;
    memoryKib: number;
    /** Memory that is free of use now; without it all of the node outside of the pools counts. */
    freeKib?: number;
    cpus: number[];
    /** Pools by size: pages in them, and how many are free (without it, all). */
    pages: { sizeKib: number; count: number; free?: number }[];
  }[];
  /** `uname -r`; rules of old kernels apply only where it is given. */
  kernelRelease?: string;
  /** libvirt of the host, such as `9.0.0`; rules of old ones apply only where it is given. */
  libvirtVersion?: string;
  /** Size of a huge page where the document names none; 2048 without it. */
  defaultHugepageKib?: number;
}

const BASE_PAGE_KIB = 4;
/** MPOL_PREFERRED_MANY came with Linux 5.15. */
const PREFERRED_MANY = { major: 5, minor: 15 };
/** So many sets of nodes are tried in every union; a guest with more has each looked at alone. */
const MAX_UNITED_SETS = 8;

/** Guest memory that has to come from some nodes, and out of one kind of pages. */
interface Need {
  cell: number;
  kib: number;
  nodes: number[];
  /** Size of huge page, or null for plain memory. */
  pageKib: number | null;
}

/**
 * Checks a domain against a host as its start would: nodes and CPUs that do not exist, a policy that
 * libvirt or the kernel is too old for, huge pages that are not in the pools, memory that is not there.
 * @returns every problem with its place in the document; none if the domain can start
 */
export function checkStart(view: DomainView, host: StartHost): XmlProblem[] {
  const placement: HostPlacement = {
    memoryNodes: host.nodes.filter(({ memoryKib }) => memoryKib > 0).map(({ id }) => id),
    nodes: host.nodes.map(({ id, cpus }) => ({ nodeId: id, cpus })),
  };
  const problems = checkHost(view, placement);
  if (problems.length > 0) return problems;
  const refuse: Refuse = (code, path, message, expected, found) => {
    const place = placeOf(view, path);
    problems.push({ code, message, ...place, expected, found });
  };
  checkPreferred(view, host, refuse);
  const needs = needsOf(view, host, placement);
  const sizes = new Set(needs.map(({ pageKib }) => pageKib));
  for (const pageKib of sizes) {
    const of = needs.filter((need) => need.pageKib === pageKib);
    checkRoom(of, host, pageKib, refuse);
  }
  return problems;
}

type Refuse = (
  code: ProblemCode,
  path: string,
  message: string,
  expected: string,
  found: string,
) => void;

/** An element of a `<domstatus>` is below the status; one that is not in the document has no place. */
function placeOf(view: DomainView, path: string): { path: string; line: number; column: number } {
  const { positions = {} } = view;
  const paths = [path, `/domstatus${path}`];
  const known = paths.find((each) => positions[each] !== undefined) ?? path;
  return { path: known, ...(positions[known] ?? { line: 1, column: 1 }) };
}

function checkPreferred(view: DomainView, host: StartHost, refuse: Refuse): void {
  const why = whyOneNode(host);
  if (why === null) return;
  const { memory, memnodes } = view.numatune;
  const several = memnodes.length > 1;
  const all = [
    { path: '/domain/numatune/memory/@nodeset', setting: memory },
    ...memnodes.map((setting, index) => ({
      path: `/domain/numatune/memnode${several ? `[${index + 1}]` : ''}/@nodeset`,
      setting,
    })),
  ];
  for (const { path, setting } of all) {
    const nodes = setting?.nodeset ?? [];
    if (setting?.mode !== 'preferred' || nodes.length < 2) continue;
    const message = `preferred takes a single node on this host: ${why}`;
    refuse('preferred-single-node', path, message, 'one node', formatSet(nodes));
  }
}

function whyOneNode({ kernelRelease, libvirtVersion }: StartHost): string | null {
  const version = versionNumber(libvirtVersion);
  if (version !== null && version < SINCE.preferredMany) {
    return `libvirt ${libvirtVersion ?? ''} is older than 9.0.0`;
  }
  const match = /^([0-9]+)\.([0-9]+)/.exec(kernelRelease ?? '');
  if (match === null) return null;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const old =
    major < PREFERRED_MANY.major ||
    (major === PREFERRED_MANY.major && minor < PREFERRED_MANY.minor);
  return old ? `Linux ${match[0]} is older than 5.15` : null;
}

/** Memory that must fit: bound memory in its nodes, any other in all nodes with memory. */
function needsOf(view: DomainView, host: StartHost, placement: HostPlacement): Need[] {
  const context = { view, host: placement, assumptions: new Assumptions(), advised: null };
  return ramOf(context).map(({ cell, owner, memoryKib, mode, nodes }) => {
    const bound = (mode === 'strict' || mode === 'restrictive') && nodes.length > 0;
    return {
      cell,
      kib: memoryKib,
      nodes: bound ? nodes : placement.memoryNodes,
      pageKib: hugepageKibOf(view, owner, host.defaultHugepageKib),
    };
  });
}

/**
 * Whether needs fit side by side: memory that may only come from a set of nodes must not be more than
 * these nodes have, for every union of the sets that are named.
 */
function checkRoom(needs: Need[], host: StartHost, pageKib: number | null, refuse: Refuse): void {
  const room = (nodes: readonly number[]): number =>
    host.nodes
      .filter(({ id }) => nodes.includes(id))
      .reduce((sum, node) => sum + roomOf(node, pageKib), 0);
  for (const nodes of unions(needs)) {
    const inside = needs.filter((need) => need.nodes.every((node) => nodes.includes(node)));
    const unit = pageKib ?? BASE_PAGE_KIB;
    const kib = inside.reduce((sum, need) => sum + Math.ceil(need.kib / unit) * unit, 0);
    const have = room(nodes);
    if (kib <= have) continue;
    if (pageKib === null) {
      const message = `${kib} KiB of guest memory do not fit on ${nodesText(nodes)}`;
      refuse('memory-does-not-fit', '/domain/memory', message, `at most ${have} KiB`, `${kib} KiB`);
    } else {
      const count = kib / pageKib;
      const message = `the guest needs ${count} huge pages of ${pageKib} KiB on ${nodesText(nodes)}`;
      const path = '/domain/memoryBacking/hugepages';
      const expected = `at most ${Math.floor(have / pageKib)} pages`;
      refuse('hugepages-unavailable', path, message, expected, `${count} pages`);
    }
    // A larger union fails for the same reason.
    return;
  }
}

function roomOf(node: StartHost['nodes'][number], pageKib: number | null): number {
  const pool = node.pages.find(({ sizeKib }) => sizeKib === pageKib);
  if (pageKib !== null) return pool === undefined ? 0 : (pool.free ?? pool.count) * pageKib;
  if (node.freeKib !== undefined) return node.freeKib;
  const pooled = node.pages
    .filter(({ sizeKib }) => sizeKib !== BASE_PAGE_KIB)
    .reduce((sum, { sizeKib, count }) => sum + sizeKib * count, 0);
  return Math.max(node.memoryKib - pooled, 0);
}

/** Unions of the sets that needs name, the smallest first. */
function unions(needs: Need[]): number[][] {
  const sets = new Map(needs.map(({ nodes }) => [formatSet(nodes), nodes]));
  if (sets.size > MAX_UNITED_SETS) {
    const all = needs.flatMap(({ nodes }) => nodes);
    sets.set(formatSet(all), [...new Set(all)]);
    return bySize([...sets.values()]);
  }
  const united = new Map<string, number[]>();
  for (const set of sets.values()) {
    for (const other of [[], ...united.values()]) {
      const nodes = [...new Set([...other, ...set])].sort((a, b) => a - b);
      united.set(formatSet(nodes), nodes);
    }
  }
  return bySize([...united.values()]);
}

const bySize = (sets: number[][]): number[][] => sets.sort((a, b) => a.length - b.length);
