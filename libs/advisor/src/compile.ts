import type {
  GuestProcess,
  HostModel,
  ReplayInput,
  ReplayStep,
  RunningGuest,
  SysctlName,
} from '@zonewise/simulator';
import type { ResolvedDemand } from './demand';
import { resolveDemand } from './demand';
import { AdvisorInputError } from './errors';
import { eventSteps, laterStarts } from './events';
import { cpuNodes, memoryNodes, nearestFirst, nodeUnion } from './host-nodes';
import { hotplugSteps } from './hotplug';
import { hugepageSteps } from './hugepages';
import { ownValue } from './own-value';
import type { Note } from './placement';
import {
  applyBacking,
  applyPinning,
  applyPlacement,
  cachePolicy,
  guestCpuNodes,
  isPinned,
  withVcpupin,
  withoutVcpupin,
} from './placement';
import type { GuestSpec, NumatuneValue, PlacementMode, SimulationRequest } from './types';

const MODES: readonly PlacementMode[] = [
  'strict',
  'preferred',
  'interleave',
  'restrictive',
  'none',
];

export interface CompiledReplay {
  input: ReplayInput;
  assumptions: Note[];
  /** Position of the first step of each of the demand's events, and of what follows the last. */
  eventsAt: number[];
}

/**
 * Turns a request into replay steps:
 *
 * 1. sysctl overrides, in the order of the host's sysctl list, then those of transparent huge pages;
 * 2. background cache, read (or written) by each node's own CPUs and bound to that node, then a settle,
 *    so that the guests meet the host as found;
 * 3. memory blocks that come or go before the guests, then the pools of huge pages that the demand asks for;
 * 4. every planned guest in start order: it touches its share of every region, then its disks fill the page
 *    cache from the nodes of its CPUs. Guests follow each other without a pause, the hardest start;
 * 5. one settle: kswapd goes to sleep;
 * 6. events in their order, each with a settle behind it; a guest that a migration brings is written by QEMU's own
 *    threads, from their CPUs, and reads no disk: what it had cached is in its memory;
 * 7. memory blocks that come or go behind the guests.
 *
 * Running guests are owners of their pages from the start and appear in no step.
 *
 * @throws AdvisorInputError for overrides or a demand that name what does not exist
 */
export function compileReplay(request: SimulationRequest): CompiledReplay {
  checkOverrides(request);
  const demand = resolveDemand(request);
  const notes: Note[] = [...guestNotes(request), ...demand.notes];
  const startOf = (
    planned: ResolvedDemand['planned'][number],
    event: 'boot' | 'incoming' = 'boot',
  ): ReplayStep[] => {
    const placed = placedGuest(request, planned.spec.guest.name, notes);
    if (event === 'incoming') {
      const arriving = incomingGuest(request, planned.spec, placed);
      return guestSteps(arriving, { ...planned, diskCachePages: 0 }, demand.ratePagesPerSecond);
    }
    const uncached = ownValue(request.diskCache, planned.spec.guest.name) === 'none';
    const cached = uncached ? { ...planned, diskCachePages: 0 } : planned;
    return guestSteps(placed, cached, demand.ratePagesPerSecond);
  };
  const later = laterStarts(request.demand);
  const first = demand.planned.filter(({ spec }) => !later.includes(spec.guest.name));
  const steps: ReplayStep[] = [
    ...sysctlSteps(request),
    ...thpSteps(request),
    ...backgroundSteps(request.host, demand),
    ...hotplugSteps(request, 'start'),
    ...hugepageSteps(request),
    ...first.flatMap((planned) => startOf(planned)),
  ];
  if (first.length > 0) steps.push({ op: 'settle', label: 'after the last guest' });
  const eventsAt: number[] = [];
  for (const event of eventSteps(
    request.demand,
    (name, kind) =>
      demand.planned
        .filter(({ spec }) => spec.guest.name === name)
        .flatMap((planned) => startOf(planned, kind)),
    (name) => placedGuest(request, name),
  )) {
    eventsAt.push(steps.length);
    steps.push(...event);
  }
  eventsAt.push(steps.length);
  steps.push(...hotplugSteps(request, 'end'));
  if (steps.length === 0) steps.push({ op: 'settle', label: 'host as found' });
  return {
    input: {
      host: request.host,
      runningGuests: runningGuests(request, notes),
      steps,
      seed: request.seed,
      ...(request.hardwareProfile === undefined
        ? {}
        : { hardwareProfile: request.hardwareProfile }),
    },
    assumptions: uniqueNotes(notes),
    eventsAt,
  };
}

/** What was assumed of the guests, each assumption once with the guests that it concerns. */
function guestNotes(request: SimulationRequest): Note[] {
  const namesOf = new Map<string, { note: Note; names: string[] }>();
  for (const { guest, assumptions } of request.guests) {
    for (const note of assumptions) {
      const key = JSON.stringify([note.code, note.message]);
      const entry = namesOf.get(key) ?? { note, names: [] };
      entry.names.push(guest.name);
      namesOf.set(key, entry);
    }
  }
  return [...namesOf.values()].map(({ note, names }) => ({
    code: note.code,
    message: `${[...new Set(names)].join(', ')}: ${note.message}`,
  }));
}

/** The numatune that a guest is replayed with. */
export function effectiveNumatune(request: SimulationRequest, name: string): NumatuneValue {
  const override = ownValue(request.numatune, name);
  if (override) return override;
  const spec = request.guests.find((guest) => guest.guest.name === name);
  return spec?.numatune ?? { mode: 'none', nodeset: [] };
}

/** The guests' processes as the replay starts them, overrides applied. */
export function placedGuest(
  request: SimulationRequest,
  name: string,
  notes: Note[] = [],
): GuestProcess {
  const spec = request.guests.find((guest) => guest.guest.name === name);
  if (!spec)
    throw new AdvisorInputError('unknown-guest', '/guests', `There is no guest "${name}".`);
  return withSettings(request, spec, notes);
}

/** The guest as `placedGuest` has it, where only the vCPUs run that nothing pins in its document; all of them where it pins none. */
export function unpinnedGuest(request: SimulationRequest, spec: GuestSpec): GuestProcess {
  return settled(request, withoutVcpupin(spec), []);
}

function withSettings(request: SimulationRequest, spec: GuestSpec, notes: Note[]): GuestProcess {
  return withVcpupin(spec, settled(request, withoutVcpupin(spec), notes));
}

function settled(request: SimulationRequest, spec: GuestSpec, notes: Note[]): GuestProcess {
  const { name } = spec.guest;
  let { guest }: { guest: GuestProcess } = spec;
  const numatune = ownValue(request.numatune, name);
  if (numatune) {
    const placed = applyPlacement(spec, numatune, request.host);
    // A guest that is pinned by the same change does not follow its numatune.
    if (!ownValue(request.pinning, name)) notes.push(...placed.notes);
    guest = placed.guest;
  }
  const pinning = ownValue(request.pinning, name);
  if (pinning) guest = applyPinning(guest, pinning);
  const backing = ownValue(request.backing, name);
  // Memory that a running guest has stays on the pages that it is on.
  if (backing !== undefined && spec.state === 'planned') guest = applyBacking(guest, backing);
  return guest;
}

/**
 * The guest as a migration fills it: QEMU's threads fault in what is not preallocated.
 * @differs what the guest touches later, where a balloon gives memory back, comes from the same CPUs
 */
function incomingGuest(
  request: SimulationRequest,
  spec: GuestSpec,
  placed: GuestProcess,
): GuestProcess {
  const { name } = spec.guest;
  const follows = ownValue(request.numatune, name) !== undefined && !isPinned(spec, request.host);
  const isMoved = ownValue(request.pinning, name) !== undefined || follows;
  const emulatorNodes = isMoved ? guestCpuNodes(placed) : spec.emulatorNodes;
  if (emulatorNodes === undefined || emulatorNodes.length === 0) return placed;
  const regions = placed.regions.map((region) =>
    region.hugetlb ? region : { ...region, cpuNodes: emulatorNodes },
  );
  return { ...placed, regions };
}

/** Notes once each, in order of first appearance. */
export function uniqueNotes(notes: Note[]): Note[] {
  const seen = new Set<string>();
  return notes.filter((note) => {
    const key = `${note.code}\n${note.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function sysctlSteps(request: SimulationRequest): ReplayStep[] {
  const overrides = request.sysctl ?? {};
  return sysctlNames(request.host).flatMap((name) => {
    const value = overrides[name];
    return value === undefined ? [] : [{ op: 'sysctl', name, value, label: `vm.${name}` } as const];
  });
}

function thpSteps({ thp }: SimulationRequest): ReplayStep[] {
  if (thp === undefined || (thp.enabled === undefined && thp.defrag === undefined)) return [];
  return [{ op: 'thp', label: 'transparent huge pages', ...thp }];
}

function backgroundSteps(host: HostModel, demand: ResolvedDemand): ReplayStep[] {
  const reads = demand.backgroundCache.filter((entry) => entry.pages > 0);
  if (reads.length === 0) return [];
  const steps = reads.map((entry, i): ReplayStep => ({
    op: 'cache',
    label: `background page cache on node ${entry.node}`,
    file: `background-${i}-node${entry.node}`,
    offsetPages: 0,
    pages: entry.pages,
    cpuNode: nearestFirst(host, entry.node, cpuNodes(host))[0] ?? entry.node,
    policy: { mode: 'bind', nodes: [entry.node] },
    access: entry.access,
    passes: 1,
  }));
  return [...steps, { op: 'settle', label: 'host as found' }];
}

function guestSteps(
  guest: GuestProcess,
  planned: ResolvedDemand['planned'][number],
  ratePagesPerSecond: number | undefined,
): ReplayStep[] {
  const rate = ratePagesPerSecond === undefined ? {} : { ratePagesPerSecond };
  const readers = guestCpuNodes(guest);
  const shares = splitEvenly(planned.diskCachePages, readers.length);
  let offsetPages = 0;
  const disk = readers.flatMap((cpuNode, i): ReplayStep[] => {
    const pages = shares[i] ?? 0;
    if (pages === 0) return [];
    const step: ReplayStep = {
      op: 'cache',
      label: `disks of ${guest.name}`,
      file: `disk:${guest.name}`,
      offsetPages,
      pages,
      cpuNode,
      ...cachePolicy(guest),
      access: 'read',
      passes: 1,
      ...rate,
    };
    offsetPages += pages;
    return [step];
  });
  const start: ReplayStep = {
    op: 'guest',
    label: `${guest.name} starts`,
    guest,
    touchPages: planned.touchPages,
    ...rate,
  };
  return [start, ...disk];
}

function runningGuests(request: SimulationRequest, notes: Note[]): RunningGuest[] {
  return request.guests.flatMap((spec) => {
    if (spec.state !== 'running') return [];
    if (ownValue(request.numatune, spec.guest.name)) {
      notes.push({
        code: 'running-guest-stays',
        message:
          `${spec.guest.name} is running: the numatune override applies to memory that it touches later; ` +
          'its resident pages stay where they are.',
      });
    }
    const placed = placedGuest(request, spec.guest.name, notes);
    return [{ ...spec.guest, regions: placed.regions }];
  });
}

/** A list replaces a list and a number a number; what the kernel makes of it is the simulator's matter. */
function checkSysctlValue(host: HostModel, name: SysctlName, value: unknown): void {
  const isCount = (item: unknown) => Number.isSafeInteger(item) && (item as number) >= 0;
  const isList = Array.isArray(host.sysctl[name]);
  if (isList ? Array.isArray(value) && value.every(isCount) : isCount(value)) return;
  throw new AdvisorInputError(
    'invalid-sysctl',
    `/sysctl/${name}`,
    `Found ${JSON.stringify(value)}; expected ${isList ? 'a list of whole numbers' : 'a whole number'} from 0.`,
  );
}

function checkOverrides(request: SimulationRequest): void {
  const names = sysctlNames(request.host);
  for (const [name, value] of Object.entries(request.sysctl ?? {})) {
    if (names.includes(name as SysctlName)) {
      checkSysctlValue(request.host, name as SysctlName, value);
      continue;
    }
    throw new AdvisorInputError(
      'unknown-sysctl',
      `/sysctl/${name}`,
      `Found "${name}"; the settings that can be replayed are: ${names.join(', ')}.`,
    );
  }
  for (const [name, setting] of Object.entries(request.numatune ?? {})) {
    if (!request.guests.some((spec) => spec.guest.name === name)) {
      throw new AdvisorInputError(
        'unknown-guest',
        `/numatune/${name}`,
        `Found "${name}"; the guests are: ${request.guests.map((g) => g.guest.name).join(', ') || 'none'}.`,
      );
    }
    checkSetting(request.host, setting, `/numatune/${name}`);
  }
  (request.demand.backgroundCache ?? []).forEach((entry, i) =>
    checkNodes(request.host, [entry.node], `/demand/backgroundCache/${i}/node`),
  );
}

function checkSetting(host: HostModel, setting: NumatuneValue, path: string): void {
  if (!MODES.includes(setting.mode)) {
    throw new AdvisorInputError(
      'unknown-mode',
      `${path}/mode`,
      `Found "${String(setting.mode)}"; expected one of ${MODES.join(', ')}.`,
    );
  }
  if (setting.mode !== 'none' && nodeUnion(setting.nodeset).length === 0) {
    throw new AdvisorInputError(
      'empty-nodeset',
      `${path}/nodeset`,
      `${setting.mode} needs at least one host node; the nodeset is empty.`,
    );
  }
  checkNodes(host, setting.nodeset, `${path}/nodeset`);
  (setting.memnodes ?? []).forEach((memnode, i) =>
    checkSetting(host, memnode, `${path}/memnodes/${i}`),
  );
}

function checkNodes(host: HostModel, nodes: number[], path: string): void {
  const usable = memoryNodes(host);
  for (const node of nodes) {
    if (usable.includes(node)) continue;
    throw new AdvisorInputError(
      host.nodes.some((known) => known.nodeId === node) ? 'no-memory-node' : 'unknown-node',
      path,
      `Found node ${node}; the host's nodes with memory are ${usable.join(', ')}.`,
    );
  }
}

function sysctlNames(host: HostModel): SysctlName[] {
  return (Object.keys(host.sysctl) as SysctlName[]).sort();
}

/** Whole pages, the first shares take the remainder. */
function splitEvenly(pages: number, parts: number): number[] {
  const base = Math.floor(pages / Math.max(1, parts));
  const rest = pages - base * parts;
  return Array.from({ length: parts }, (_, i) => base + (i < rest ? 1 : 0));
}
