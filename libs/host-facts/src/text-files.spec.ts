import { hostTextsOf, nodeTextOf } from './text-files';

describe('hostTextsOf', () => {
  it('takes the files that are texts of a host, per node where they are of a node', () => {
    const names = [
      'node1.meminfo',
      'node0.meminfo',
      'zoneinfo',
      'thp-enabled',
      'guest.db1.numa_maps',
    ];
    expect(hostTextsOf(names, (name) => `text of ${name}`)).toEqual({
      zoneinfo: 'text of zoneinfo',
      thpEnabled: 'text of thp-enabled',
      nodeMeminfo: { '0': 'text of node0.meminfo', '1': 'text of node1.meminfo' },
    });
  });

  it('reads nothing that it does not take', () => {
    const read = (name: string): string => {
      throw new Error(`read ${name}`);
    };
    const names = ['README', 'node0', 'node0.power', 'nodeX.meminfo', 'constructor', '__proto__'];
    expect(hostTextsOf(names, read)).toEqual({});
  });
});

test('nodeTextOf knows the files of a node alone', () => {
  expect(nodeTextOf('node12.cpulist')).toEqual({ field: 'nodeCpulist', nodeId: '12' });
  for (const name of ['node.meminfo', 'node123456.meminfo', 'node0.constructor', 'meminfo']) {
    expect(nodeTextOf(name)).toBeNull();
  }
});
