import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCapabilities } from '.';

const caps = (cells: string): string =>
  `<capabilities><host><cpu><arch>x86_64</arch></cpu><topology><cells>${cells}</cells></topology></host></capabilities>`;
const none = { latencies: [], bandwidths: [] };
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
    expect(outcome.ok && outcome.value.topology.nodes).toMatchObject([
      { id: 1, memoryKib: 2048, cpus: [3], pages: [{ sizeKib: 4, count: 512 }], distances: [] },
      { id: 16, memoryKib: 0, cpus: [], pages: [], distances: [] },
    ]);
    const bare = parseCapabilities('<capabilities><host/></capabilities>');
    expect(bare).toEqual({
      ok: true,
      value: { arch: null, topology: { nodes: [], interconnects: none }, cpuCaches: [] },
    });
  });

  it('reads places of CPUs, CPU caches and HMAT', () => {
    const cells =
      "<cell id='0'><cache level='1' associativity='direct' policy='writeback'><size value='10' unit='MiB'/><line value='8' unit='B'/></cache><cpus num='1'><cpu id='0' socket_id='1' die_id='2' cluster_id='3' core_id='4' siblings='0,8'/></cpus></cell>";
    const links =
      "<interconnects><latency initiator='0' target='0' cache='1' type='read' value='5'/><bandwidth initiator='0' target='0' type='access' value='2' unit='MiB'/></interconnects>";
    const xml = `<capabilities><host><topology><cells>${cells}</cells>${links}</topology><cache><bank level='3' type='both' size='2' unit='MiB' cpus='0,8'/></cache></host></capabilities>`;
    const outcome = parseCapabilities(xml);
    expect(outcome.ok && outcome.value).toEqual({
      arch: null,
      topology: {
        nodes: [
          {
            ...{ id: 0, memoryKib: 0, cpus: [0], pages: [], distances: [] },
            cpuPlaces: [{ id: 0, socket: 1, die: 2, cluster: 3, core: 4, siblings: [0, 8] }],
            caches: [
              {
                level: 1,
                associativity: 'direct',
                policy: 'writeback',
                sizeKib: 10240,
                lineBytes: 8,
              },
            ],
          },
        ],
        interconnects: {
          latencies: [{ initiator: 0, target: 0, cache: 1, access: 'read', valueNs: 5 }],
          bandwidths: [
            { initiator: 0, target: 0, cache: null, access: 'access', valueKibPerSecond: 2048 },
          ],
        },
      },
      cpuCaches: [{ level: 3, type: 'both', sizeKib: 2048, cpus: [0, 8] }],
    });
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
