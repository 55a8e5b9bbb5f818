/** One number for the whole final state: equal inputs and seeds must give equal hashes everywhere. */
import { createHash } from 'node:crypto';
import { MAX_ORDER, NR_MIGRATE_TYPES } from './buddy';
import type { KernelState } from './kernel-state';
import { piecesOf } from './lru';
import { lruvecsOf } from './lruvec';
import { takeSnapshot } from './snapshot';

/** JSON with sorted keys, so that insertion order does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** sha256, hexadecimal, over counters, lists in order, per-CPU lists, owners and the seed. */
export function stateHash(k: KernelState): string {
  const hash = createHash('sha256');
  hash.update(canonical({ seed: k.seed, snapshot: takeSnapshot(k), thp: k.thp, swap: k.swap }));
  for (const zone of k.zones) {
    hash.update(zone.buddy.types);
    for (let order = 0; order < MAX_ORDER; order += 1) {
      for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
        hash.update(`${order}.${type}:${zone.buddy.list(order, type).join(',')};`);
      }
    }
    for (const pcp of zone.pcps) {
      hash.update(canonical([pcp.pages, pcp.freeFactor, pcp.lists.map((list) => list.pieces())]));
    }
  }
  for (const { sizeKib, nodes } of k.hugetlb) {
    for (const { free } of nodes)
      hash.update(`${sizeKib}:${free.map(({ frame }) => frame).join()};`);
  }
  for (const node of k.nodes) {
    const { state, nextNs, order, classIndex } = node.kswapd;
    hash.update(`${node.id}|${state}|${nextNs}|${order}|${classIndex}|${node.nonresidentAge};`);
    for (const list of lruvecsOf(node).flatMap(({ lists }) => lists)) {
      for (const run of list.runs().flatMap(piecesOf)) {
        // A single page has neither direction nor neighbours, whatever it was cut from.
        const [step, stride] = run.pages === 1 ? [1, 1] : [run.step, run.stride];
        hash.update(
          `${run.owner.name}|${run.zone.index}|${run.frame}|${step}|${run.pages}|` +
            `${run.offset}|${stride}|${+run.mapped}${+run.young}${+run.referenced}${+run.workingset}${+run.dirty}${+run.writeback}${+run.reclaim}${+run.huge}${run.swapCached ? 's' : ''};`,
        );
      }
    }
  }
  return hash.digest('hex');
}
