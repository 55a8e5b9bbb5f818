import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importHost } from '@zonewise/host-facts';
import { modelShapeProblems } from './model-shape';

const example = (name: string) =>
  readFileSync(join(__dirname, '../../../examples/host', name), 'utf8');

const imported = importHost({ zoneinfo: example('zoneinfo'), sysctl: example('sysctl') });
if (!imported.ok) throw new Error('the example host is not read');
const model = JSON.parse(JSON.stringify(imported.value.model)) as Record<string, unknown>;

describe('modelShapeProblems', () => {
  it('finds nothing in a host model that went through JSON', () => {
    expect(modelShapeProblems(model)).toEqual([]);
  });

  it('names the place, what is expected and what is there', () => {
    expect(
      modelShapeProblems({ ...model, nodes: [{ ...(model.nodes as object[])[0], cpus: '0-1' }] }),
    ).toEqual([
      {
        code: 'host-model-shape',
        path: '/nodes/0/cpus',
        message: 'Expected an array, found string.',
      },
    ]);
  });

  it('looks into counts by migrate type', () => {
    const [node] = structuredClone(model.nodes) as { zones: object[] }[];
    const types = { freeBlocksByType: { Movable: [0, 'x'] }, pageblocksByType: { Movable: [1] } };
    Object.assign(node!.zones[0]!, types);
    expect(modelShapeProblems({ ...model, nodes: [node] }).map(({ path }) => path)).toEqual([
      '/nodes/0/zones/0/freeBlocksByType/Movable/1',
      '/nodes/0/zones/0/pageblocksByType/Movable',
    ]);
  });

  it.each(Object.keys(model).filter((key) => key !== 'kernelRelease'))('misses %s', (key) => {
    const rest = Object.fromEntries(Object.entries(model).filter(([name]) => name !== key));
    expect(modelShapeProblems(rest).map(({ path }) => path)).toEqual([`/${key}`]);
  });

  it('never throws and bounds its list, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const problems = modelShapeProblems(value);
        expect(problems.length).toBeGreaterThan(0);
        expect(problems.length).toBeLessThanOrEqual(20);
      }),
    );
  });
});
