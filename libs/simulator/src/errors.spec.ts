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
    ['no CPUs', (h) => h.nodes.forEach((n) => (n.cpus = [])), ['node-without-cpus', 'nodes']],
  ])('%s', (_, change, expected) => {
    expect(broken(change)).toContainEqual(expected);
  });
});
