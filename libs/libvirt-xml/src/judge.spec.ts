/** What is read and refused beside numatune: cells, links, memory devices, vCPUs, versions, uploads. */
import { parseDomain, parseDomains } from '.';
import { CELLS, domainXml, numatune } from '../test/documents';
import type { DomainView, ReadOptions } from './types';

const view = (xml: string): DomainView => {
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
};
const codes = (xml: string, options: ReadOptions = {}): string[] => {
  const outcome = parseDomain(xml, options);
  return outcome.ok ? [] : outcome.problems.map(({ code, path }) => `${code} ${path}`);
};
const cell = (id: number, inside = '', attributes = `cpus='${id}' `): string =>
  `<cell id='${id}' ${attributes}memory='512' unit='MiB'>${inside}</cell>`;
const numa = (inside: string): string => domainXml({ cpu: `<cpu><numa>${inside}</numa></cpu>` });
const cache = (level: number): string =>
  `<cache level='${level}' associativity='direct' policy='writeback'><size value='10' unit='KiB'/><line value='8' unit='B'/></cache>`;
const latency = (from: number, to: number, more = ''): string =>
  `<latency initiator='${from}' target='${to}' type='access' value='5'${more}/>`;
const MAXIMUM = "<maxMemory slots='1' unit='GiB'>4</maxMemory><memory unit='GiB'>1</memory>";
const device = (attributes: string, inside: string): string =>
  domainXml({ memory: MAXIMUM, cpu: CELLS, devices: `<memory ${attributes}>${inside}</memory>` });

describe('guest cells', () => {
  it('have distances in both directions, caches, links and discard', () => {
    const found = view(
      numa(
        cell(0, "<distances><sibling id='1' value='21'/></distances>") +
          cell(1, cache(1), "cpus='1-3' discard='yes' ") +
          `<interconnects>${latency(0, 1, " cache='1'")}<bandwidth initiator='0' target='1' type='read' value='2' unit='MiB'/></interconnects>`,
      ),
    );
    expect(found.cells).toMatchObject([
      {
        discard: null,
        distances: [
          { id: 0, value: 10 },
          { id: 1, value: 21 },
        ],
        caches: [],
      },
      {
        discard: true,
        distances: [
          { id: 0, value: 21 },
          { id: 1, value: 10 },
        ],
        caches: [{ level: 1, associativity: 'direct', policy: 'writeback', sizeKib: 10 }],
      },
    ]);
    expect(found.interconnects).toEqual({
      latencies: [{ initiator: 0, target: 1, cache: 1, access: 'access', valueNs: 5 }],
      bandwidths: [
        { initiator: 0, target: 1, cache: null, access: 'read', valueKibPerSecond: 2048 },
      ],
    });
  });

  it('may have a set of CPUs that names none in the end', () => {
    expect(
      view(numa(cell(0, '', "cpus='0-3' ") + cell(1, '', "cpus='0,^0' "))).cells,
    ).toMatchObject([{ cpus: [0, 1, 2, 3] }, { cpus: [] }]);
  });

  const links = (inside: string): string =>
    numa(`${cell(0)}${cell(1)}<interconnects>${inside}</interconnects>`);
  it.each([
    [numa(''), 'numa-without-cells /domain/cpu/numa'],
    [numa(cell(0, '<distances/>')), 'missing-element /domain/cpu/numa/cell/distances'],
    [
      links(latency(0, 1, " cache='2'")),
      'unknown-cell-cache /domain/cpu/numa/interconnects/latency/@cache',
    ],
    [
      links(latency(0, 1) + latency(0, 1)),
      'duplicate-link /domain/cpu/numa/interconnects/latency[2]',
    ],
    [
      links(latency(0, 1) + latency(1, 0)),
      'duplicate-link /domain/cpu/numa/interconnects/latency[2]',
    ],
    [links(latency(0, 7)), 'unknown-cell /domain/cpu/numa/interconnects/latency/@target'],
  ])('are refused: %.120s', (xml, problem) => {
    expect(codes(xml)).toEqual([problem]);
  });
});

describe('memory devices', () => {
  it('are read with what stands behind them', () => {
    const xml = device(
      "model='virtio-mem' access='shared' discard='yes'",
      "<source><nodemask>1-3</nodemask><pagesize unit='MiB'>2</pagesize></source><target><size unit='GiB'>1</size><node>1</node><block unit='MiB'>2</block><requested unit='MiB'>512</requested></target>",
    );
    expect(view(xml).memoryDevices).toEqual([
      {
        ...{ model: 'virtio-mem', sizeKib: 1048576, node: 1, nodemask: [1, 2, 3] },
        ...{ access: 'shared', discard: true, pagesizeKib: 2048, blockKib: 2048 },
        requestedKib: 524288,
      },
    ]);
  });

  const bare = "<size unit='MiB'>512</size>";
  const size = `${bare}<node>0</node>`;
  const path = '<source><path>/p</path></source>';
  it.each([
    ["model='dimm'", `<target>${bare}<node>2</node></target>`, 'unknown-cell', '/target/node'],
    ["model='nvdimm'", `<target>${size}</target>`, 'missing-element', ''],
    ["model='nvdimm' discard='yes'", `${path}<target>${size}</target>`, '', '/@discard'],
    [
      "model='nvdimm'",
      `${path}<target>${size}<label><size>64</size></label></target>`,
      '',
      '/target/label/size',
    ],
    ["model='virtio-pmem' access='private'", `${path}<target>${bare}</target>`, '', '/@access'],
    ["model='virtio-pmem' access='shared'", `${path}<target>${size}</target>`, '', '/target/node'],
    ["model='virtio-mem'", `<target>${size}<block>3072</block></target>`, '', '/target/block'],
    [
      "model='virtio-mem'",
      `<target>${size}<block>2048</block><requested>1024</requested></target>`,
      '',
      '/target/requested',
    ],
    [
      "model='virtio-mem'",
      `<target>${size}<block>2048</block><requested unit='GiB'>1</requested></target>`,
      '',
      '/target/requested',
    ],
  ])('are refused: %s %s', (attributes, inside, code, below) => {
    const problem = `${code === '' ? 'invalid-memory-device' : code} /domain/devices/memory${below}`;
    expect(codes(device(attributes, inside))).toEqual([problem]);
  });
});

describe('vCPUs, I/O threads and the balloon', () => {
  it('are read one by one', () => {
    const found = view(
      domainXml({
        tune: "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no' order='1'/><vcpu id='3' enabled='no'/></vcpus><iothreads>3</iothreads><iothreadids><iothread id='5'/></iothreadids><cputune><iothreadpin iothread='5' cpuset='1'/></cputune>",
        devices: "<memballoon model='virtio' autodeflate='on'/>",
      }),
    );
    expect(found).toMatchObject({
      vcpu: { count: 4, current: 1 },
      vcpus: [
        { id: 0, enabled: true, hotpluggable: false, order: 1 },
        { id: 3, enabled: false, hotpluggable: null, order: null },
      ],
      iothreads: [1, 2, 5],
      memballoon: { model: 'virtio', autodeflate: true, freePageReporting: false },
    });
    const beyond = domainXml({ tune: "<vcpus><vcpu id='4' enabled='yes'/></vcpus>" });
    expect(codes(beyond)).toEqual(['unknown-vcpu /domain/vcpus/vcpu/@id']);
  });

  it('warns of guest memory on the command line of QEMU', () => {
    const args = ['-object', 'memory-backend-ram,id=m0,size=1G', '-numa', '-device', 'e1000'];
    const list = args.map((arg) => `<qemu:arg value='${arg}'/>`).join('');
    const found = view(domainXml({ tune: `<qemu:commandline>${list}</qemu:commandline>` }));
    expect(found.warnings.map(({ code, path }) => `${code} ${path}`)).toEqual([
      'qemu-commandline-memory /domain/qemu:commandline/qemu:arg[2]/@value',
      'qemu-commandline-memory /domain/qemu:commandline/qemu:arg[3]/@value',
    ]);
  });
});

describe('versions of libvirt', () => {
  const restrictive = domainXml({
    cpu: CELLS,
    tune: numatune("<memnode cellid='0' mode='restrictive' nodeset='0'/>"),
  });
  const bare = numa(cell(0) + cell(1, '', ''));
  const mode = '/domain/numatune/memnode/@mode';
  it.each([
    [undefined, restrictive, [`restrictive-mismatch ${mode}`]],
    ['9.4.0', restrictive, [`restrictive-mismatch ${mode}`]],
    ['9.3.0', restrictive, []],
    ['7.2', restrictive, [`unknown-numatune-mode ${mode}`]],
    ['6.6.0', bare, []],
    ['6.5.0', bare, ['missing-attribute /domain/cpu/numa/cell[2]/@cpus']],
    ['new', bare, ['invalid-libvirt-version /']],
  ])('%s applies its own rules', (libvirtVersion, xml, problems) => {
    expect(codes(xml, libvirtVersion === undefined ? {} : { libvirtVersion })).toEqual(problems);
  });
});

describe('parseDomains', () => {
  const names = (xml: string): string[] => {
    const outcome = parseDomains(xml);
    return outcome.ok ? outcome.value.map(({ name }) => name) : [];
  };
  const named = (name: string): string => domainXml().replace('guest', name);

  it('reads documents that follow each other, and those in one root', () => {
    expect(
      names(`<?xml version='1.0'?>\n${named('a')}\n<?xml version="1.0"?><!-- -->${named('b')}\n`),
    ).toEqual(['a', 'b']);
    expect(names(`<domains>${named('a')}<domstatus>${named('b')}</domstatus></domains>`)).toEqual([
      'a',
      'b',
    ]);
    expect(names(named('a'))).toEqual(['a']);
    expect(parseDomain(named('a') + named('b')).ok).toBe(false);
  });

  it('collects the problems of all of them, with places in the upload', () => {
    const outcome = parseDomains(
      `${domainXml({ vcpu: '<vcpu>0</vcpu>' })}\n${domainXml({ memory: '' })}`,
    );
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([
      { code: 'invalid-number', path: '/domain[1]/vcpu', line: 1 },
      { code: 'missing-memory', path: '/domain[2]', line: 2, column: 1 },
    ]);
  });
});
