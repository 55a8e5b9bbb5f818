/** What to change, with the numbers of the report that speak for it. */
import type { Diagnosis } from './diagnose';
import type { LogReport } from './log-report';

export interface LogAdvice {
  code:
    | 'widen-nodes'
    | 'raise-group-limit'
    | 'add-swap'
    | 'raise-min-free'
    | 'larger-blocks'
    | 'fewer-guests';
  message: string;
  /** Counts of the report that the advice rests on, by name; pages unless the name says otherwise. */
  evidence: Record<string, number>;
}

type Found = Omit<Diagnosis, 'advice'>;

/** The most telling first; empty where the report alone does not say. */
export function adviceFor(report: LogReport, found: Found): LogAdvice[] {
  const has = new Set(found.reasons.map(({ code }) => code));
  const advice: LogAdvice[] = [];
  if (report.memcg) {
    const { usageKib, limitKib } = report.memcg;
    const message =
      'The group has reached its limit: raise memory.max (libvirt: memtune hard_limit), or give the guest less. QEMU itself and its devices count beside the guest memory.';
    advice.push({ code: 'raise-group-limit', message, evidence: { usageKib, limitKib } });
    return advice;
  }
  const widen = widenNodes(found);
  if (widen) advice.push(widen);
  if (has.has('no-swap')) {
    const anonPages = found.zones.reduce((sum, zone) => sum + zone.anonPages, 0);
    const message =
      'Without swap a node full of guest memory has nothing to give: add swap, or leave room.';
    advice.push({ code: 'add-swap', message, evidence: { anonPages } });
  }
  if (has.has('may-not-wait')) advice.push(...raiseMinFree(found));
  if (has.has('fragmented') && found.request.order > 0) {
    const { order, pages } = found.request;
    const message = `Blocks of ${pages} pages are missing, not memory: let compaction work ahead (vm.compaction_proactiveness, or writing 1 to vm.compact_memory), keep more free (vm.min_free_kbytes), or have the driver ask for single pages.`;
    advice.push({ code: 'larger-blocks', message, evidence: { order, pages } });
  }
  if (report.kind === 'oom' && !widen && has.has('cache-gone')) {
    const freePages = found.nodes.reduce((sum, node) => sum + node.freePages, 0);
    const message =
      'All nodes that the request may use are full of memory that cannot be dropped: the guests do not fit.';
    advice.push({ code: 'fewer-guests', message, evidence: { freePages } });
  }
  return advice;
}

/** Other nodes than the request's had pages to spare. */
function widenNodes(found: Found): LogAdvice | undefined {
  const { nodes, allowedNodes, exhaustedNodes, unlistedFreePages } = found;
  if (allowedNodes === null || exhaustedNodes.length === 0) return undefined;
  const others = nodes.filter(({ allowed, sparePages }) => !allowed && sparePages > 0);
  const listed = others.reduce((sum, node) => sum + node.sparePages, 0);
  // Marks of nodes that are not listed are not known; those of the ones that are listed are a measure.
  const reserve = found.zones.reduce((sum, { highPages }) => sum + highPages, 0);
  const unlisted = unlistedFreePages > reserve ? unlistedFreePages : 0;
  if (listed + unlisted === 0) return undefined;
  const where = [
    ...others.map(
      ({ nodeId, sparePages }) => `${sparePages} above the high marks of node ${nodeId}`,
    ),
    ...(unlisted > 0 ? [`${unlisted} on nodes that the report does not list`] : []),
  ];
  return {
    code: 'widen-nodes',
    message: `The request was bound to node ${allowedNodes.join(', ')} while pages were free elsewhere: ${where.join(', ')}. numatune mode preferred, or a nodeset with more nodes, would have placed it there; else move a guest off the node.`,
    evidence: { sparePages: listed, unlistedFreePages: unlisted },
  };
}

function raiseMinFree({ zones }: Found): LogAdvice[] {
  const missing = zones.flatMap(({ min }) =>
    min?.refusedBy === 'free-pages' ? [min.missingPages] : [],
  );
  if (missing.length === 0) return [];
  const missingPages = Math.min(...missing);
  const message = `Requests that cannot wait live on what kswapd keeps free: raise vm.min_free_kbytes or vm.watermark_scale_factor so that it starts earlier. The zone that came nearest lacked ${missingPages} pages.`;
  return [{ code: 'raise-min-free', message, evidence: { missingPages } }];
}
