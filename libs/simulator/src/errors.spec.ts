import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { twoNodes } from '../test/host';
import { SIMULATOR_ERROR_CODES } from './errors';
import type { HostModel } from './types';
import { validateHostModel } from './validate-host';

describe('errors', () => {
  it('errors.md lists exactly the codes there are', () => {
    const text = readFileSync(join(__dirname, '../errors.md'), 'utf8');
    const listed = [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
    expect(listed).toEqual([...SIMULATOR_ERROR_CODES]);
  });

  const broken = (change: (host: HostModel) => void) => {
    const host = twoNodes();
    change(host);
    return validateHostModel(host).map(({ code, path }) => [code, path]);
  };

  it('a sound host has no problems', () => {
    expect(broken(() => undefined)).toEqual([]);
  });

  it('settings of compaction may be absent, and undefined', () => {
    const absent = { compaction_proactiveness: undefined, extfrag_threshold: undefined };
    expect(broken((host) => Object.assign(host.sysctl, absent))).toEqual([]);
  });

  it("counters may be beyond the node's memory by what its CPUs have not added yet, and no further", () => {
    // 32,768 managed pages, two CPUs: 250 pages for each counter, 1,250 for the five lists.
    const full = (pages: number, lists: number) =>
      broken(({ nodes: [node] }) => {
        node!.anonPages = pages;
        node!.lru.inactiveAnonPages = lists;
      });
    expect(full(33018, 34018)).toEqual([]);
    expect(full(33019, 34019)).toEqual([
      ['out-of-range', 'nodes[0].lru'],
      ['out-of-range', 'nodes[0].anonPages'],
    ]);
  });

  it('pools may fill a node, and nodes of a split one be as near as their own', () => {
    const pool = { sizeKib: 2048, totalPages: 64, freePages: 64, surplusPages: 64 };
    const fine = (host: HostModel): void => {
      host.nodes[0]!.hugepages.push(pool);
      host.distances[0]![1] = 10;
      host.distances[1]![0] = 255;
    };
    expect(broken(fine)).toEqual([]);
  });

  it('a refusal says what was found and what would be right', () => {
    const host = twoNodes();
    host.distances[0]![1] = 1;
    host.nodes[0]!.hugepages.push({ sizeKib: 2048, totalPages: 65, freePages: 66 });
    expect(validateHostModel(host).map(({ message }) => message)).toEqual([
      "66 of 65 huge pages; at most the pool's totalPages are possible",
      "65 huge pages of 2048 KiB: the node's pools take 33280 pages of 4 KiB; it has 32768",
      '1; another node is 10 to 255 away',
    ]);
  });

  it.each<[string, (host: HostModel) => void, [string, string]]>([
    [
      'two nodes of one number',
      (h) => (h.nodes[1]!.nodeId = 0),
      ['duplicate-node', 'nodes[1].nodeId'],
    ],
    ['a CPU on two nodes', (h) => h.nodes[1]!.cpus.push(0), ['duplicate-cpu', 'nodes[1].cpus[1]']],
    ['a short matrix', (h) => h.distances.pop(), ['distance-matrix', 'distances']],
    ['a distance of 0', (h) => (h.distances[0]![1] = 0), ['distance-matrix', 'distances[0][1]']],
    [
      'more free than managed',
      (h) => (h.nodes[0]!.zones[0]!.freePages = 40000),
      ['zone-sizes', 'nodes[0].zones[0].freePages'],
    ],
    [
      'a negative size',
      (h) => (h.nodes[0]!.zones[0]!.managedPages = -1),
      ['out-of-range', 'nodes[0].zones[0].managedPages'],
    ],
    ['half a page', (h) => (h.nodes[0]!.filePages = 0.5), ['not-an-integer', 'nodes[0].filePages']],
    ['no memory', (h) => h.nodes.forEach((n) => (n.zones = [])), ['no-memory', 'nodes']],
    [
      'a node that is nearer than 10',
      (h) => (h.distances[1]![0] = 9),
      ['distance-matrix', 'distances[1][0]'],
    ],
    [
      'a node that is not 10 from itself',
      (h) => (h.distances[1]![1] = 11),
      ['distance-matrix', 'distances[1][1]'],
    ],
    [
      'more free huge pages than there are',
      (h) => h.nodes[1]!.hugepages.push({ sizeKib: 2048, totalPages: 4, freePages: 5 }),
      ['out-of-range', 'nodes[1].hugepages[0].freePages'],
    ],
    [
      'more surplus huge pages than there are',
      (h) =>
        h.nodes[1]!.hugepages.push({
          ...{ sizeKib: 2048, totalPages: 4, freePages: 0, surplusPages: 5 },
        }),
      ['out-of-range', 'nodes[1].hugepages[0].surplusPages'],
    ],
    [
      'pools that are larger than the node together',
      (h) =>
        h.nodes[0]!.hugepages.push(
          { sizeKib: 2048, totalPages: 60, freePages: 0 },
          { sizeKib: 64, totalPages: 129, freePages: 0 },
        ),
      ['out-of-range', 'nodes[0].hugepages[1].totalPages'],
    ],
    [
      'lists that are longer than the node together',
      (h) => Object.assign(h.nodes[0]!.lru, { inactiveAnonPages: 20000, activeFilePages: 20000 }),
      ['out-of-range', 'nodes[0].lru'],
    ],
    [
      'more page cache than memory',
      (h) => (h.nodes[1]!.filePages = 40000),
      ['out-of-range', 'nodes[1].filePages'],
    ],
    [
      'a zone with longer lists than pages',
      (h) => (h.nodes[1]!.zones[0]!.lru = { ...h.nodes[1]!.lru, unevictablePages: 40000 }),
      ['out-of-range', 'nodes[1].zones[0].lru'],
    ],
    [
      'a setting that has to be there',
      (h) => Object.assign(h.sysctl, { swappiness: undefined }),
      ['not-an-integer', 'sysctl.swappiness'],
    ],
    ['no CPUs', (h) => h.nodes.forEach((n) => (n.cpus = [])), ['node-without-cpus', 'nodes']],
  ])('%s', (_, change, expected) => {
    expect(broken(change)).toContainEqual(expected);
  });
});
