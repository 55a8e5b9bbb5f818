/** One number for the whole final state: equal inputs and seeds must give equal hashes everywhere. */
import { createHash, type Hash } from 'node:crypto';
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

/** Characters that are hashed at once. */
const CHUNK = 2 ** 16;

/** Text in many small pieces, which the hash would take one by one. */
class HashedText {
  private text = '';

  constructor(private readonly hash: Hash) {}

  add(piece: string): void {
    this.text += piece;
    if (this.text.length >= CHUNK) this.flush();
  }

  flush(): void {
    this.hash.update(this.text);
    this.text = '';
  }
}

/** sha256, hexadecimal, over counters, lists in order, per-CPU lists, owners and the seed. */
export function stateHash(k: KernelState): string {
  const hash = createHash('sha256');
  const text = new HashedText(hash);
  text.add(canonical({ seed: k.seed, snapshot: takeSnapshot(k), thp: k.thp, swap: k.swap }));
  for (const zone of k.zones) {
    text.flush();
    hash.update(zone.buddy.types);
    for (let order = 0; order < MAX_ORDER; order += 1) {
      for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
        text.add(`${order}.${type}:${zone.buddy.list(order, type).join(',')};`);
      }
    }
    for (const pcp of zone.pcps) {
      text.add(canonical([pcp.pages, pcp.freeFactor, pcp.lists.map((list) => list.pieces())]));
    }
  }
  for (const { sizeKib, nodes } of k.hugetlb) {
    for (const { free } of nodes) text.add(`${sizeKib}:${free.map(({ frame }) => frame).join()};`);
  }
  for (const node of k.nodes) {
    const { state, nextNs, order, classIndex } = node.kswapd;
    text.add(`${node.id}|${state}|${nextNs}|${order}|${classIndex}|${node.nonresidentAge};`);
    for (const list of lruvecsOf(node).flatMap(({ lists }) => lists)) {
      for (const run of list.runs().flatMap(piecesOf)) {
        // A single page has neither direction nor neighbours, whatever it was cut from.
        const [step, stride] = run.pages === 1 ? [1, 1] : [run.step, run.stride];
        text.add(
          `${run.owner.name}|${run.zone.index}|${run.frame}|${step}|${run.pages}|` +
            `${run.offset}|${stride}|${+run.mapped}${+run.young}${+run.referenced}${+run.workingset}${+run.dirty}${+run.writeback}${+run.reclaim}${+run.huge}${run.swapCached ? 's' : ''};`,
        );
      }
    }
  }
  text.flush();
  return hash.digest('hex');
}
