import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageTablePages } from '@zonewise/placement';
import { host as hostModel } from '../../advisor/test/builders';
import type { NodeShape } from '../../advisor/test/builders';
import { placeGuests, type PlacementAnswer, type PlacementDocument } from './index';
import { twoNodes } from './test/two-nodes';

const EXAMPLES = join(__dirname, '..', '..', '..', 'examples');
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

const nodes = (...mib: number[]): NodeShape[] =>
  mib.map((each, node) => ({
    mib: each,
    cpus: [4 * node, 4 * node + 1, 4 * node + 2, 4 * node + 3],
  }));

const host = (name: string, shapes: NodeShape[], over: object = {}) => ({
  name,
  path: `/hosts/${name}`,
  host: { model: hostModel(shapes) },
  ...over,
});

const document = (over: Partial<PlacementDocument>): PlacementDocument => ({
  hosts: [host('kvm1', nodes(1024, 1024)), host('kvm2', nodes(1024, 1024))],
  guests: [],
  flavours: { small: { memoryMib: 256, vcpus: 1 }, large: { memoryMib: 700, vcpus: 2 } },
  ...over,
});

const guests = (flavour: string, count: number, over: object = {}) => [
  { path: '/guests/0', name: flavour, flavour, count, ...over },
];

function placed(over: Partial<PlacementDocument>): PlacementAnswer {
  const outcome = placeGuests(document(over));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}

function problems(over: Partial<PlacementDocument>): { code: string; path: string }[] {
  const outcome = placeGuests(document(over));
  if (outcome.ok) throw new Error('it was placed');
  return outcome.problems.map(({ code, path }) => ({ code, path }));
}

/** A guest with two cells of `mib` each. */
const cellGuest = (name: string, mib: number): string => `<domain type='kvm'>
  <name>${name}</name>
  <memory unit='MiB'>${2 * mib}</memory>
  <vcpu>4</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu><numa>
    <cell id='0' cpus='0-1' memory='${mib}' unit='MiB'/>
    <cell id='1' cpus='2-3' memory='${mib}' unit='MiB'/>
  </numa></cpu>
</domain>`;

/** A guest with so many cells of 1 MiB and one vCPU. */
const manyCells = (cells: number): string => `<domain type='kvm'>
  <name>many</name>
  <memory unit='MiB'>${cells}</memory>
  <vcpu>${cells}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu><numa>${Array.from({ length: cells }, (_, id) => `<cell id='${id}' cpus='${id}' memory='1' unit='MiB'/>`).join('')}</numa></cpu>
</domain>`;

const cachedNode: NodeShape = { mib: 1024, cacheMib: 700, cpus: [0, 1, 2, 3] };
const cachedHost = host('cached', [cachedNode], { sysctl: { zone_reclaim_mode: 1 } });

describe('placeGuests', () => {
  it('binds a guest to the node that it is packed on, and shows where the replay put its pages', () => {
    const answer = placed({ guests: guests('small', 1) });
    const [one] = answer.placements;
    expect(one).toMatchObject({
      guest: 'small-1',
      host: 'kvm1',
      numatune: { mode: 'strict', nodeset: [0] },
      hostNodes: [0],
      pinning: { vcpus: [{ vcpu: 0, cpuset: [0, 1, 2, 3] }], emulator: [0, 1, 2, 3] },
      evidence: { remoteShare: 0, swapPages: 0 },
    });
    const pages = one!.evidence.pagesByNode.find(({ nodeId }) => nodeId === 0)!.pages;
    expect(pages).toBeGreaterThanOrEqual(256 * 256);
    expect(answer.hosts.map(({ host: name }) => name)).toEqual(['kvm1']);
    expect(answer.hostsUsed).toBe(1);
    expect(answer.search).toMatchObject({ rounds: 1, replays: 1 });
  });

  it('gives each cell a node of its own, and the vCPUs of a cell that node', () => {
    const xml = cellGuest('celled', 600);
    const [one] = placed({ guests: [{ path: '/guests/0', xml }] }).placements;
    expect(one).toMatchObject({
      numatune: {
        mode: 'strict',
        nodeset: [0, 1],
        memnodes: [
          { cellid: 0, mode: 'strict', nodeset: [0] },
          { cellid: 1, mode: 'strict', nodeset: [1] },
        ],
      },
    });
    expect(one!.pinning.vcpus[2]).toEqual({ vcpu: 2, cpuset: [4, 5, 6, 7] });
    expect(one!.evidence.pagesByNode.filter(({ pages }) => pages >= 600 * 256)).toHaveLength(2);
  });

  it('interleaves a guest without cells that no node can hold', () => {
    const [one] = placed({
      flavours: { huge: { memoryMib: 1500, vcpus: 4 } },
      guests: guests('huge', 1),
    }).placements;
    expect(one!.numatune).toEqual({ mode: 'interleave', nodeset: [0, 1] });
  });

  it('assumes no setting that the request gives with the host', () => {
    const assumed = (sysctl: object): string[] => {
      const hosts = [{ name: 'kvm1', path: '/hosts/0', host: twoNodes(), ...sysctl }];
      return placed({ hosts, guests: guests('small', 1) }).caveats.map(({ code }) => code);
    };
    expect(assumed({})).toContain('zone-reclaim-mode-assumed');
    const given = assumed({ sysctl: { zone_reclaim_mode: 1 } });
    expect(given).not.toContain('zone-reclaim-mode-assumed');
    expect(given.length).toBe(assumed({}).length - 1);
  });

  it('replays equal hosts with equal guests once', () => {
    const answer = placed({ guests: guests('large', 4), objective: 'spread' });
    expect(answer.placements).toHaveLength(4);
    expect(answer.search).toMatchObject({ replays: 1, sharedReplays: 1 });
    const [first, second] = answer.hosts;
    expect(first!.guests).not.toEqual(second!.guests);
    expect(first!.stateHash).toBe(second!.stateHash);
  });

  it('takes a host whose replay fails back to the packer', () => {
    // Page cache counts as obtainable; with zone_reclaim_mode the guest itself reclaims it and waits.
    const hosts = [cachedHost, host('empty', nodes(1024, 1024))];
    const answer = placed({ hosts, guests: guests('large', 1), limits: { maxStallMs: 0 } });
    expect(answer.placements).toMatchObject([{ guest: 'large-1', host: 'empty' }]);
    expect(answer.search).toMatchObject({ rounds: 2, replays: 2 });
    const without = placed({ hosts, guests: guests('large', 1), limits: { maxStallMs: NO_LIMIT } });
    expect(without.placements).toMatchObject([{ guest: 'large-1', host: 'cached' }]);
  });

  it('refuses with node, zone, mark and shortfall where the replay fails everywhere', () => {
    const hosts = [cachedHost];
    const [refused] = placed({
      hosts,
      guests: guests('large', 1),
      limits: { maxStallMs: 0 },
    }).refused;
    expect(refused).toMatchObject({
      guest: 'large-1',
      stage: 'replay',
      code: 'stall',
      host: 'cached',
      node: 0,
      zone: 'Normal',
      mark: { name: 'min', pages: 1024 },
    });
    expect(refused!.message).toContain('large-1 waits');
    expect(refused!.failures).toHaveLength(1);
    const { freePages, lowPages } = hostModel([cachedNode]).nodes[0]!.zones[0]!;
    expect(refused!.shortfallPages).toBe(700 * 256 - (freePages - lowPages));
  });

  it('refuses by adding up with the mark that is kept', () => {
    const answer = placed({ flavours: { big: { memoryMib: 1000 } }, guests: guests('big', 5) });
    expect(answer.placements).toHaveLength(4);
    expect(answer.refused).toMatchObject([{ guest: 'big-5', code: 'memory', zone: 'Normal' }]);
  });

  it('says by how much a guest is too large for the nearest node', () => {
    const xml = cellGuest('wide', 1100);
    const [refused] = placed({ guests: [{ path: '/guests/0', xml }] }).refused;
    expect(refused).toMatchObject({
      ...{ guest: 'wide', stage: 'arithmetic', code: 'memory', host: 'kvm1', node: 0 },
      ...{ zone: 'Normal', mark: { name: 'low' } },
    });
    const low = hostModel(nodes(1024, 1024)).nodes[0]!.zones[0]!.lowPages;
    expect(refused!.mark!.pages).toBe(low);
    const needed = 1100 * 256 + pageTablePages(1100 * 256) + 4096;
    expect(refused!.shortfallPages).toBe(needed - (1024 * 256 - low));
  });

  it('says of every host why it does not take a guest', () => {
    const hosts = [
      host('small', nodes(512)),
      host('far', nodes(4096), { group: 'other' }),
      { ...cachedHost, group: 'here' },
      host('next', nodes(600), { group: 'here' }),
    ];
    const [refused] = placed({
      hosts: hosts.map((each) => ({ group: 'here', ...each })),
      guests: guests('large', 1, { hostGroups: ['here'] }),
      limits: { maxStallMs: 0 },
    }).refused;
    expect(refused!.failures.map(({ host: name }) => name)).toEqual(['cached']);
    expect(refused!.hosts).toMatchObject([
      { host: 'next', code: 'memory', node: 0, zone: 'Normal', mark: { name: 'low' } },
      { host: 'small', code: 'memory', node: 0, zone: 'Normal' },
      { host: 'far', code: 'host-group' },
    ]);
    const [next, small] = refused!.hosts;
    expect(small!.shortfallPages! - next!.shortfallPages!).toBeCloseTo(88 * 256, -3);
  });

  it('tells hosts with the same reason together, and guests that are alike once', () => {
    const kinds = [600, 600, 500, 600].map((mib, i) => host(`h${i}`, nodes(mib)));
    const [first, second] = placed({ hosts: kinds, guests: guests('large', 2) }).refused;
    expect(first!.hosts).toMatchObject([
      { code: 'memory', host: 'h0', count: 3, hosts: ['h0', 'h1', 'h3'], zone: 'Normal', node: 0 },
      { code: 'memory', host: 'h2', count: 1, hosts: ['h2'], zone: 'Normal', node: 0 },
    ]);
    expect(first!.hosts[0]!.message).toMatch(/The same holds for 2 more hosts\.$/);
    expect(first).not.toHaveProperty('sameAs');
    expect(second).toMatchObject({ sameAs: 'large-1', hosts: [], code: 'memory', host: 'h0' });
    expect(second!.message).toContain('large-2 needs');
  });

  it('tells hosts that lack as much below other marks apart', () => {
    const marked = (name: string, lowPages: number) => {
      const model = hostModel(nodes(512));
      const [zone] = model.nodes[0]!.zones;
      const kept = lowPages - zone!.lowPages;
      Object.assign(zone!, {
        lowPages,
        highPages: zone!.highPages + kept,
        freePages: zone!.freePages + kept,
      });
      Object.assign(zone!, { managedPages: zone!.managedPages + kept });
      return { name, path: `/hosts/${name}`, host: { model } };
    };
    const low = hostModel(nodes(512)).nodes[0]!.zones[0]!.lowPages;
    const hosts = [marked('a', low), marked('b', low + 64), marked('c', low)];
    for (const { host: of } of hosts) {
      const [zone] = of.model.nodes[0]!.zones;
      const blocks = Math.floor(zone!.freePages / 1024);
      zone!.freeBlocks = [zone!.freePages % 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, blocks];
      zone!.presentPages = zone!.spannedPages = zone!.managedPages;
    }
    const [refused] = placed({ hosts, guests: guests('large', 1) }).refused;
    const [one, other] = refused!.hosts;
    expect([one!.hosts, other!.hosts]).toEqual([['a', 'c'], ['b']]);
    expect([one!.mark!.pages, other!.mark!.pages]).toEqual([low, low + 64]);
    expect(one!.shortfallPages).toBe(other!.shortfallPages);
  });

  it('says of vCPUs, pools and nodes how many are missing', () => {
    const hosts = [host('kvm1', nodes(1024, 1024))];
    const shortOf = (flavour: object) => {
      const wanted = guests('own', 1);
      return placed({ hosts, guests: wanted, flavours: { own: flavour as { memoryMib: number } } })
        .refused[0]!;
    };
    const cpus = shortOf({ memoryMib: 64, vcpus: 40 });
    expect(cpus).toMatchObject({ code: 'vcpus', host: 'kvm1', node: 0, shortfallVcpus: 24 });
    expect(cpus.hosts).toMatchObject([{ code: 'vcpus', shortfallVcpus: 24, count: 1 }]);
    const pool = shortOf({ memoryMib: 64, vcpus: 1, hugepagesKib: 2048 });
    expect(pool.hosts).toMatchObject([
      { code: 'hugepages', node: 0, sizeKib: 2048, shortfallHugepages: 32, hosts: ['kvm1'] },
    ]);
    const [many] = placed({ hosts, guests: [{ path: '/guests/0', xml: manyCells(5) }] }).refused;
    expect(many!.hosts).toMatchObject([{ code: 'nodes', shortfallNodes: 3, hosts: ['kvm1'] }]);
  });

  it('keeps guests apart and in their groups', () => {
    const hosts = [
      host('a', nodes(1024), { group: 'rack1' }),
      host('b', nodes(1024), { group: 'rack2' }),
      host('c', nodes(1024), { group: 'rack2' }),
    ];
    const answer = placed({
      hosts,
      guests: guests('small', 3, { hostGroups: ['rack2'] }),
      antiAffinity: [['small']],
    });
    expect(answer.placements.map(({ host: name }) => name).sort()).toEqual(['b', 'c']);
    expect(answer.refused).toMatchObject([{ code: 'anti-affinity', stage: 'arithmetic' }]);
  });

  it('empties a host', () => {
    const xml = readFileSync(join(EXAMPLES, 'web1.xml'), 'utf8');
    const hosts = [
      host('old', nodes(4096, 4096), { domains: [{ xml }] }),
      host('new', nodes(2048, 2048)),
    ];
    const answer = placed({ hosts, guests: guests('small', 1), evacuate: 'old' });
    expect(answer.evacuated).toBe('old');
    expect(answer.placements).toMatchObject([
      { guest: 'web1', from: 'old', host: 'new' },
      { guest: 'small-1', host: 'new' },
    ]);
    expect(answer.placements[1]).not.toHaveProperty('from');
  });

  it('counts what planned guests of a host will take, and what is reserved', () => {
    const xml = readFileSync(join(EXAMPLES, 'web1.xml'), 'utf8');
    const one = { flavours: { most: { memoryMib: 700 } }, guests: guests('most', 1) };
    const planned = { domains: [{ xml }] };
    expect(placed({ ...one, hosts: [host('a', nodes(1100), {})] }).placements).toHaveLength(1);
    expect(placed({ ...one, hosts: [host('a', nodes(1100), planned)] }).refused).toHaveLength(1);
    const reserved = { reserved: { memoryMib: 500 } };
    expect(placed({ ...one, hosts: [host('a', nodes(1100), reserved)] }).refused).toHaveLength(1);
  });

  it('gives the same answer twice', () => {
    const request = { guests: guests('small', 9), limits: { maxStallMs: 0 } };
    expect(placed(request)).toEqual(placed(request));
  });

  it.each([
    ['duplicate-host', '/hosts/a', { hosts: [host('a', nodes(64)), host('a', nodes(64))] }],
    [
      'duplicate-domain',
      '/guests/1',
      { guests: [...guests('small', 1), { path: '/guests/1', name: 'small-1', flavour: 'small' }] },
    ],
    ['unknown-flavour', '/guests/0/flavour', { guests: guests('smal', 1) }],
    ['plan-guest', '/guests/0', { guests: [{ path: '/guests/0', name: 'x' }] }],
    ['plan-guest', '/guests/0', { guests: [{ path: '/guests/0', flavour: 'small' }] }],
    ['unknown-guest', '/antiAffinity/0/0', { antiAffinity: [['nobody']] }],
    ['unknown-host', '/evacuate', { evacuate: 'kvm3' }],
    ['too-many-guests', '/guests', { guests: guests('small', 20_001) }],
    ['plan-guest', '/guests/0', { guests: [{ path: '/guests/0', xml: manyCells(65) }] }],
    ['plan-host', '/hosts/x', { hosts: [{ name: 'x', path: '/hosts/x', host: {} }] }],
  ])('says what is wrong: %s at %s', (code, path, over) => {
    expect(problems(over)).toEqual([{ code, path }]);
  });
});
