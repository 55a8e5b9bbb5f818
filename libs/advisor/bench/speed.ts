/**
 * How long advice takes, from the request to the whole evidence. Wall clock, and the processor time of all threads, which
 * a loaded machine stretches less: printed, never asserted.
 */
import { createHash } from 'node:crypto';
import { advise } from '../src/advise';
import { compareOutcomes, judgeOf } from '../src/objective';
import type { AdviceRequest, Outcome } from '../src/types';
import { guestOf } from './guests';
import { buildHost } from './host';

const MIB_PER_GIB = 1024;

interface Shape {
  title: string;
  nodes: number;
  memoryGib: number;
  guests: number;
  demandPercent: number;
  cachePercent: number;
}

const SHAPES: readonly Shape[] = [
  {
    ...{ title: 'small host', nodes: 2, memoryGib: 64, guests: 10 },
    ...{ demandPercent: 70, cachePercent: 20 },
  },
  {
    ...{ title: 'large host', nodes: 8, memoryGib: 1024, guests: 128 },
    ...{ demandPercent: 75, cachePercent: 20 },
  },
];

/** Guests without numatune whose CPUs are pinned unevenly: the first node's do not fit there. */
function requestOf({
  nodes,
  memoryGib,
  guests,
  demandPercent,
  cachePercent,
}: Shape): AdviceRequest {
  const nodeMib = (memoryGib * MIB_PER_GIB) / nodes;
  const host = buildHost({
    nodes: Array.from({ length: nodes }, () => ({
      ...{ memoryMib: nodeMib, cpus: 16, fileMib: Math.floor((nodeMib * cachePercent) / 100) },
      kernelMib: Math.floor(nodeMib / 50),
    })),
    distances: Array.from({ length: nodes }, (_, i) =>
      Array.from({ length: nodes }, (__, j) => (i === j ? 10 : 21)),
    ),
    thp: { enabled: 'madvise', defrag: 'madvise' },
    swapMib: 0,
    sysctl: {},
  });
  const all = Array.from({ length: nodes }, (_, node) => node);
  const memoryMib = Math.floor((memoryGib * MIB_PER_GIB * demandPercent) / 100 / guests / 2) * 2;
  const specs = Array.from({ length: guests }, (_, i) =>
    guestOf(
      {
        ...{ name: `g${i}`, memoryMib, cells: 1, pinned: true, thp: 'huge', diskCacheMib: 0 },
        home: i % 3 === 0 ? 0 : i % nodes,
        mode: 'none',
      },
      all,
      nodes,
    ),
  );
  return { host, guests: specs, demand: {}, seed: 1 };
}

/** Pieces of advice on the small host before the one that is timed: what a service that has run for a while is like. */
const WARM_UPS = 3;

/**
 * One line per measurement: shape, seconds to the first answer that is better than nothing, to all evidence, replays, and a
 * hash of what is advised. The small host is measured in a process that has just begun as well.
 */
export function* measureSpeed(): Generator<string> {
  const [small, ...others] = SHAPES;
  if (small === undefined) return;
  const request = requestOf(small);
  yield `fresh process, ${measured(small, request)}`;
  for (let i = 0; i < WARM_UPS; i += 1) advise(request);
  yield `warmed up, ${measured(small, request)}`;
  for (const shape of others) yield `warmed up, ${measured(shape, requestOf(shape))}`;
}

function measured(shape: Shape, request: AdviceRequest): string {
  const started = Date.now();
  const before = process.cpuUsage();
  const seconds = (): string => {
    const { user, system } = process.cpuUsage(before);
    const wall = ((Date.now() - started) / 1000).toFixed(2);
    return `${wall} s (processor ${((user + system) / 1e6).toFixed(2)} s)`;
  };
  let first: string | undefined;
  const { evidence } = advise(request, {
    onAnswer: ({ replays }) => {
      first ??= `first answer better than today's setting after ${seconds()}, ${replays} replays`;
    },
  });
  const total = seconds();
  const better = isBetter(request, evidence.advised.outcome, evidence.baseline.outcome);
  const hash = createHash('sha256').update(JSON.stringify(evidence.advised)).digest('hex');
  return (
    `${shape.title} (${shape.memoryGib} GiB, ${shape.nodes} nodes, ${shape.guests} guests): ` +
    `${first ?? 'no answer on the way'}; whole evidence after ${total}, ${evidence.replays} replays, ` +
    `${better ? 'better than' : 'same as'} today's setting, result ${hash.slice(0, 16)}`
  );
}

function isBetter({ host, options }: AdviceRequest, advised: Outcome, today: Outcome): boolean {
  return compareOutcomes(advised, today, judgeOf(host, options)) < 0;
}
