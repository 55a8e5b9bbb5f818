/** Refusals of libvirt about plugged memory, shared memory, counts of vCPUs, and forms of numbers. */
import { parseDomain } from '.';
import { CELLS, domainXml } from '../test/documents';
import type { DomainView, ReadOptions } from './types';

const codes = (xml: string, options: ReadOptions = {}): string[] => {
  const outcome = parseDomain(xml, options);
  return outcome.ok ? [] : outcome.problems.map(({ code, path }) => `${code} ${path}`);
};
const view = (xml: string): DomainView => {
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
};

interface Plugged {
  maximum?: string;
  memory?: string;
  cpu?: string;
  type?: string;
}
const plugged = (devices: string, parts: Plugged = {}): string => {
  const { maximum = "<maxMemory slots='2' unit='GiB'>4</maxMemory>", cpu = CELLS } = parts;
  const memory = parts.memory ?? "<memory unit='GiB'>1</memory>";
  return domainXml({ type: parts.type ?? 'kvm', memory: maximum + memory, cpu, devices });
};
const dimm = (address = '', size = 512): string =>
  `<memory model='dimm'><target><size unit='MiB'>${size}</size><node>0</node></target>${address}</memory>`;
const dimmAt = (slot: number, base: string): string =>
  dimm(`<address type='dimm' slot='${slot}' base='${base}'/>`);
const virtioMem = (base: string): string =>
  `<memory model='virtio-mem'><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block><requested>0</requested><address base='${base}'/></target></memory>`;
const MEMORY = '/domain/devices/memory';

describe('plugged memory', () => {
  it('has room, slots, a cell and addresses of its own', () => {
    expect(codes(plugged(dimmAt(0, '0x100000000') + dimmAt(1, '0x120000000')))).toEqual([]);
    expect(codes(plugged(virtioMem('0x140000000') + virtioMem('0x180000000')))).toEqual([]);
  });

  it.each<[string, string, string, ReadOptions?]>([
    [
      'without a maximum',
      plugged(dimm(), { maximum: '' }),
      `memory-device-without-max-memory ${MEMORY}`,
    ],
    [
      'more than slots',
      plugged(dimm() + dimm() + dimm()),
      'memory-slots-exceeded /domain/maxMemory/@slots',
    ],
    [
      'each model in a slot before 9.5.0',
      plugged(virtioMem('0x140000000') + dimm() + dimm()),
      'memory-slots-exceeded /domain/maxMemory/@slots',
      { libvirtVersion: '9.4.0' },
    ],
    ['a slot beyond', plugged(dimmAt(2, '0x0')), `memory-slots-exceeded ${MEMORY}/address/@slot`],
    [
      'two in one slot',
      plugged(dimmAt(0, '0x100000000') + dimmAt(0, '0x120000000')),
      `memory-device-overlap ${MEMORY}[2]`,
    ],
    [
      'overlapping by one byte',
      plugged(dimmAt(0, '0x100000000') + dimmAt(1, '0x11fffffff')),
      `memory-device-overlap ${MEMORY}[2]`,
    ],
    [
      'off its block',
      plugged(virtioMem('0x140100000')),
      `invalid-memory-device ${MEMORY}/target/address/@base`,
    ],
    [
      'no cell named',
      plugged(dimm().replace('<node>0</node>', '')),
      `missing-element ${MEMORY}/target`,
    ],
    [
      'an address of another type',
      plugged(dimm("<address type='pci'/>")),
      `invalid-memory-device ${MEMORY}/address/@type`,
    ],
    ['no guest cell', plugged('', { cpu: '' }), 'memory-hotplug-without-cells /domain/maxMemory'],
    [
      'nothing but devices',
      plugged(dimm('', 1024), { type: 'test', maximum: '' }),
      'missing-memory /domain/memory',
    ],
  ])('is refused: %s', (_, xml, problem, options = {}) => {
    expect(codes(xml, options)).toEqual([problem]);
  });

  it('needs slots for dimm and nvdimm only since 9.5.0, and no free addresses before 9.8.0', () => {
    const slots = plugged(virtioMem('0x140000000') + dimm() + dimm());
    expect(codes(slots, { libvirtVersion: '9.5.0' })).toEqual([]);
    const overlap = plugged(virtioMem('0x140000000') + virtioMem('0x170000000'));
    expect(codes(overlap, { libvirtVersion: '9.7.0' })).toEqual([]);
    expect(codes(overlap)).toEqual([`memory-device-overlap ${MEMORY}[2]`]);
  });

  it('of an nvdimm is what its labels leave', () => {
    const nvdimm = (slot: number, base: string): string =>
      `<memory model='nvdimm'><source><path>/p</path></source><target><size unit='MiB'>512</size><node>0</node><label><size>1024</size></label></target><address type='dimm' slot='${slot}' base='${base}'/></memory>`;
    const at = (base: string): string[] =>
      codes(plugged(nvdimm(0, '0x100000000') + nvdimm(1, base)));
    // 512 MiB - 1 MiB of labels is 0x1ff00000 bytes.
    expect(at('0x11ff00000')).toEqual([]);
    expect(at('0x11feff000')).toEqual([`memory-device-overlap ${MEMORY}[2]`]);
  });
});

describe('devices of another process', () => {
  const fs =
    "<filesystem type='mount'><driver type='virtiofs'/><source dir='/a'/><target dir='b'/></filesystem>";
  const net = "<interface type='vhostuser'/>";
  const shared = "<memoryBacking><access mode='shared'/></memoryBacking>";
  const cell = (access: string): string =>
    `<cpu><numa><cell cpus='0-3' memory='1' unit='GiB'${access}/></numa></cpu>`;
  it.each<[string, string[], ReadOptions?]>([
    [domainXml({ devices: fs }), ['shared-memory-required /domain/devices/filesystem']],
    [domainXml({ devices: fs, backing: shared }), []],
    [domainXml({ devices: fs, cpu: cell(" memAccess='shared'") }), []],
    [
      domainXml({ devices: fs, backing: shared, cpu: cell(" memAccess='private'") }),
      ['shared-memory-required /domain/devices/filesystem'],
    ],
    [domainXml({ devices: net }), ['shared-memory-required /domain/devices/interface']],
    [domainXml({ devices: net }), [], { libvirtVersion: '11.1.0' }],
    [domainXml({ devices: fs, type: 'test' }), []],
  ])('%s', (xml, problems, options = {}) => {
    expect(codes(xml, options)).toEqual(problems);
  });
});

describe('counts and pins of vCPUs', () => {
  const machine = (name: string, count: number): string =>
    domainXml({ vcpu: `<vcpu>${count}</vcpu>` }).replace(
      "arch='x86_64'",
      `arch='x86_64' machine='${name}'`,
    );
  const topology = (attributes: string): string =>
    domainXml({ cpu: `<cpu><topology ${attributes}/></cpu>` });
  const tune = (inside: string): string =>
    domainXml({ tune: `<iothreads>1</iothreads><cputune>${inside}</cputune>` });
  it.each([
    [machine('pc-i440fx-7.2', 255), []],
    [machine('pc-i440fx-7.2', 256), ['too-many-vcpus /domain/vcpu']],
    [machine('pc-q35-7.2', 256), []],
    [domainXml({ vcpu: '<vcpu/>' }), ['invalid-number /domain/vcpu']],
    [
      domainXml({ vcpu: "<vcpu current='8'>4</vcpu>" }),
      ['current-vcpus-exceed-maximum /domain/vcpu/@current'],
    ],
    [
      domainXml({
        vcpu: "<vcpu current='8'>4</vcpu>",
        tune: "<vcpus><vcpu id='0' enabled='yes'/></vcpus>",
      }),
      [],
    ],
    [
      domainXml({ tune: "<vcpus><vcpu id='0' enabled='no'/></vcpus>" }),
      ['invalid-number /domain/vcpu'],
    ],
    [
      domainXml({
        tune: "<vcpus><vcpu id='0' enabled='yes'/><vcpu id='1' enabled='no' hotpluggable='no'/></vcpus>",
      }),
      ['vcpu-not-hotpluggable /domain/vcpus/vcpu[2]/@hotpluggable'],
    ],
    [topology("sockets='1' cores='4'"), ['missing-attribute /domain/cpu/topology/@threads']],
    [tune("<vcpupin vcpu='9' cpuset='?'/>"), []],
    [tune("<vcpupin vcpu='3' cpuset='?'/>"), ['invalid-set /domain/cputune/vcpupin/@cpuset']],
    [
      tune("<vcpusched vcpus='4' scheduler='batch'/>"),
      ['unknown-vcpu /domain/cputune/vcpusched/@vcpus'],
    ],
    [
      tune("<vcpusched vcpus='0' scheduler='fifo'/>"),
      ['missing-attribute /domain/cputune/vcpusched/@priority'],
    ],
    [
      tune("<vcpusched vcpus='0' scheduler='fifo' priority='high'/>"),
      ['invalid-number /domain/cputune/vcpusched/@priority'],
    ],
    [
      tune("<emulatorsched scheduler='idle'/><emulatorsched scheduler='idle'/>"),
      ['overlapping-scheduler /domain/cputune/emulatorsched[2]'],
    ],
    [
      domainXml({ tune: "<iothreadids><iothread id='2'/><iothread id='2'/></iothreadids>" }),
      ['duplicate-iothread /domain/iothreadids/iothread[2]/@id'],
    ],
  ])('%#: %s', (xml, problems) => {
    expect(codes(xml)).toEqual(problems);
  });
});

describe('forms that libvirt takes', () => {
  it.each<[string, number | null]>([
    ['<memory>\n 1048576</memory>', 1048576],
    ['<memory>+1048576</memory>', 1048576],
    ["<memory unit=''>1048576</memory>", 1048576],
    ['<memory>1048576 </memory>', null],
    ['<memory>-1</memory>', null],
    ["<memory unit='KiB' dumpCore='maybe'>1048576</memory>", null],
  ])('memory as %j', (memory, kib) => {
    const outcome = parseDomain(domainXml({ memory }));
    expect(outcome.ok ? outcome.value.memoryKib : null).toBe(kib);
  });

  it('an empty size is none, and an empty size of a cell is missing', () => {
    expect(
      view(domainXml({ memory: '<memory/><currentMemory/><maxMemory/>', cpu: CELLS })),
    ).toMatchObject({
      ...{ memoryKib: 1048576, currentMemoryKib: 1048576, maxMemoryKib: null },
    });
    const cell = "<cpu><numa><cell cpus='0-3' memory=''/></numa></cpu>";
    expect(codes(domainXml({ cpu: cell }))).toEqual([
      'missing-attribute /domain/cpu/numa/cell/@memory',
    ]);
  });

  it('memoryBacking may stand more than once, and an empty word is none', () => {
    const backing =
      "<memoryBacking><source type=''/></memoryBacking><memoryBacking><locked/><hugepages><page size='2048'/></hugepages></memoryBacking>";
    expect(view(domainXml({ backing })).memoryBacking).toMatchObject({
      source: null,
      locked: true,
      hugepages: [{ sizeKib: 2048, nodeset: null }],
    });
  });

  it('a limit of memtune has to be a size', () => {
    const memtune = (unit: string): string =>
      domainXml({ tune: `<memtune><hard_limit unit='${unit}'>4</hard_limit></memtune>` });
    expect(codes(memtune('G'))).toEqual([]);
    expect(codes(memtune('Gi'))).toEqual(['unknown-unit /domain/memtune/hard_limit/@unit']);
  });
});
