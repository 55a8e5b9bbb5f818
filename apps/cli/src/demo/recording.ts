import { changeCount, type Candidate, type RecommendationContent } from '@zonewise/advisor';
import { mib, render } from '../table';

type Range = [min: number, median: number, max: number];

interface Recording {
  setting: string;
  plannedMode: string;
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

/** The replay with exactly the settings of a recording: all planned guests in its mode on its nodes, nothing else changed. */
function replayOf(recording: Recording, candidates: Candidate[]): Candidate | undefined {
  const nodes = recording.plannedNodes.join();
  return candidates.find((candidate) => {
    const { zone_reclaim_mode: mode = 0, ...others } = candidate.sysctl;
    return (
      mode === recording.zoneReclaimMode &&
      changeCount({ ...candidate, sysctl: others, numatune: {} }) === 0 &&
      candidate.outcome.guests.every(
        (guest) =>
          guest.state === 'running' ||
          (guest.mode === recording.plannedMode && guest.nodeset.join() === nodes),
      )
    );
  });
}

function range([min, , max]: Range): string {
  return mib(min) === mib(max) ? mib(min) : `${mib(min)} to ${mib(max)}`;
}

interface Compared {
  what: string;
  pagesByNode: { nodeId: number; pages: number }[];
  recorded: Record<string, Range>;
}

function compared(recording: Recording, outcome: Candidate['outcome']): Compared[] {
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

/** Replay beside recording, MiB per VM and node, for every recorded setting that was replayed. */
export function recordingTable(
  { recordings }: Recordings,
  { evidence }: RecommendationContent,
): string {
  const candidates = [evidence.baseline, evidence.advised, ...evidence.alternatives];
  const nodeIds = evidence.baseline.outcome.nodes.map((node) => node.nodeId);
  const rows = recordings.flatMap((recording) => {
    const outcome = replayOf(recording, candidates)?.outcome;
    if (outcome === undefined) return [];
    return compared(recording, outcome).map(({ what, pagesByNode, recorded }, index) => [
      index === 0 ? recording.setting : '',
      what,
      ...nodeIds.flatMap((id) => [
        mib(pagesByNode.find((entry) => entry.nodeId === id)?.pages ?? 0),
        range(recorded[`node${id}`] ?? [0, 0, 0]),
      ]),
    ]);
  });
  const nodeHeads = nodeIds.flatMap((id) => [`node ${id} replay`, `node ${id} kernel`]);
  const title = 'Replay beside what a real Linux 6.1 kernel did on this host (MiB)';
  return `${title}\n\n${render(['setting', 'what', ...nodeHeads], rows)}`;
}
