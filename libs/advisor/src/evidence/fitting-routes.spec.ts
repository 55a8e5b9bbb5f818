import { host, planned, running } from '../../test/builders';
import { advise } from '../advise';
import { simulate } from '../simulate';
import type { AdviceRequest, GuestSpec } from '../types';

const strict = (name: string, mib: number, node: number): GuestSpec =>
  planned(name, mib, node, {
    numatune: { mode: 'strict', nodeset: [node] },
    region: { policy: { mode: 'bind', nodes: [node] }, cpusetMems: [node] },
  });

/** vm3 has its CPUs on node 0 and its memory on node 1, where strict guests are to start that may not be moved. */
const request = (guests: GuestSpec[], nodeMib = 1024): AdviceRequest => ({
  ...{ host: host([{ mib: 1024 }, { mib: nodeMib, anonMib: 512 }]), guests, demand: {}, seed: 1 },
  options: {
    constraints: {
      pinnedGuests: guests
        .filter(({ state }) => state === 'planned')
        .map(({ guest }) => guest.name),
    },
  },
});

const vm3 = (over: Partial<GuestSpec> = {}): GuestSpec =>
  ({ ...running('vm3', 512, 0, { 1: 512 }), ...over }) as GuestSpec;

/** vm3's memory cannot be moved while it runs. */
const locked = (): GuestSpec => {
  const spec = vm3();
  spec.guest.regions[0]!.pinned = true;
  return spec;
};

describe('a plan that a running guest is in the way of', () => {
  test('is told with the way that makes it fit, which a replay confirms', () => {
    const asked = request([vm3(), strict('new', 700, 1)]);
    const { finding, description } = advise(asked);
    expect(finding).toBe('DOES_NOT_FIT');
    expect(description).toMatch(
      /^The plan does not fit as it is, but moving vm3 \(512 MiB on node 1\) to node 0 while it runs would make it fit: 19\d MiB are missing on node 1 \(counted, not replayed\)\. In the best of all replayed configurations vm3 would be killed; /,
    );
    const moved = { ...asked, host: host([{ mib: 1024, anonMib: 512 }, { mib: 1024 }]) };
    moved.guests = [running('vm3', 512, 0, { 0: 512 }), strict('new', 700, 1)];
    expect(simulate(moved).outcome.oomKills).toEqual([]);
  });

  test('is told of the restart where the memory cannot be moved', () => {
    const { description } = advise(request([locked(), strict('new', 700, 1)]));
    expect(description).toMatch(
      /but restarting vm3 \(512 MiB on node 1\) with its memory on node 0 would make it fit: /,
    );
  });

  test('is told of several guests where one is not enough', () => {
    const two = ['vm3', 'vm4'].map((name) => running(name, 256, 0, { 1: 256 }));
    const { description } = advise(request([...two, strict('new', 900, 1)]));
    expect(description).toContain(
      'but moving vm3 (256 MiB on node 1) to node 0 while it runs and moving vm4 (256 MiB on node 1) to node 0 while it runs ' +
        'would make it fit: ',
    );
  });

  test('does not fit where its memory would not be enough, or has no room elsewhere', () => {
    const larger = advise(request([vm3(), strict('new', 1020, 1)]));
    expect(larger.description).toMatch(/^The plan does not fit: in the best /);
    const full = request([vm3(), strict('new', 700, 1)]);
    full.host = host([
      { mib: 1024, anonMib: 1000 },
      { mib: 1024, anonMib: 512 },
    ]);
    expect(advise(full).description).toMatch(/^The plan does not fit: in the best /);
  });

  test('does not fit where the room elsewhere is promised to another guest that is lost', () => {
    const both = request([vm3(), strict('new', 700, 1), strict('other', 1200, 0)]);
    expect(advise(both).description).toMatch(/^The plan does not fit: in the best /);
  });
});
