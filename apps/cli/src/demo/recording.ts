import type { Candidate, RecommendationContent } from '@zonewise/advisor';
import { mib, render } from '../table';

type Range = [min: number, median: number, max: number];

/** examples/recorded-kernel.json: what a real kernel did on the example host, in pages. */
export interface Recordings {
  recordings: {
    setting: string;
    plannedMode: string;
    zoneReclaimMode: number;
    guestPagesByNode: Record<string, Record<string, Range>>;
    inactiveFilePagesByNode: Record<string, Range>;
    oomKills: number;
  }[];
}

/** The replay with exactly the settings of a recording: all planned guests in its mode, nothing else changed. */
function replayOf(recording: Recordings['recordings'][number], candidates: Candidate[]) {
  return candidates.find((candidate) => {
    const { zone_reclaim_mode: mode = 0, ...others } = candidate.sysctl;
    return (
      mode === recording.zoneReclaimMode &&
      Object.keys(others).length === 0 &&
      candidate.outcome.guests.every(
        (guest) => guest.state === 'running' || guest.mode === recording.plannedMode,
      )
    );
  });
}

function range([min, , max]: Range): string {
  return mib(min) === mib(max) ? mib(min) : `${mib(min)} to ${mib(max)}`;
}

/** Replay beside recording, MiB per VM and node, for every recorded setting that was replayed. */
export function recordingTable(
  { recordings }: Recordings,
  { evidence }: RecommendationContent,
): string {
  const candidates = [evidence.baseline, evidence.advised, ...evidence.alternatives];
  const rows = recordings.flatMap((recording) => {
    const outcome = replayOf(recording, candidates)?.outcome;
    if (outcome === undefined) return [];
    const guests = outcome.guests.flatMap((guest) =>
      guest.pagesByNode.map(({ nodeId, pages }) => [
        recording.setting,
        guest.name,
        `node ${nodeId}`,
        mib(pages),
        range(recording.guestPagesByNode[guest.name]?.[`node${nodeId}`] ?? [0, 0, 0]),
      ]),
    );
    const cache = outcome.nodes.map(({ nodeId, fileCachePages }) => [
      recording.setting,
      'page cache',
      `node ${nodeId}`,
      mib(fileCachePages),
      range(recording.inactiveFilePagesByNode[`node${nodeId}`] ?? [0, 0, 0]),
    ]);
    return [...guests, ...cache];
  });
  const title = 'Replay beside what a real Linux 6.1 kernel did on this host (MiB)';
  return `${title}\n\n${render(['setting', 'what', 'where', 'replay', 'kernel'], rows)}`;
}
