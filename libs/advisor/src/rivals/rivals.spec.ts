import { host, planned, process, region, running } from '../../test/builders';
import { advise } from '../advise';
import { evaluate } from '../evaluator';
import type { GuestSpec, SimulationRequest } from '../types';
import { RIVAL_RULES, rivals } from './index';

const FLOATING = { cpuNodes: [0, 1], policy: { mode: 'default' as const, nodes: [] } };
/** Not pinned, no numatune. */
const floating = (name: string, mib: number): GuestSpec => ({
  ...planned(name, mib, 0, { numatune: { mode: 'none', nodeset: [] }, region: FLOATING }),
  cpusPinned: false,
});
const request = (over: Partial<SimulationRequest> = {}): SimulationRequest => ({
  host: host([{ mib: 1024 }, { mib: 1024 }]),
  guests: [],
  demand: {},
  seed: 1,
  ...over,
});
const choice = (name: string, over: Partial<SimulationRequest>) => {
  const found = rivals(request(over)).find((rival) => rival.name === name);
  if (!found) throw new Error(`no rival ${name}`);
  return found.change;
};

test('every rival has a name of its own, a source, and a configuration even where there is no guest', () => {
  expect(new Set(RIVAL_RULES.map(({ name }) => name)).size).toBe(RIVAL_RULES.length);
  for (const { source, title } of RIVAL_RULES) expect(`${title}. ${source}`).toMatch(/\w{4}/);
  for (const { change } of rivals(request())) expect(change.numatune).toEqual({});
});

test("libvirt's default takes numatune away, running guests are left alone", () => {
  const guests = [planned('a', 100, 1), running('old', 64, 0, { 0: 64 })];
  expect(choice('libvirt-default', { guests }).numatune).toEqual({
    a: { mode: 'none', nodeset: [] },
  });
});

test('preferred: the node of pinned CPUs, else the node that least is promised on', () => {
  const guests = [planned('pinned', 300, 0), floating('free', 100), floating('late', 100)];
  // 300 MiB are promised on node 0, so both that float go to node 1 (1024, then 924 against 724 MiB left).
  expect(choice('all-preferred', { guests }).numatune).toEqual({
    pinned: { mode: 'preferred', nodeset: [0] },
    free: { mode: 'preferred', nodeset: [1] },
    late: { mode: 'preferred', nodeset: [1] },
  });
});

describe('Nova', () => {
  test('spread takes the cell with most left, pack the one with least that still holds the guest', () => {
    const guests = [floating('a', 600), floating('b', 300), floating('c', 500)];
    const nodes = (name: string) =>
      Object.values(choice(name, { guests }).numatune).map(({ nodeset }) => nodeset);
    // spread: 1024/1024 -> a on 0; 424/1024 -> b on 1; 424/724 -> c on 1.
    expect(nodes('nova-spread')).toEqual([[0], [1], [1]]);
    // pack: a on 0; 424 left there holds b; 124 do not hold c.
    expect(nodes('nova-pack')).toEqual([[0], [0], [1]]);
  });

  test('books say what is left, not the page cache or what is free', () => {
    const full = host([{ mib: 1024, cacheMib: 1000 }, { mib: 1000 }]);
    expect(choice('nova-spread', { host: full, guests: [floating('a', 900)] })).toMatchObject({
      numatune: { a: { mode: 'strict', nodeset: [0] } },
      pinning: { a: { nodes: [0] } },
    });
  });

  test('running guests are booked where most of them lies', () => {
    const guests = [running('old', 600, 0, { 0: 100, 1: 500 }), floating('a', 600)];
    expect(choice('nova-pack', { guests }).numatune['a']?.nodeset).toEqual([0]);
  });

  test('each guest cell gets a host cell of its own, by the first permutation that fits', () => {
    const cells = {
      ...floating('two', 1),
      guest: process('two', [region(900, 0, FLOATING), region(300, 0, { ...FLOATING, cell: 1 })]),
    } as GuestSpec;
    const guests = [planned('big', 500, 0), cells];
    // big takes 500 of node 0, so the first cell fits on node 1 only and the second one on node 0.
    expect(choice('nova-spread', { guests })).toMatchObject({
      numatune: {
        two: {
          nodeset: [0, 1],
          memnodes: [
            { cellid: 0, mode: 'strict', nodeset: [1] },
            { cellid: 1, mode: 'strict', nodeset: [0] },
          ],
        },
      },
      pinning: {
        two: {
          nodes: [0, 1],
          cells: [
            { cellid: 0, nodes: [1] },
            { cellid: 1, nodes: [0] },
          ],
        },
      },
    });
  });

  test('a guest that it would refuse is started without numatune', () => {
    const change = choice('nova-spread', { guests: [floating('a', 1025)] });
    expect(change.numatune).toEqual({ a: { mode: 'none', nodeset: [] } });
    expect(change.pinning).toEqual({});
  });

  test('huge pages come out of the pools', () => {
    const huge = { ...FLOATING, hugetlb: { sizeKib: 2048 as const, reserve: true } };
    const guests = [planned('a', 200, 0, { region: huge })];
    const pools = host([{ mib: 1024 }, { mib: 1024 }]);
    pools.nodes[1]?.hugepages.push({ sizeKib: 2048, totalPages: 100, freePages: 100 });
    expect(choice('nova-spread', { host: pools, guests }).numatune['a']?.nodeset).toEqual([1]);
  });
});

describe('numad', () => {
  test('free memory and inactive cache decide, and what started before is gone', () => {
    const uneven = host([
      { mib: 1024, anonMib: 300 },
      { mib: 1024, cacheMib: 900 },
    ]);
    const guests = [floating('a', 500), floating('b', 500)];
    // Node 1: 124 free and 900 idle cache, 1024 - 153 usable; then 524 - 153 do not cover b, nor do 724 - 153 - 500 < 0.
    expect(choice('numad', { host: uneven, guests })).toMatchObject({
      numatune: { a: { mode: 'strict', nodeset: [1] }, b: { mode: 'strict', nodeset: [0] } },
      pinning: { a: { nodes: [1] }, b: { nodes: [0] } },
    });
  });

  test('more nodes are taken, near ones first, until the request is met', () => {
    const three = host([{ mib: 1000 }, { mib: 1000 }, { mib: 1100 }]);
    three.distances = [
      [10, 12, 21],
      [12, 10, 21],
      [21, 21, 10],
    ];
    // No node has 1,500 MiB. Node 2 scores best by size (0.85 * 1100); 0 and 1 are equally far from it.
    const change = choice('numad', { host: three, guests: [floating('a', 1500)] });
    expect(change.numatune['a']?.nodeset).toEqual([0, 2]);
  });
});

test('emptiest node: least promised first, if it has the memory free', () => {
  const uneven = host([{ mib: 1024, anonMib: 900 }, { mib: 1024 }]);
  const guests = [floating('a', 500), floating('b', 100), floating('c', 600)];
  // a: node 0 comes first but has 124 MiB free; b: nothing is promised on node 0; c fits nowhere: the least promised.
  expect(
    Object.values(choice('emptiest-node', { host: uneven, guests }).numatune).map(
      ({ nodeset }) => nodeset,
    ),
  ).toEqual([[1], [0], [0]]);
});

test('rules for the host change sysctls only', () => {
  const guests = [planned('a', 100, 1)];
  expect(choice('zone-reclaim', { guests })).toEqual({
    sysctl: { zone_reclaim_mode: 1 },
    numatune: {},
  });
  expect(choice('tuned-virtual-host', { guests }).sysctl).toEqual({
    swappiness: 10,
    dirty_ratio: 40,
    dirty_background_ratio: 5,
  });
  expect(choice('tuned-hpc-compute', { guests }).sysctl).toMatchObject({
    min_free_kbytes: 135168,
    zone_reclaim_mode: 1,
  });
});

test('strict at home and interleave name the nodes that they say', () => {
  const guests = [planned('a', 100, 1), floating('b', 100)];
  expect(choice('strict-at-home', { guests }).numatune).toEqual({
    a: { mode: 'strict', nodeset: [1] },
    b: { mode: 'strict', nodeset: [0, 1] },
  });
  expect(choice('interleave-all', { guests })).toMatchObject({
    sysctl: { zone_reclaim_mode: 0 },
    numatune: { a: { mode: 'interleave', nodeset: [0, 1] } },
  });
});

describe('the advice tells what rivals would come to', () => {
  const given = {
    host: host([{ mib: 512, cacheMib: 400 }, { mib: 512 }]),
    guests: [planned('a', 200, 0), planned('b', 100, 0)],
  };

  test('each with the figures of its own replay, beside the alternatives that name it', () => {
    const asked = request(given);
    const { evidence } = advise(asked);
    const missing = evidence.assumptions.filter(({ code }) => code === 'rival-not-replayed');
    expect(evidence.rivals.length + missing.length).toBe(RIVAL_RULES.length);
    for (const name of ['tuned-virtual-host', 'nova-spread', 'numad', 'libvirt-default']) {
      const told = evidence.rivals.find((rival) => rival.name === name);
      const { outcome } = evaluate(asked, choice(name, given)).candidate;
      const { swappedOutPages, stallNs, remoteShare, remoteCost, cacheLostPages } = outcome;
      expect(told).toMatchObject({
        ...{ title: RIVAL_RULES.find((rule) => rule.name === name)?.title, kills: 0 },
        ...{ swappedOutPages, stallNs, remoteShare, remoteCost, cacheLostPages },
      });
      const others = evidence.alternatives.filter(({ rival }) => rival?.split(', ').includes(name));
      for (const { id } of others) expect(id).toBe(told?.id);
    }
    const named = evidence.alternatives.flatMap(({ rival }) => rival?.split(', ') ?? []);
    expect(named).toEqual(expect.arrayContaining(['zone-reclaim', 'tuned-hpc-compute']));
  });

  test('those that constraints forbid are told to have none, with the reason', () => {
    const constraints = { fixedSysctls: ['zone_reclaim_mode' as const], forbiddenNodes: [1] };
    const { evidence } = advise({ ...request(given), options: { constraints } });
    expect(evidence.rivals.map(({ name }) => name)).not.toContain('zone-reclaim');
    const messages = evidence.assumptions
      .filter(({ code }) => code === 'rival-not-replayed')
      .map(({ message }) => message);
    expect(messages).toContain(
      'The rule of thumb zone-reclaim (zone_reclaim_mode 1, guests as they are) has no figures: vm.zone_reclaim_mode is to stay as it is.',
    );
    expect(messages.find((message) => message.includes('interleave-all'))).toMatch(
      /Node 1 is not to be named\.$/,
    );
  });
});
