import type { NumatuneValue, Outcome, PlacementMode } from '@zonewise/advisor';
import { mib, render } from '../table';

type Range = [min: number, median: number, max: number];

export interface Recording {
  setting: string;
  plannedMode: PlacementMode;
  /** Of the numatune of all planned guests. */
  plannedNodes: number[];
  zoneReclaimMode: number;
  guestPagesByNode: Record<string, Record<string, Range>>;
  inactiveFilePagesByNode: Record<string, Range>;
  oomKills: number;
}

/** examples/recorded-kernel.json: what a real kernel did on the example host, in pages. */
export interface Recordings {
  recordings: Recording[];
}

/** The body of a simulation with the settings of a recording: all planned guests in its mode on its nodes. */
export function simulationOf(
  { plannedMode: mode, plannedNodes: nodeset, zoneReclaimMode }: Recording,
  planned: readonly string[],
): { numatune: Record<string, NumatuneValue>; sysctl: { zone_reclaim_mode: number } } {
  return {
    numatune: Object.fromEntries(planned.map((name) => [name, { mode, nodeset }])),
    sysctl: { zone_reclaim_mode: zoneReclaimMode },
  };
}

function range([min, , max]: Range): string {
  return mib(min) === mib(max) ? mib(min) : `${mib(min)} to ${mib(max)}`;
}

interface Compared {
  what: string;
  pagesByNode: { nodeId: number; pages: number }[];
  recorded: Record<string, Range>;
}

function compared(recording: Recording, outcome: Outcome): Compared[] {
  const guests = outcome.guests.map(({ name, pagesByNode }) => ({
    what: name,
    pagesByNode,
    recorded: recording.guestPagesByNode[name] ?? {},
  }));
  const pagesByNode = outcome.nodes.map(({ nodeId, fileCachePages }) => ({
    nodeId,
    pages: fileCachePages,
  }));
  return [
    ...guests,
    { what: 'page cache', pagesByNode, recorded: recording.inactiveFilePagesByNode },
  ];
}

/** Recordings beside the replays of their settings, MiB per VM and node. */
export function recordingTable(
  pairs: readonly { recording: Recording; outcome: Outcome }[],
): string {
  const nodeIds = pairs[0]?.outcome.nodes.map((node) => node.nodeId) ?? [];
  const rows = pairs.flatMap(({ recording, outcome }) =>
    compared(recording, outcome).map(({ what, pagesByNode, recorded }, index) => [
      index === 0 ? recording.setting : '',
      what,
      ...nodeIds.flatMap((id) => [
        mib(pagesByNode.find((entry) => entry.nodeId === id)?.pages ?? 0),
        range(recorded[`node${id}`] ?? [0, 0, 0]),
      ]),
    ]),
  );
  const nodeHeads = nodeIds.flatMap((id) => [`node ${id} replay`, `node ${id} kernel`]);
  const title = 'Replay beside what a real Linux 6.1 kernel did on this host (MiB)';
  return `${title}\n\n${render(['setting', 'what', ...nodeHeads], rows)}`;
}
