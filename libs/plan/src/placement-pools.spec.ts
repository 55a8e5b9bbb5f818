import { host as hostModel } from '../../advisor/test/builders';
import {
  inThreads,
  placeGuests,
  placing,
  replayTask,
  type PlacementAnswer,
  type PlacementDocument,
} from './index';

const CPUS = [0, 1, 2, 3];
const host = (name: string, over: object = {}) => ({
  name,
  path: `/hosts/${name}`,
  host: {
    model: hostModel([
      { mib: 1024, cpus: CPUS },
      { mib: 1024, cpus: [4, 5, 6, 7] },
    ]),
  },
  ...over,
});
/** The same with huge pages in the pool of node 1, all of them free, or so many. */
function pooled(name: string, pages: number, freePages = pages) {
  const made = host(name);
  made.host.model.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: pages, freePages }];
  const [zone] = made.host.model.nodes[1]!.zones;
  zone!.freePages -= pages * 512;
  zone!.freeBlocks[10]! -= pages / 2;
  return made;
}

const document = (over: Partial<PlacementDocument>): PlacementDocument => ({
  hosts: [host('kvm1')],
  guests: [],
  flavours: {
    huge: { memoryMib: 128, hugepagesKib: 2048 },
    plain: { memoryMib: 700 },
    small: { memoryMib: 100 },
    wide: { memoryMib: 1400 },
  },
  ...over,
});
const guests = (flavour: string, count: number) => [
  { path: '/guests/0', name: flavour, flavour, count },
];
function placed(over: Partial<PlacementDocument>): PlacementAnswer {
  const outcome = placeGuests(document(over));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}
const where = ({ placements }: PlacementAnswer) =>
  placements.map(({ guest, host: name, hostNodes }) => `${guest} ${name} ${hostNodes.join()}`);

describe('guests on huge pages', () => {
  it('go where a pool has their pages, and are replayed out of it', () => {
    const answer = placed({ hosts: [host('kvm1'), pooled('kvm2', 80)], guests: guests('huge', 1) });
    expect(where(answer)).toEqual(['huge-1 kvm2 1']);
    const [one] = answer.placements;
    expect(one?.evidence.pagesByNode).toEqual([
      { nodeId: 0, pages: 0 },
      { nodeId: 1, pages: 128 * 256 },
    ]);
    // Out of the pool: no page of ordinary memory but QEMU's own.
    const node = answer.hosts[0]?.nodes.find(({ nodeId }) => nodeId === 1);
    expect(node?.anonPages).toBeLessThan(128 * 256);
  });

  it('are refused with the huge pages that are missing', () => {
    const answer = placed({ hosts: [pooled('kvm2', 80, 50)], guests: guests('huge', 1) });
    expect(answer.refused).toMatchObject([
      {
        ...{ stage: 'arithmetic', code: 'hugepages', host: 'kvm2', node: 1 },
        ...{ sizeKib: 2048, shortfallHugepages: 14 },
      },
    ]);
  });
});

describe('what a request does to hosts before their guests', () => {
  const hugepages = [{ node: 0, count: 100 }];

  it('pools that it writes are packed into, and the memory that they take is gone', () => {
    const made = placed({ hosts: [host('kvm1', { hugepages })], guests: guests('huge', 2) });
    expect(where(made)).toEqual(['huge-1 kvm1 0']);
    expect(made.refused).toMatchObject([{ guest: 'huge-2', code: 'hugepages' }]);
    // Without the pool there is one on each node.
    const two = { guests: guests('plain', 2) };
    expect(where(placed(two))).toEqual(['plain-1 kvm1 0', 'plain-2 kvm1 1']);
    const larger = [{ node: 0, count: 200 }];
    const left = placed({ ...two, hosts: [host('kvm1', { hugepages: larger })] });
    expect(where(left)).toEqual(['plain-1 kvm1 1']);
    expect(left.refused).toMatchObject([{ stage: 'arithmetic', code: 'memory' }]);
  });

  it('a pool that takes all of a node leaves nothing for QEMU itself', () => {
    const full = [{ node: 0, count: 5000 }];
    const answer = placed({
      hosts: [host('kvm1', { hugepages: full })],
      guests: guests('huge', 1),
    });
    expect(answer.placements).toEqual([]);
    expect(answer.refused).toMatchObject([{ stage: 'arithmetic', code: 'memory', node: 0 }]);
    expect(answer.refused[0]!.shortfallPages).toBeLessThanOrEqual(4096);
  });

  it.each([
    ['hugepages', [{ node: 7, count: 1 }], '/hosts/kvm1/hugepages/0/node'],
    ['backgroundCache', [{ node: 7, mib: 1 }], '/hosts/kvm1/backgroundCache/0/node'],
    ['sysctl', { min_free_kbytes: -1 }, '/hosts/kvm1/sysctl/min_free_kbytes'],
  ])('is refused where the host cannot do it: %s', (field, value, path) => {
    const hosts = [host('kvm1', { [field]: value })];
    expect(placeGuests(document({ hosts, guests: guests('small', 1) }))).toMatchObject({
      ok: false,
      problems: [{ path }],
    });
  });

  it('marks that it moves are kept', () => {
    const asked = (sysctl: object) =>
      placed({ hosts: [host('kvm1', { sysctl })], guests: guests('wide', 1) });
    expect(asked({}).placements).toMatchObject([{ hostNodes: [0, 1] }]);
    const [refused] = asked({ min_free_kbytes: 600 * 1024 }).refused;
    expect(refused).toMatchObject({ stage: 'arithmetic', code: 'memory', mark: { name: 'low' } });
    expect(refused!.mark!.pages).toBeGreaterThan(300 * 256);
  });

  it('page cache that it reads may be dropped for guests, but for what is to be kept', () => {
    const backgroundCache = [0, 1].map((node) => ({ node, mib: 700 }));
    const asked = (own: object) =>
      placed({ hosts: [host('kvm1', { backgroundCache, ...own })], guests: guests('wide', 1) });
    expect(asked({}).placements).toHaveLength(1);
    expect(asked({ pageCacheMib: 600 }).refused).toMatchObject([
      { stage: 'arithmetic', code: 'memory' },
    ]);
  });
});

it('is the same whoever makes the replays, in whatever order', async () => {
  const request = document({
    hosts: Array.from({ length: 6 }, (_, i) => {
      const cached = { mib: 1024, cacheMib: 100 * i, cpus: CPUS };
      return {
        ...host(`kvm${i}`, { sysctl: { zone_reclaim_mode: 1 } }),
        host: { model: hostModel([cached]) },
      };
    }),
    guests: guests('small', 30),
    limits: { maxStallMs: 0 },
    objective: 'spread',
  });
  const one = placeGuests(request);
  const seen: string[] = [];
  const batches: number[] = [];
  const other = await inThreads(
    placing(request),
    (tasks, onDone) => {
      batches.push(tasks.length);
      const last = [...tasks.keys()].reverse();
      const outcomes = new Map(
        last.map((i, done) => {
          const outcome = replayTask(structuredClone(tasks[i]!));
          onDone(done + 1);
          return [i, outcome] as const;
        }),
      );
      return Promise.resolve(tasks.map((_, i) => outcomes.get(i)!));
    },
    (name, done, of) => seen.push(`${name} ${done}/${of}`),
  );
  expect(other).toEqual(one);
  // Some hosts hold at once and others do not; those are asked again.
  expect(batches.length).toBeGreaterThan(1);
  expect(batches[0]).toBe(6);
  expect(seen.slice(0, 6).map((text) => text.split(' ')[1])).toEqual(
    [1, 2, 3, 4, 5, 6].map((done) => `${done}/6`),
  );
});
