/** What a stored host adds to the advice of a report: settings in force, and what another value would do on it. */
import {
  kernelProfileOf,
  kernelProfiles,
  setupPerZoneWmarks,
  type HostModel,
} from '@zonewise/simulator';
import { sizesOf } from '../build/settings';
import type { Diagnosis, ZoneVerdict } from './diagnose';
import type { LogAdvice } from './log-advice';

/**
 * The diagnosis with evidence of the host that the log is from: each advice that a setting of the host bears on
 * names what is in force and which value would have been enough. Advice without such a setting stays as it is.
 */
export function withHostEvidence(diagnosis: Diagnosis, host: HostModel): Diagnosis {
  const advice = diagnosis.advice.map((one) => {
    if (one.code === 'raise-min-free') return raiseMarks(one, diagnosis, host);
    if (one.code === 'widen-nodes') return spareNodes(one, diagnosis, host);
    return one;
  });
  return { ...diagnosis, advice };
}

/** The zone that came nearest to serving the request. */
function nearestZone({ zones }: Diagnosis): ZoneVerdict | undefined {
  const refused = zones.filter(({ min }) => min?.refusedBy === 'free-pages');
  return refused.sort((a, b) => (a.min?.missingPages ?? 0) - (b.min?.missingPages ?? 0))[0];
}

/**
 * The least watermark_scale_factor that lifts the low mark of the zone by as many pages as were missing: kswapd
 * then starts that much earlier.
 * @kernel mm/page_alloc.c __setup_per_zone_wmarks()
 */
function raiseMarks(advice: LogAdvice, diagnosis: Diagnosis, host: HostModel): LogAdvice {
  const nearest = nearestZone(diagnosis);
  const all = host.nodes.flatMap(({ nodeId, zones }) => zones.map((zone) => ({ nodeId, zone })));
  const at = all.findIndex(
    ({ nodeId, zone }) => nodeId === nearest?.nodeId && zone.name === nearest.zone,
  );
  if (nearest === undefined || at < 0) return advice;
  const { min_free_kbytes: minFree, watermark_scale_factor: factor } = host.sysctl;
  const sizes = sizesOf(all.map(({ zone }) => zone));
  const lowWith = (scale: number): number =>
    setupPerZoneWmarks(sizes, minFree, scale)[at]?.lowPages ?? 0;
  const lowPages = lowWith(factor);
  const wanted = lowPages + (nearest.min?.missingPages ?? 0);
  const most = mostFactor(host);
  let advised = factor;
  while (advised < most && lowWith(advised) < wanted) advised += 1;
  const evidence = {
    ...advice.evidence,
    minFreeKbytes: minFree,
    watermarkScaleFactor: factor,
    lowPages,
  };
  if (lowWith(advised) < wanted) return { ...advice, evidence };
  const advisedLowPages = lowWith(advised);
  return {
    ...advice,
    message: `${advice.message} On this host vm.watermark_scale_factor ${advised} in place of ${factor} lifts the low mark of node ${nearest.nodeId} ${nearest.zone} from ${lowPages} to ${advisedLowPages} pages.`,
    evidence: { ...evidence, advisedWatermarkScaleFactor: advised, advisedLowPages },
  };
}

function mostFactor({ kernelRelease, kernelProfile }: HostModel): number {
  const match = kernelRelease === undefined ? undefined : kernelProfileOf(kernelRelease);
  return (match?.profile ?? kernelProfiles[kernelProfile]).watermarkScaleFactorMax;
}

/** Nodes that the request could not use, as they were stored: the report need not list them. */
function spareNodes(advice: LogAdvice, { allowedNodes }: Diagnosis, host: HostModel): LogAdvice {
  const others = host.nodes.filter(({ nodeId }) => allowedNodes?.includes(nodeId) === false);
  const spare = others.map(({ nodeId, zones }) => ({
    nodeId,
    pages: zones.reduce((sum, zone) => sum + Math.max(zone.freePages - zone.highPages, 0), 0),
  }));
  const stored = spare.filter(({ pages }) => pages > 0);
  if (stored.length === 0) return advice;
  const where = stored.map(({ nodeId, pages }) => `${pages} on node ${nodeId}`).join(', ');
  const storedSparePages = stored.reduce((sum, { pages }) => sum + pages, 0);
  return {
    ...advice,
    message: `${advice.message} As the host is stored, pages above the high marks are free elsewhere: ${where}.`,
    evidence: { ...advice.evidence, storedSparePages },
  };
}
