import { formatCount, formatMib, formatMs, formatPercent, formatSome } from '../format';
import type { Evaluated } from '../evaluator';
import { lossCounts } from '../losses';
import { unheldGuests } from '../matching-pins';
import type { Note } from '../placement';
import type { AdviceRequest, Outcome, RecommendationContent, SimulationRequest } from '../types';

/**
 * What could make the advice wrong. `mechanism`: the host's kernel does something that the replay does not.
 * `pace`: figures that follow the hardware profile's pace. `estimate`: an input that was not measured. `margin`: how
 * little growth flips the verdict. `drift`: the host has changed since it was described.
 */
export interface Risk {
  kind: 'mechanism' | 'pace' | 'estimate' | 'margin' | 'drift';
  code: string;
  message: string;
}

/** Growth below which a verdict counts as close to its edge. */
const CLOSE_PERCENT = 20;
const PACE_CAVEAT = 'pace-not-validated';

/** The advised configuration replayed on other hardware: the same decisions at another pace. */
export interface PaceSensitivity {
  hardware: string;
  outcome: Outcome;
  /** At its own pace; in miniature where the other one is. */
  own: Outcome;
  /** Sizes of both replays were divided by this. */
  scale: number;
}

/** Whether any figure of a replay follows a pace. */
export function followsPace(outcome: Outcome): boolean {
  const { kswapdReclaimedPages, nodeReclaimedPages, directReclaimedPages } = outcome;
  const reclaimedPages = kswapdReclaimedPages + nodeReclaimedPages + directReclaimedPages;
  return reclaimedPages + outcome.swappedOutPages > 0 || outcome.stallNs > 0;
}

/** @param sensitivity absent where the search had no replay left for it */
export function risksOf(
  request: AdviceRequest,
  caveats: Note[],
  advised: Evaluated,
  {
    margin,
    sensitivity,
  }: {
    margin: RecommendationContent['evidence']['margin'];
    sensitivity?: PaceSensitivity | undefined;
  },
): Risk[] {
  return [
    ...caveats
      .filter(({ code }) => code !== PACE_CAVEAT)
      .map((caveat): Risk => ({ kind: 'mechanism', ...caveat })),
    ...unheldRisks(request, advised),
    paceRisk(advised.candidate.outcome, sensitivity),
    ...estimateRisks(request),
    ...marginRisks(margin),
  ];
}

/** vCPUs that are taken to stay near their memory, and that nothing keeps there. */
function unheldRisks(request: AdviceRequest, { change }: Evaluated): Risk[] {
  const names = unheldGuests(request, change);
  if (names.length === 0) return [];
  const message =
    `Nothing pins the vCPUs of ${formatSome(names)}: the replay takes them to run on the nodes of their memory, ` +
    'and the scheduler may run them on any node.';
  return [{ kind: 'mechanism', code: 'vcpus-not-pinned', message }];
}

function paceRisk(outcome: Outcome, sensitivity: PaceSensitivity | undefined): Risk {
  const { kswapdReclaimedPages, nodeReclaimedPages, directReclaimedPages } = outcome;
  const { swappedOutPages, stallNs } = outcome;
  if (!followsPace(outcome)) {
    const message =
      'Nothing was reclaimed, nobody waited and nothing was swapped in the advised replay: where memory goes does not depend on pace there.';
    return { kind: 'pace', code: 'placement-independent-of-pace', message };
  }
  const figures =
    `Of the advised replay, ${formatCount(kswapdReclaimedPages)} pages reclaimed by kswapd, ` +
    `${formatCount(nodeReclaimedPages)} by zone_reclaim, ${formatCount(directReclaimedPages)} in direct reclaim, ` +
    `${formatCount(swappedOutPages)} swapped out and ${formatMs(stallNs)} of waiting follow a modelled pace, ` +
    'which was not measured on this host.';
  const other =
    sensitivity === undefined
      ? ' Another pace was not replayed.'
      : ` At the pace of ${sensitivity.hardware}${miniatureText(sensitivity)}: ` +
        `${paceText(sensitivity.outcome)}, against ${paceText(sensitivity.own)}.`;
  return { kind: 'pace', code: 'figures-follow-pace', message: figures + other };
}

const miniatureText = ({ scale }: PaceSensitivity): string =>
  scale > 1 ? `, all sizes divided by ${scale}` : '';

const paceText = (outcome: Outcome): string =>
  `${lossCounts(outcome)}, ${formatPercent(outcome.remoteShare)} remote, ` +
  `${formatMib(outcome.swappedOutPages)} swapped out, ${formatMs(outcome.stallNs)} waiting`;

function estimateRisks({ guests }: SimulationRequest): Risk[] {
  return guests.flatMap((spec): Risk[] =>
    spec.state === 'running' && spec.residencySource === 'estimated'
      ? [
          {
            kind: 'estimate',
            code: 'residency-estimated',
            message: `Where the memory of ${spec.guest.name} is was not measured (no numa_maps, no numastat -p) but estimated.`,
          },
        ]
      : [],
  );
}

function marginRisks({
  flipsAtPercent,
  verdict,
}: RecommendationContent['evidence']['margin']): Risk[] {
  if (flipsAtPercent === null || flipsAtPercent > CLOSE_PERCENT) return [];
  return [{ kind: 'margin', code: 'little-margin', message: verdict }];
}
