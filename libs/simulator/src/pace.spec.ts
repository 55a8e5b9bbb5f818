import { cacheStep, guestStep, makeHost, type NodeShape } from '../test/host';
import { replay } from './replay';
import type { MemoryPolicy, ReplayInput, ReplayResult, ReplayStep } from './types';

/** 128 MiB and two CPUs, so that kswapd works beside the allocating task. */
const NODE: NodeShape = { cpus: 2, zones: [{ name: 'Normal', pages: 32_768 }] };
const PREFER_0: MemoryPolicy = { mode: 'preferred', nodes: [0] };

/** The same steps at the pace of a server and of an emulated machine. */
function atTwoPaces(steps: ReplayStep[], zoneReclaimMode = 0): [ReplayResult, ReplayResult] {
  const host = makeHost([NODE, NODE]);
  host.sysctl.zone_reclaim_mode = zoneReclaimMode;
  // A boosted mark would wake kswapd on its own.
  host.sysctl.watermark_boost_factor = 0;
  const input: ReplayInput = { host, runningGuests: [], steps, seed: 1 };
  return [
    replay({ ...input, hardwareProfile: 'generic-2s' }),
    replay({ ...input, hardwareProfile: 'lab-tcg' }),
  ];
}

function placement({ steps }: ReplayResult): unknown {
  return steps.map(({ snapshot }) => [
    snapshot.guests.map(({ name, pagesByNode }) => [name, pagesByNode]),
    snapshot.nodes.map((node) => node.filePages),
  ]);
}

function wakesKswapd({ steps }: ReplayResult): boolean {
  return steps.some(({ events }) => events.some(({ type }) => type === 'kswapd_wake'));
}

describe('pace', () => {
  it.each<[string, ReplayStep[], number]>([
    // Node 0 has 32 768 pages; what does not fit goes to node 1, which stays above its low mark.
    ['a guest that spills', [guestStep('a', 40_000, PREFER_0)], 0],
    [
      'a guest for which node reclaim makes room',
      [cacheStep(20_000, 0), guestStep('a', 25_000, PREFER_0)],
      1,
    ],
  ])('does not move pages while every kswapd sleeps: %s', (_, steps, zoneReclaimMode) => {
    const [server, emulated] = atTwoPaces(steps, zoneReclaimMode);
    expect([server, emulated].map(wakesKswapd)).toEqual([false, false]);
    expect(server.steps.at(-1)!.durationNs).not.toBe(emulated.steps.at(-1)!.durationNs);
    expect(placement(emulated)).toEqual(placement(server));
  });

  it('moves pages once kswapds race the allocating task for two nodes', () => {
    const [server, emulated] = atTwoPaces([
      cacheStep(20_000, 0),
      cacheStep(20_000, 1, { file: 'g' }),
      guestStep('a', 40_000, PREFER_0),
    ]);
    expect([server, emulated].map(wakesKswapd)).toEqual([true, true]);
    expect(placement(emulated)).not.toEqual(placement(server));
  });

  it('is named among what a result is less certain of', () => {
    const [{ caveats }] = atTwoPaces([]);
    expect(caveats.map(({ code }) => code)).toEqual(['pace-not-validated']);
  });
});
