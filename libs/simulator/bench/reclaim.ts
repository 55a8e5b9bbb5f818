/** Measurements of what advice waits for: reclaim while guests grow, and the start of a replay. */
import { buildKernel } from '../src/kernel';
import { stateHash } from '../src/state-hash';
import type { HostModel } from '../src/types';
import { makeHost } from '../test/host';
import type { MachineConfig } from '../test/machine';
import { productionMachine } from '../test/production-machine';
import { comparePhases, NOT_COUNTED, nsPerPage, type Bench, type Result } from './benches';
import { PAGES_PER_GIB, reclaimMachine, reclaimOps } from './machines';
import { best, eventCounts, productionHash, timed, type Took } from './measure';

/** Shares of the memory, in 64ths: what is page cache, what all guests want, what swap has room for. */
interface Shares {
  cache: number;
  guests: number;
  swap: number;
}

/** Guests need twelve gibibytes of 64 more than is free, which page cache gives up. */
const OF_CACHE: Shares = { cache: 40, guests: 36, swap: 0 };
/** They need more than there is: cache and their own pages go. */
const OF_SWAP: Shares = { cache: 8, guests: 72, swap: 32 };

function config(gib: number, { swap }: Shares): MachineConfig {
  return reclaimMachine(gib * PAGES_PER_GIB, Math.floor((gib * PAGES_PER_GIB * swap) / 64));
}

/**
 * Ten guests grow on two nodes with page cache on both. The reference runs a small machine; its time per
 * page is held against the large one's. Pages are those that the guests touch.
 */
export function reclaimBench(
  name: string,
  shares: Shares,
  gib: number,
  referenceGib: number,
  tries = { production: 5, reference: 1 },
): Bench {
  const small = (rounds: typeof tries): Result => {
    const [fill, grow] = reclaimOps(referenceGib * PAGES_PER_GIB, shares);
    const phases = [
      { name: 'fill', ops: fill },
      { name, ops: grow },
    ];
    return comparePhases(config(referenceGib, shares), phases, { gib: referenceGib }, rounds)[1]!;
  };
  const large = (): Result => {
    const [fill, grow] = reclaimOps(gib * PAGES_PER_GIB, shares);
    const rounds: Took[] = [];
    let machine = productionMachine(config(gib, shares));
    for (let round = 0; round < tries.production; round += 1) {
      if (round > 0) machine = productionMachine(config(gib, shares));
      for (const op of fill) machine.run(op);
      rounds.push(timed(machine, grow));
    }
    const took = best(rounds);
    return {
      name: `${name}, ${gib} GiB`,
      params: { gib, pages: took.pages, ...eventCounts(machine) },
      ms: took.cpuMs,
      wallMs: took.wallMs,
      nsPerPage: nsPerPage(took),
      referenceRatio: null,
      referenceNsPerPage: null,
      ...NOT_COUNTED,
      stateHash: productionHash(machine),
      referenceHash: null,
    };
  };
  return {
    name,
    warmUp: () => void small({ production: 3, reference: 1 }),
    run: () => {
      const first = { ...small(tries), name: `${name}, ${referenceGib} GiB` };
      const { referenceNsPerPage } = first;
      const result = large();
      const referenceRatio = referenceNsPerPage! / result.nsPerPage;
      return [first, { ...result, referenceNsPerPage, referenceRatio }];
    },
  };
}

/** Eight nodes with 32 CPUs each, half full of page cache; `turn` makes hosts that differ by a page. */
function startHost(gib: number, turn: number): HostModel {
  const pages = Math.floor((gib * PAGES_PER_GIB) / 8);
  const shape = { cpus: 32, zones: [{ name: 'Normal' as const, pages }] };
  const host = makeHost(new Array<typeof shape>(8).fill(shape), {
    minFreeKib: 90_112,
    usedShare: 0.1,
  });
  for (const node of host.nodes) {
    const zone = node.zones[0]!;
    const cached = Math.floor(pages / 2) + turn;
    zone.freePages -= cached;
    zone.freeBlocks = [zone.freePages % 1024, ...new Array<number>(9).fill(0)];
    zone.freeBlocks.push(Math.floor(zone.freePages / 1024));
    node.lru.inactiveFilePages = cached;
    node.filePages = cached;
  }
  return host;
}

/** The state before the first step: of a host that was never seen, and of one that was replayed before. */
export function startBench(gib: number, tries = 5): Bench {
  const pages = gib * PAGES_PER_GIB;
  let turn = 0;
  const start = (host: HostModel): { took: Took; hash: string } => {
    const wall = process.hrtime.bigint();
    const before = process.cpuUsage();
    const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
    const { user, system } = process.cpuUsage(before);
    const wallMs = Number(process.hrtime.bigint() - wall) / 1e6;
    return { took: { cpuMs: (user + system) / 1000, wallMs, pages }, hash: stateHash(k) };
  };
  const result = (name: string, starts: ReturnType<typeof start>[]): Result => {
    const took = best(starts.map((one) => one.took));
    return {
      name: `start-state, ${gib} GiB: ${name}`,
      params: { gib, pages },
      ms: took.cpuMs,
      wallMs: took.wallMs,
      nsPerPage: nsPerPage(took),
      referenceRatio: null,
      referenceNsPerPage: null,
      ...NOT_COUNTED,
      stateHash: starts[0]!.hash.slice(0, 16),
      referenceHash: null,
    };
  };
  const measure = (rounds: number): Result[] => {
    const hosts = Array.from({ length: rounds }, () => startHost(gib, turn++));
    const news = hosts.map(start);
    const first = result('new host', news);
    const known = hosts[rounds - 1]!;
    const again = result(
      'known host',
      [...news.keys()].map(() => start(known)),
    );
    return [
      { ...first, stateHash: news[rounds - 1]!.hash.slice(0, 16) },
      {
        ...again,
        referenceNsPerPage: first.nsPerPage,
        referenceRatio: first.nsPerPage / again.nsPerPage,
        referenceHash: news[rounds - 1]!.hash.slice(0, 16),
      },
    ];
  };
  return { name: 'start-state', warmUp: () => void measure(1), run: () => measure(tries) };
}

/** What `npm run bench` runs besides the core. */
export const RECLAIM_BENCHES: readonly Bench[] = [
  reclaimBench('reclaim-cache', OF_CACHE, 64, 1),
  reclaimBench('reclaim-swap', OF_SWAP, 16, 1),
  startBench(1024),
];
