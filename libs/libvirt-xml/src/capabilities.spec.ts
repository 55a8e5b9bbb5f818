import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCapabilities } from '.';

const caps = (cells: string): string =>
  `<capabilities><host><cpu><arch>x86_64</arch></cpu><topology><cells>${cells}</cells></topology></host></capabilities>`;
const codes = (xml: string): string[] => {
  const outcome = parseCapabilities(xml);
  return outcome.ok ? [] : outcome.problems.map(({ code }) => code);
};

describe('parseCapabilities', () => {
  it('reads the example host', () => {
    const file = join(__dirname, '..', '..', '..', 'examples', 'host-capabilities.xml');
    const outcome = parseCapabilities(readFileSync(file, 'utf8'));
    expect(outcome.ok && outcome.value.topology.nodes).toMatchObject([
      { id: 0, memoryKib: 4028976, cpus: [0, 1], distances: [{ value: 10 }, { value: 21 }] },
      { id: 1, memoryKib: 4123976, cpus: [2, 3], distances: [{ value: 21 }, { value: 10 }] },
    ]);
  });

  it('takes gaps in ids, nodes without memory or CPUs, and no topology at all', () => {
    const cells =
      "<cell id='16'><cpus num='0'/></cell><cell id='1'><memory unit='MiB'>2</memory><pages unit='KiB' size='4'>512</pages><cpus num='1'><cpu id='3'/></cpus></cell>";
    const outcome = parseCapabilities(caps(cells));
    expect(outcome.ok && outcome.value.topology.nodes).toEqual([
      { id: 1, memoryKib: 2048, cpus: [3], pages: [{ sizeKib: 4, count: 512 }], distances: [] },
      { id: 16, memoryKib: 0, cpus: [], pages: [], distances: [] },
    ]);
    const bare = parseCapabilities('<capabilities><host/></capabilities>');
    expect(bare).toEqual({ ok: true, value: { arch: null, topology: { nodes: [] } } });
  });

  it.each([
    ['<domain/>', 'wrong-root'],
    [caps("<cell id='0'/><cell id='0'/>"), 'duplicate-node'],
    [caps('<cell/>'), 'missing-attribute'],
    [caps("<cell id='-1'/>"), 'invalid-number'],
    [caps("<cell id='0'><memory>-5</memory></cell>"), 'invalid-size'],
    [
      caps(
        "<cell id='0'><distances><sibling id='0' value='10'/><sibling id='0' value='9'/></distances></cell>",
      ),
      'duplicate-distance',
    ],
    ['<!DOCTYPE capabilities><capabilities/>', 'xml-doctype'],
  ])('refuses %.70s', (xml, code) => {
    expect(codes(xml)).toEqual([code]);
  });
});
