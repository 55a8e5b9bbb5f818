import type { HostModel } from '@zonewise/simulator';
import { placedGuest } from '../compile';
import { formatList, formatMib } from '../format';
import { formatNodeset, nodesText } from '../host-nodes';
import { guestCpuNodes, homeNodes } from '../placement';
import type { Candidate, GuestSpec, Outcome, SimulationRequest } from '../types';

/**
 * A way to bring a guest's memory where it belongs.
 *
 * - `next-start`: a planned guest starts with the new document
 * - `live`: `virsh numatune --live`, without a restart
 * - `migrate-pages`: migratepages(8) moves the resident pages of the running process
 * - `restart`: the guest gives its memory back and touches it anew
 */
export interface Route {
  kind: 'next-start' | 'live' | 'migrate-pages' | 'restart';
  possible: boolean;
  /** Pages that get near their vCPUs by it, at most; arithmetic, not replayed. */
  gainPages: number;
  message: string;
  /** For a shell of the host; empty where there is none to type. */
  commands: string[];
}

export interface GuestRoutes {
  guest: string;
  state: GuestSpec['state'];
  awayPages: number;
  routes: Route[];
}

type Running = GuestSpec & { state: 'running' };

/** What of a candidate the room for moved pages depends on. */
export type Advised = Pick<Candidate, 'outcome' | 'sysctl'>;

/** The ways of one running guest, with where its memory is and where it belongs. */
export interface Ways {
  guest: string;
  away: { nodeId: number; pages: number }[];
  awayPages: number;
  from: number[];
  to: number[];
  routes: Route[];
}

/**
 * For every running guest with memory away from its CPUs: what each way of moving it gains. What the advice writes
 * moves no pages that are already there.
 * @param advised its replay has the room that is left for moved pages
 */
export function routesOf(request: SimulationRequest, advised: Advised): GuestRoutes[] {
  return waysOf(request, advised).map(({ guest, awayPages, routes }) => ({
    ...{ guest, state: 'running', awayPages, routes },
  }));
}

/** What `routesOf` tells, with the nodes. */
export function waysOf(request: SimulationRequest, advised: Advised): Ways[] {
  const { zone_reclaim_mode: zoneReclaimMode = 0 } = {
    ...request.host.sysctl,
    ...request.sysctl,
    ...advised.sysctl,
  };
  return request.guests.flatMap((spec) => {
    if (spec.state !== 'running') return [];
    const guest = placedGuest(request, spec.guest.name);
    const home = new Set(guestCpuNodes(guest));
    const away = spec.guest.residency.filter(({ nodeId }) => !home.has(nodeId));
    const awayPages = away.reduce((sum, { pages }) => sum + pages, 0);
    if (awayPages === 0) return [];
    const from = [...new Set(away.map(({ nodeId }) => nodeId))].sort((a, b) => a - b);
    const room = roomAtHome(spec, request.host, advised.outcome);
    const context = { spec, from, awayPages, ...room, spills: zoneReclaimMode === 0 };
    const routes = [live(context), migratePages(context), restart(context)];
    return [{ guest: spec.guest.name, away, awayPages, from, to: room.to, routes }];
  });
}

interface Context {
  spec: Running;
  from: number[];
  awayPages: number;
  /** Nodes with CPUs and memory of the guest. */
  to: number[];
  /** Free memory and page cache of these nodes at the end of the advised replay, down to the high marks. */
  roomPages: number;
  /** Of it what is free, down to the low marks. */
  freePages: number;
  /** A zone below its low mark is left for the next node, whatever page cache it has. */
  spills: boolean;
}

function roomAtHome(
  spec: Running,
  host: HostModel,
  outcome: Outcome,
): Pick<Context, 'to' | 'roomPages' | 'freePages'> {
  const cpus = guestCpuNodes(spec.guest);
  const withMemory = outcome.nodes.filter((node) => node.managedPages > 0);
  const local = cpus.filter((id) => withMemory.some((node) => node.nodeId === id));
  const to = local.length > 0 ? local : homeNodes(spec, host);
  let roomPages = 0;
  let freePages = 0;
  for (const node of withMemory.filter(({ nodeId }) => to.includes(nodeId))) {
    const room = roomOn(node, host);
    roomPages += room.roomPages;
    freePages += room.freePages;
  }
  return { to, roomPages, freePages };
}

/** Free memory and page cache of a node down to the high marks, and of it what is free down to the low marks. */
export function roomOn(
  { nodeId, freePages, fileCachePages }: Outcome['nodes'][number],
  host: HostModel,
): Pick<Context, 'roomPages' | 'freePages'> {
  const zones = host.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
  const high = zones.reduce((pages, zone) => pages + zone.highPages, 0);
  const low = zones.reduce((pages, zone) => pages + zone.lowPages, 0);
  return {
    roomPages: Math.max(0, freePages + fileCachePages - high),
    freePages: Math.max(0, freePages - low),
  };
}

/**
 * Whether libvirt gives a running guest another nodeset: a guest with numatune only where its mode is restrictive, and one
 * without. Either has no policy of its own, so that cpuset.mems decides.
 * @source libvirt 9.0 qemuDomainSetNumaParamsLive(), virDomainNumatuneGetMode()
 */
export function takesNodesetLive({ numatune: { mode } }: Pick<GuestSpec, 'numatune'>): boolean {
  return mode === 'restrictive' || mode === 'none';
}

/** @source libvirt 9.0 virDomainNumatuneSet(): where there was no numatune, the running guest's is strict from then on */
function live({ spec, to, awayPages, roomPages }: Context): Route {
  const { name } = spec.guest;
  const { mode } = spec.numatune;
  const nodeset = formatNodeset(to);
  if (!takesNodesetLive(spec)) {
    const message =
      `libvirt changes the nodeset of a running guest only where it was started restrictive or without numatune, and never ` +
      `the mode; ${name} was started with ${mode}.`;
    return { kind: 'live', possible: false, gainPages: 0, message, commands: [] };
  }
  const gainPages = movable(spec, awayPages, roomPages);
  const once =
    mode === 'none'
      ? ` It was started without numatune: libvirt takes it for strict then, and another nodeset only after a restart.`
      : '';
  return {
    kind: 'live',
    possible: gainPages > 0,
    gainPages,
    message:
      `Another cpuset.mems for ${name}: memory that it touches from then on comes from ${nodesText(to)}, and the kernel ` +
      `moves up to ${formatMib(gainPages)} of its ${formatMib(awayPages)} elsewhere after it, as far as they can be moved.${once}`,
    commands: [`virsh numatune ${domainWord(name)} --nodeset ${nodeset} --live`],
  };
}

function migratePages({ spec, from, to, awayPages, roomPages }: Context): Route {
  const { name } = spec.guest;
  const gainPages = movable(spec, awayPages, roomPages);
  if (gainPages === 0) {
    const why = isPinned(spec)
      ? 'its pages are pinned (VFIO or locked)'
      : `${nodesText(to)} ${to.length === 1 ? 'has' : 'have'} no room for them`;
    const message = `The ${formatMib(awayPages)} of ${name} cannot be moved while it runs: ${why}.`;
    return { kind: 'migrate-pages', possible: false, gainPages: 0, message, commands: [] };
  }
  const rest = awayPages - gainPages;
  return {
    kind: 'migrate-pages',
    possible: true,
    gainPages,
    message:
      `migratepages moves up to ${formatMib(gainPages)} of ${name} from ${nodesText(from)} to ${nodesText(to)} while it runs` +
      (rest > 0 ? `; for ${formatMib(rest)} there is no room` : '') +
      `. Memory that it touches later still follows its ${spec.numatune.mode === 'none' ? 'default policy' : `numatune ${spec.numatune.mode}`}.`,
    commands: [
      `migratepages "$(cat ${quoted(`/run/libvirt/qemu/${name}.pid`)})" ${formatNodeset(from)} ${formatNodeset(to)}`,
    ],
  };
}

/** @kernel mm/page_alloc.c get_page_from_freelist(): without zone_reclaim_mode a node's page cache is in the way */
function restart(context: Context): Route {
  const { spec, from, to, awayPages, roomPages, freePages, spills } = context;
  const { name } = spec.guest;
  const { mode, nodeset } = spec.numatune;
  // What it gives back on its own nodes it finds again there, so that the room counts for what is elsewhere.
  const boundPages = Math.min(awayPages, roomPages);
  const fallsBack = spills && (mode === 'none' || mode === 'preferred');
  const gainPages = fallsBack ? Math.min(boundPages, freePages) : boundPages;
  const named = nodeset.filter((node) => from.includes(node));
  const hint =
    (gainPages < boundPages ? ` With numatune strict up to ${formatMib(boundPages)}.` : '') +
    (named.length > 0 ? ` Its numatune names ${nodesText(named)}: change that first.` : '');
  return {
    kind: 'restart',
    possible: gainPages > 0,
    gainPages,
    message:
      gainPages > 0
        ? `A restart frees its memory on ${formatList(from.map((node) => `node ${node}`))} and touches it anew; up to ${formatMib(gainPages)} of ${name} get to ${nodesText(to)}.${hint}`
        : `A restart gains nothing: ${nodesText(to)} ${to.length === 1 ? 'has' : 'have'} no ${boundPages > 0 ? 'free memory' : 'room'} for the ${formatMib(awayPages)} of ${name}.${hint}`,
    commands: restartCommands(name),
  };
}

/** A guest has this long to shut down, seconds. */
const SHUTDOWN_SECONDS = 300;

/** virsh shutdown asks the guest and returns at once: it is started when it is off, which is told in the words of C. */
function restartCommands(name: string): string[] {
  const wait = `until [ "$(LC_ALL=C virsh domstate ${domainFlag(name)}"$1")" = "shut off" ]; do sleep 1; done`;
  const late = `${name} did not shut down within ${SHUTDOWN_SECONDS} s: start it when it is off.`;
  return [
    `virsh shutdown ${domainWord(name)}`,
    `timeout ${SHUTDOWN_SECONDS} sh -c '${wait}' sh ${quoted(name)} || { echo ${quoted(late)} >&2; false; }`,
    `virsh start ${domainWord(name)}`,
  ];
}

const isPinned = ({ guest }: Running): boolean => guest.regions.every((region) => region.pinned);

function movable(spec: Running, awayPages: number, roomPages: number): number {
  return isPinned(spec) ? 0 : Math.min(awayPages, roomPages);
}

/** A domain for virsh, which takes a word that begins with a dash for an option. */
export function domainWord(name: string): string {
  return `${domainFlag(name)}${quoted(name)}`;
}

const domainFlag = (name: string): string => (name.startsWith('-') ? '--domain ' : '');

/** One word for a shell: libvirt's names may hold blanks and quotes. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
