/** Which running guests, moved on a way of `routes.ts`, would make room for the guests that a plan loses. Counted, not replayed. */
import { wantedNodes, wantedPages } from '../bounds';
import { placedGuest } from '../compile';
import type { ResolvedDemand } from '../demand';
import { formatList, formatMib } from '../format';
import { formatNodeset, nodesText, nodeUnion } from '../host-nodes';
import { lostNames } from '../losses';
import type { AdviceRequest, Outcome } from '../types';
import { roomOn, waysOf, type Advised, type Route, type Ways } from './routes';

/** Memory that lost guests want, and the nodes that they may have it from. */
interface Wanted {
  nodes: number[];
  pages: number;
}

type Room = ReadonlyMap<number, number>;

/** One guest moved on one way. */
interface Move {
  ways: Ways;
  route: Route;
}

/** Sets of nodes that lost guests may use; each more doubles what is looked at. */
const NODE_SETS_MAX = 12;

/**
 * `restarting vm3 (4,096 MiB on node 1) with its memory on node 0 would make it fit ...`, of the guest whose move is enough,
 * else of as many as are. Ways in the order of `routesOf`: those without a restart come first.
 * @param advised its replay has who is lost and the room that is left; what they had is free again there
 * @returns undefined where no way makes enough room, and where anything but room on nodes is missing
 */
export function fittingText(
  request: AdviceRequest,
  demand: ResolvedDemand,
  advised: Advised,
): string | undefined {
  const wanted = wantedByLost(request, demand, advised.outcome);
  if (wanted === undefined || wanted.length === 0) return undefined;
  const room: Room = new Map(
    advised.outcome.nodes.map((node) => [node.nodeId, roomOn(node, request.host).roomPages]),
  );
  const { pages, nodes } = missing(wanted, room);
  if (pages === 0) return undefined;
  const isEnough = (moves: Move[]): boolean =>
    missing(wanted, moves.reduce(after, room)).pages === 0;
  const movesOf = (ways: Ways): Move[] =>
    ways.routes.filter(({ possible }) => possible).map((route) => ({ ways, route }));
  const all = waysOf(request, advised).map(movesOf);
  const alone = all.flat().find((move) => isEnough([move]));
  const several = all.flatMap((moves) => moves.slice(0, 1));
  const count = several.findIndex((_, i) => isEnough(several.slice(0, i + 1))) + 1;
  const moves = alone ? [alone] : several.slice(0, count);
  if (moves.length === 0) return undefined;
  return (
    `${formatList(moves.map(moveText))} would make it fit: ${formatMib(pages)} are missing on ${nodesText(nodes)} ` +
    '(counted, not replayed)'
  );
}

/**
 * A running guest wants its memory where it is. Undefined where other processes are lost, and where pools of huge pages
 * decide.
 */
function wantedByLost(
  request: AdviceRequest,
  demand: ResolvedDemand,
  outcome: Outcome,
): Wanted[] | undefined {
  const wanted: Wanted[] = [];
  for (const name of lostNames(outcome)) {
    const running = request.guests.find(({ guest }) => guest.name === name);
    if (running?.state === 'running') {
      running.guest.residency.forEach(({ nodeId, pages }) =>
        wanted.push({ nodes: [nodeId], pages }),
      );
      continue;
    }
    const planned = demand.planned.find(({ spec }) => spec.guest.name === name);
    if (planned === undefined) return undefined;
    const { regions } = placedGuest(request, name);
    if (regions.some(({ hugetlb }) => hugetlb !== undefined)) return undefined;
    const nodes = wantedNodes(request, planned.spec);
    regions.forEach((_, i) =>
      wanted.push({ nodes: nodes[i] ?? [], pages: planned.touchPages[i] ?? 0 }),
    );
    const touched = planned.touchPages.reduce((sum, pages) => sum + pages, 0);
    wanted.push({ nodes: nodes.flat(), pages: wantedPages(planned) - touched });
  }
  return wanted;
}

/**
 * What is missing most, and on which nodes: everything fits if and only if no set of nodes is asked for more than it has by
 * those who may use nothing else (Hall's condition; memory can be divided).
 */
function missing(wanted: readonly Wanted[], room: Room): Wanted {
  const sets = [...new Map(wanted.map(({ nodes }) => [formatNodeset(nodes), nodes])).values()];
  let most: Wanted = { nodes: [], pages: 0 };
  if (sets.length > NODE_SETS_MAX) return most;
  for (let some = 1; some < 2 ** sets.length; some += 1) {
    const nodes = nodeUnion(...sets.filter((_, i) => some & (1 << i)));
    const inside = wanted.filter((one) => one.nodes.every((node) => nodes.includes(node)));
    const asked = inside.reduce((sum, one) => sum + one.pages, 0);
    const pages = asked - nodes.reduce((sum, node) => sum + (room.get(node) ?? 0), 0);
    if (pages > most.pages) most = { nodes, pages };
  }
  return most;
}

/** The room behind a move: what it gains is taken evenly from where the guest's memory is, and as far as there is room. */
function after(room: Room, { ways: { away, awayPages, to }, route }: Move): Room {
  const left = new Map(room);
  const has = to.reduce((sum, node) => sum + (left.get(node) ?? 0), 0);
  const moved = Math.min(route.gainPages, has);
  for (const { nodeId, pages } of away) {
    left.set(nodeId, (left.get(nodeId) ?? 0) + Math.floor((pages * moved) / awayPages));
  }
  let rest = moved;
  for (const node of to) {
    const taken = Math.min(rest, left.get(node) ?? 0);
    left.set(node, (left.get(node) ?? 0) - taken);
    rest -= taken;
  }
  return left;
}

function moveText({ ways: { guest, from, to, awayPages }, route }: Move): string {
  const { kind, gainPages } = route;
  const part = gainPages < awayPages ? `${formatMib(gainPages)} of its ` : '';
  const what = `${guest} (${part}${formatMib(awayPages)} on ${nodesText(from)})`;
  switch (kind) {
    case 'live':
      return `giving ${what} ${nodesText(to)} while it runs`;
    case 'migrate-pages':
      return `moving ${what} to ${nodesText(to)} while it runs`;
    default:
      return `restarting ${what} with its memory on ${nodesText(to)}`;
  }
}
