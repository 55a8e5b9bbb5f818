import fc from 'fast-check';
import { brokenRules } from '../bench/verify';
import { bestFitDecreasing, firstFitDecreasing } from '../bench/rivals';
import { fleet, plainFleet } from '../test/fleets';
import { lowerBound, pack, PlacementInputError } from './index';
import type { GuestShape, HostShape, NodeShape, PackRequest, Packing } from './index';

const node = (nodeId: number, memoryPages: number, vcpus = 8): NodeShape => ({
  nodeId,
  memoryPages,
  vcpus,
  hugepages: [],
});
const host = (id: string, nodes: NodeShape[], over: Partial<HostShape> = {}): HostShape => ({
  id,
  nodes,
  occupied: false,
  ...over,
});
const guest = (name: string, memoryPages: number, over: Partial<GuestShape> = {}): GuestShape => ({
  name,
  cells: [{ memoryPages, vcpus: 1 }],
  ...over,
});
const packed = (
  hosts: HostShape[],
  guests: GuestShape[],
  objective: PackRequest['objective'] = 'density',
): Packing => pack({ hosts, guests, objective });
const hostsOf = ({ placed }: Packing): Record<string, string> =>
  Object.fromEntries(placed.map(({ guest: name, host: id }) => [name, id]));

describe('pack', () => {
  it('keeps every rule on any fleet, and answers every guest', () => {
    fc.assert(
      fc.property(fleet, (request) => {
        expect(brokenRules(request.hosts, request.guests, pack(request))).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it('is never worse than first-fit or best-fit decreasing', () => {
    fc.assert(
      fc.property(plainFleet, (request) => {
        const own = pack(request);
        for (const rival of [firstFitDecreasing, bestFitDecreasing]) {
          const { refused, hostsUsed } = rival(request.hosts, request.guests);
          expect(own.refused.length).toBeLessThanOrEqual(refused);
          if (own.refused.length === refused) expect(own.hostsUsed).toBeLessThanOrEqual(hostsUsed);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('gives the same answer to the same request', () => {
    fc.assert(
      fc.property(fleet, (request) => {
        expect(pack(structuredClone(request))).toEqual(pack(request));
      }),
      { numRuns: 50 },
    );
  });

  it('refuses a guest only where no host has room for it as the hosts are then', () => {
    fc.assert(
      fc.property(plainFleet, (request) => {
        const { placed, refused } = pack(request);
        const left = structuredClone(request.hosts);
        for (const { guest: name, host: id, nodes } of placed) {
          const { cells } = request.guests.find((each) => each.name === name)!;
          cells.forEach(({ memoryPages, vcpus, hugepages }, c) => {
            const at = left
              .find((each) => each.id === id)!
              .nodes.find((n) => n.nodeId === nodes[c])!;
            at.memoryPages -= memoryPages;
            at.vcpus -= vcpus;
            const own = at.hugepages.find(({ sizeKib }) => sizeKib === hugepages?.sizeKib);
            if (own !== undefined) own.pages -= hugepages!.pages;
          });
        }
        for (const { guest: name } of refused) {
          const alone = request.guests.filter((each) => each.name === name);
          expect(firstFitDecreasing(left, alone).refused).toBe(1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('places cells on different nodes, found by matching where the first choice leads nowhere', () => {
    const cells = [
      { memoryPages: 4, vcpus: 1 },
      { memoryPages: 4, vcpus: 1 },
      { memoryPages: 4, vcpus: 4 },
    ];
    const hosts = [host('a', [node(0, 4, 4), node(1, 8, 2), node(2, 9, 2)])];
    const { placed } = packed(hosts, [{ name: 'g', cells }]);
    expect(placed).toEqual([{ guest: 'g', host: 'a', nodes: [1, 2, 0] }]);
  });

  it('fills hosts in use before it opens others', () => {
    const hosts = [host('empty', [node(0, 100)]), host('used', [node(0, 20)], { occupied: true })];
    expect(hostsOf(packed(hosts, [guest('a', 10), guest('b', 10)]))).toEqual({
      a: 'used',
      b: 'used',
    });
  });

  it('spreads guests over the hosts with the most left', () => {
    const hosts = [host('a', [node(0, 50)]), host('b', [node(0, 40)])];
    expect(hostsOf(packed(hosts, [guest('x', 20), guest('y', 10)], 'spread'))).toEqual({
      x: 'a',
      y: 'b',
    });
  });

  it('puts cells on nodes that are near to each other where locality is asked for', () => {
    const distances = [
      [10, 32, 32, 12],
      [32, 10, 12, 32],
      [32, 12, 10, 32],
      [12, 32, 32, 10],
    ];
    const hosts = [host('a', [node(0, 9), node(1, 8), node(2, 20), node(3, 20)], { distances })];
    const two = {
      name: 'g',
      cells: [
        { memoryPages: 5, vcpus: 1 },
        { memoryPages: 5, vcpus: 1 },
      ],
    };
    expect(packed(hosts, [two]).placed[0]?.nodes).toEqual([0, 1]);
    expect(packed(hosts, [two], 'locality').placed[0]?.nodes).toEqual([0, 3]);
  });

  it('moves a guest on to make room for one that has no host', () => {
    const hosts = [
      host('small', [node(0, 10, 2)], { group: 'any' }),
      host('only', [node(0, 10, 2)], { group: 'special' }),
    ];
    const guests = [guest('a', 10), guest('b', 9, { hostGroups: ['special'] })];
    expect(hostsOf(packed(hosts, guests))).toEqual({ a: 'small', b: 'only' });
  });

  it('says what the nearest host lacks', () => {
    const hosts = [
      host('a', [node(0, 10), node(1, 12)]),
      host('b', [{ ...node(4, 30, 1), hugepages: [{ sizeKib: 2048, pages: 3 }] }]),
    ];
    const why = (over: Partial<GuestShape>, memoryPages = 1): unknown =>
      packed(hosts, [guest('g', memoryPages, over)]).refused[0]?.refusal;
    expect(why({}, 40)).toEqual({ code: 'memory', host: 'b', node: 4, shortfall: 10 });
    expect(why({ cells: [{ memoryPages: 1, vcpus: 9 }] })).toEqual({
      ...{ code: 'vcpus', host: 'a', node: 0, shortfall: 1 },
    });
    const hugepages = { sizeKib: 2048, pages: 5 };
    expect(why({ cells: [{ memoryPages: 1, vcpus: 1, hugepages }] })).toEqual({
      ...{ code: 'hugepages', host: 'b', node: 4, shortfall: 2, sizeKib: 2048 },
    });
    const cell = { memoryPages: 1, vcpus: 1 };
    expect(why({ cells: [cell, cell, cell] })).toEqual({ code: 'nodes', host: 'a', shortfall: 1 });
    expect(why({ hostGroups: ['none'] })).toEqual({ code: 'host-group', shortfall: 0 });
    expect(why({ notOn: ['a', 'b'] })).toMatchObject({ code: 'excluded' });
    const taken = hosts.map((each) => ({ ...each, antiAffinity: ['db'] }));
    const refused = packed(taken, [guest('g', 1, { antiAffinity: ['db'] })]).refused[0];
    expect(refused?.refusal).toMatchObject({ code: 'anti-affinity' });
    expect(packed([], [guest('g', 1)]).refused[0]?.refusal).toEqual({
      code: 'nodes',
      shortfall: 1,
    });
  });

  it('says of every host why it does not take a guest, the nearest first', () => {
    const hosts = [
      host('a', [node(0, 10)]),
      host('b', [node(0, 30)]),
      { ...host('c', [node(0, 99)]), group: 'far' },
      { ...host('d', [node(0, 20)]), antiAffinity: ['db'] },
    ];
    const grouped = hosts.map((each) => ({ group: 'near', ...each }));
    const asked = guest('g', 40, { hostGroups: ['near'], antiAffinity: ['db'] });
    expect(packed(grouped, [asked]).refused[0]?.hosts).toEqual([
      { code: 'memory', host: 'b', node: 0, shortfall: 10, count: 1, hosts: ['b'] },
      { code: 'memory', host: 'a', node: 0, shortfall: 30, count: 1, hosts: ['a'] },
      { code: 'host-group', host: 'c', shortfall: 0, count: 1, hosts: ['c'] },
      { code: 'anti-affinity', host: 'd', shortfall: 0, count: 1, hosts: ['d'] },
    ]);
  });

  it('puts hosts that lack the same together, however many there are', () => {
    const many = Array.from({ length: 5000 }, (_, i) => host(`h${i}`, [node(0, i % 5)]));
    const [refused, alike] = packed(many, [guest('g', 200), guest('like', 200)]).refused;
    expect(refused?.hosts.map(({ shortfall, count }) => [shortfall, count])).toEqual(
      [196, 197, 198, 199, 200].map((shortfall) => [shortfall, 1000]),
    );
    expect(new Set(refused?.hosts.flatMap(({ hosts: ids }) => ids)).size).toBe(5000);
    expect(refused?.hosts[0]?.hosts.slice(0, 2)).toEqual(['h4', 'h9']);
    expect(alike?.hosts).toBe(refused?.hosts);
  });

  it('counts every host where guests and hosts are too many to be told one by one', () => {
    const many = Array.from({ length: 400 }, (_, i) => host(`h${i}`, [node(0, i)]));
    const kinds = Array.from({ length: 2000 }, (_, i) => guest(`g${i}`, 1000 + i));
    const { refused } = packed(many, kinds);
    expect(refused).toHaveLength(2000);
    for (const { hosts: groups } of refused) {
      expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(400);
      expect(groups.reduce((sum, { hosts: ids }) => sum + ids.length, 0)).toBe(200);
    }
    const [last] = refused[0]?.hosts.slice(-1) ?? [];
    // Eight groups of the nearest come first: from 392 pages down to none of 1,000.
    expect(refused[0]?.hosts).toHaveLength(9);
    expect(last).toMatchObject({ code: 'memory', count: 392, shortfall: 609, shortfallMost: 1000 });
    expect(last).not.toHaveProperty('node');
  });

  it.each([
    ['duplicate-host', { hosts: [host('a', []), host('a', [])] }],
    ['duplicate-guest', { guests: [guest('g', 1), guest('g', 1)] }],
    ['duplicate-node', { hosts: [host('a', [node(0, 1), node(0, 1)])] }],
    ['invalid-amount', { guests: [guest('g', 1.5)] }],
    ['invalid-amount', { hosts: [host('a', [node(0, -1)])] }],
    ['no-cells', { guests: [guest('g', 1, { cells: [] })] }],
    [
      'too-many-cells',
      { guests: [guest('g', 1, { cells: new Array(65).fill({ memoryPages: 1, vcpus: 1 }) })] },
    ],
  ])('refuses a request with %s', (code, over) => {
    const request = { hosts: [], guests: [], objective: 'density' as const, ...over };
    expect(() => pack(request)).toThrow(expect.objectContaining({ code }) as PlacementInputError);
  });
});

describe('lowerBound', () => {
  /** Fewest hosts by trying every packing; null where some guest is refused in all of them. */
  function optimum({ hosts, guests }: PackRequest): number | null {
    const left = hosts.map(({ nodes }) => structuredClone(nodes));
    const load: number[] = hosts.map(({ occupied }) => (occupied ? 1 : 0));
    let best: number | null = null;
    const placeCell = (g: number, c: number, h: number, used: Set<number>): void => {
      const { cells } = guests[g]!;
      const cell = cells[c];
      if (cell === undefined) {
        load[h] = load[h]! + 1;
        placeGuest(g + 1);
        load[h] = load[h] - 1;
        return;
      }
      left[h]!.forEach((at, n) => {
        const own = at.hugepages.find(({ sizeKib }) => sizeKib === cell.hugepages?.sizeKib);
        const pages = cell.hugepages?.pages ?? 0;
        if (used.has(n) || at.memoryPages < cell.memoryPages || at.vcpus < cell.vcpus) return;
        if (pages > (own?.pages ?? 0)) return;
        const change = (sign: number): void => {
          at.memoryPages += sign * cell.memoryPages;
          at.vcpus += sign * cell.vcpus;
          if (own !== undefined) own.pages += sign * pages;
        };
        change(-1);
        placeCell(g, c + 1, h, new Set([...used, n]));
        change(1);
      });
    };
    const placeGuest = (g: number): void => {
      const inUse = load.filter((n) => n > 0).length;
      if (best !== null && inUse >= best) return;
      if (g === guests.length) best = inUse;
      else hosts.forEach((_, h) => placeCell(g, 0, h, new Set()));
    };
    placeGuest(0);
    return best;
  }

  it('is at most what the best of all packings uses, and pack is at least that', () => {
    let compared = 0;
    const tiny = plainFleet.map((request) => ({
      ...request,
      hosts: request.hosts.slice(0, 3),
      guests: request.guests.slice(0, 4),
    }));
    fc.assert(
      fc.property(tiny, (request) => {
        const best = optimum(request);
        if (best === null) return;
        compared += 1;
        expect(lowerBound(request.hosts, request.guests).hosts).toBeLessThanOrEqual(best);
        const own = pack(request);
        if (own.refused.length === 0) expect(own.hostsUsed).toBeGreaterThanOrEqual(best);
      }),
      { numRuns: 600 },
    );
    expect(compared).toBeGreaterThan(20);
  });

  it('counts what cells leave unused', () => {
    const hosts = Array.from({ length: 6 }, (_, i) => host(`h${i}`, [node(0, 10), node(1, 10)]));
    const guests = Array.from({ length: 10 }, (_, i) => guest(`g${i}`, 6));
    expect(lowerBound(hosts, guests)).toEqual({ hosts: 5, dimension: 'memory-cells' });
  });
});
