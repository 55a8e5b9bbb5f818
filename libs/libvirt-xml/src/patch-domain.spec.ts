import { applyPatch } from 'diff';
import { parseDomain, patchDomain, unifiedDiff } from '.';
import { CELLS, domainXml } from '../test/documents';
import type { DomainChange } from './types';

const patch = (xml: string, change: DomainChange): string => {
  const outcome = patchDomain(xml, change);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value.xml;
};
const refusal = (xml: string, change: DomainChange): string[] => {
  const outcome = patchDomain(xml, change);
  return outcome.ok ? [] : outcome.problems.map(({ code, path }) => `${code} ${path}`);
};
const backing = (inside: string): string =>
  domainXml({ cpu: CELLS, backing: `<memoryBacking>${inside}</memoryBacking>` });
const DISK = "<source file='/a'/><target dev='vda'/>";
const disk = (inside: string): string =>
  domainXml({ devices: `<disk type='file'>${inside}</disk>` });
const page2m = [{ sizeKib: 2048, nodeset: null }];

describe('patchDomain', () => {
  it.each<[string, string, NonNullable<DomainChange['memoryBacking']>]>([
    [
      '<hugepages/>',
      "<hugepages><page size='2048' unit='KiB'/></hugepages>",
      { hugepages: page2m },
    ],
    [
      '<hugepages><page size="1" unit="G" nodeset="0"/><!-- x --><page size="2" unit="M" nodeset="1"/></hugepages>',
      '<hugepages><page size="2048" unit="KiB" nodeset="1"/><!-- x --></hugepages>',
      { hugepages: [{ sizeKib: 2048, nodeset: [1] }] },
    ],
    ['<nosharepages/>', '<nosharepages/><locked/>', { locked: true, nosharepages: true }],
    ['<locked/><nosharepages/>', '<nosharepages/>', { locked: false }],
    ["<source type='memfd'/>", "<source type='file'/>", { source: 'file' }],
    [
      "<access mode='shared'/>",
      "<access mode='shared'/><source type='memfd'/><allocation mode='immediate'/>",
      { source: 'memfd', access: 'shared', allocation: 'immediate' },
    ],
    ["<locked/><source type='memfd'/>", '<locked/>', { source: null }],
  ])('edits memoryBacking %s', (before, after, memoryBacking) => {
    expect(patch(backing(before), { memoryBacking })).toBe(backing(after));
  });

  it('makes and takes out a whole memoryBacking', () => {
    const plain = domainXml({ cpu: CELLS });
    expect(patch(plain, { memoryBacking: { locked: true } })).toBe(
      plain.replace('</memory>', '</memory><memoryBacking><locked/></memoryBacking>'),
    );
    expect(patch(backing('<locked/>'), { memoryBacking: { locked: false } })).toBe(plain);
    expect(patch(backing('<locked/>'), { memoryBacking: { locked: false, discard: true } })).toBe(
      backing('<discard/>'),
    );
  });

  it.each<[string, string, number[] | null]>([
    ['<vcpu>4</vcpu>', "<vcpu cpuset='0-3,8'>4</vcpu>", [8, 3, 2, 1, 0]],
    ['<vcpu cpuset = "0" current="2">4</vcpu>', '<vcpu cpuset = "1" current="2">4</vcpu>', [1]],
    ["<vcpu placement='auto'>4</vcpu>", "<vcpu placement='static' cpuset='1'>4</vcpu>", [1]],
    ["<vcpu placement='static' cpuset='1'>4</vcpu>", "<vcpu placement='static'>4</vcpu>", null],
    ["<vcpu cpuset='0,1'>4</vcpu>", "<vcpu cpuset='0,1'>4</vcpu>", [0, 1]],
  ])('edits %s', (before, after, cpuset) => {
    expect(patch(domainXml({ vcpu: before }), { vcpu: { cpuset } })).toBe(
      domainXml({ vcpu: after }),
    );
  });

  describe('cputune', () => {
    const tuned = (inside: string): string => domainXml({ tune: `<cputune>${inside}</cputune>` });
    const REST =
      '<shares>2048</shares><period>100000</period><quota>-1</quota>' +
      "%<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='0'/>" +
      "<vcpusched vcpus='0' scheduler='fifo' priority='1'/><cachetune vcpus='1'><cache id='0' level='3' type='both' size='3' unit='MiB'/></cachetune>";
    const withRest = (pins: string): string =>
      tuned(REST.replace('%', pins)).replace('<cputune>', '<iothreads>1</iothreads><cputune>');

    it('sets pins in place, adds what is missing behind them, and keeps all other children', () => {
      const before = withRest(
        '<vcpupin vcpu=\'1\' cpuset=\'0\'/><!-- one --><vcpupin cpuset="0,1" vcpu="0"/>',
      );
      const pins = [
        { vcpu: 0, cpuset: [2, 3] },
        { vcpu: 3, cpuset: [2] },
      ];
      expect(patch(before, { cputune: { vcpupin: pins } })).toBe(
        withRest(
          "<vcpupin vcpu='1' cpuset='0'/><!-- one --><vcpupin cpuset=\"2-3\" vcpu=\"0\"/><vcpupin vcpu='3' cpuset='2'/>",
        ),
      );
      expect(patch(before, { cputune: { emulatorpin: [3, 2] } })).toBe(
        before.replace("<emulatorpin cpuset='0-1'/>", "<emulatorpin cpuset='2-3'/>"),
      );
      expect(patch(before, { cputune: { vcpupin: [{ vcpu: 0, cpuset: [1, 0] }] } })).toBe(before);
    });

    it('makes a cputune behind vcpu where there is none', () => {
      const change: DomainChange = {
        vcpu: { cpuset: [2] },
        cputune: { vcpupin: [{ vcpu: 3, cpuset: [3] }], emulatorpin: [2, 3] },
      };
      expect(patch(domainXml(), change)).toBe(
        domainXml({
          vcpu: "<vcpu cpuset='2'>4</vcpu>",
          tune: "<cputune><vcpupin vcpu='3' cpuset='3'/><emulatorpin cpuset='2-3'/></cputune>",
        }),
      );
      const bare = "<domain type='kvm'>\n  <name>g</name>\n  <memory>4096</memory>\n</domain>";
      const pinned = { vcpupin: [{ vcpu: 0, cpuset: [1] }] };
      const numatune = { memory: { mode: 'strict' as const, nodeset: [1] } };
      expect(patch(bare, { numatune, vcpu: { cpuset: [1] }, cputune: pinned }).split('\n')).toEqual(
        [
          ...["<domain type='kvm'>", '  <name>g</name>', '  <memory>4096</memory>'],
          ...["  <vcpu cpuset='1'>1</vcpu>", '  <cputune>', "    <vcpupin vcpu='0' cpuset='1'/>"],
          ...['  </cputune>', '  <numatune>', "    <memory mode='strict' nodeset='1'/>"],
          ...['  </numatune>', '</domain>'],
        ],
      );
    });

    it('refuses vCPUs that are not there and sets that are none', () => {
      expect(refusal(domainXml(), { cputune: { vcpupin: [{ vcpu: 4, cpuset: [0] }] } })).toEqual([
        'invalid-change /domain/cputune/vcpupin/@vcpu',
      ]);
      expect(refusal(domainXml(), { cputune: { vcpupin: [{ vcpu: 0, cpuset: [] }] } })).toEqual([
        'invalid-change /domain/cputune/vcpupin/@cpuset',
      ]);
      expect(refusal(domainXml(), { cputune: { emulatorpin: [-1] } })).toEqual([
        'invalid-change /domain/cputune/emulatorpin/@cpuset',
      ]);
    });
  });

  it('gives a document without vcpu one of as many vCPUs, on a line of its own', () => {
    const xml =
      "<domain type='kvm'>\r\n  <name>g</name>\r\n  <memory>4096</memory> <!-- m -->\r\n</domain>";
    expect(patch(xml, { vcpu: { cpuset: [2] } })).toBe(
      xml.replace('-->\r\n', "-->\r\n  <vcpu cpuset='2'>1</vcpu>\r\n"),
    );
  });

  it('edits the cache mode of a disk', () => {
    const none: DomainChange = { disks: [{ target: 'vda', cache: 'none' }] };
    const driver = (attributes: string): string => disk(`<driver ${attributes}/>${DISK}`);
    expect(patch(disk(DISK), none)).toBe(driver("cache='none'"));
    expect(patch(driver("name='qemu' cache='writeback' io='threads'"), none)).toBe(
      driver("name='qemu' cache='none' io='threads'"),
    );
    const off: DomainChange = { disks: [{ target: 'vda', cache: null }] };
    expect(patch(driver("name='qemu' cache='none'"), off)).toBe(driver("name='qemu'"));
    const native = driver("cache='none' io='native'");
    expect(refusal(native, { disks: [{ target: 'vda', cache: 'writeback' }] })).toEqual([
      'invalid-change /domain/devices/disk/driver/@cache',
    ]);
  });

  it('refuses what libvirt would refuse, and changes that name nothing', () => {
    const ondemand = backing("<allocation mode='ondemand'/>");
    expect(refusal(ondemand, { memoryBacking: { hugepages: page2m } })).toEqual([
      'invalid-change /domain/memoryBacking/allocation',
    ]);
    expect(refusal(domainXml(), { disks: [{ target: 'vdz', cache: 'none' }] })).toEqual([
      'invalid-change /domain/devices/disk/target/@dev',
    ]);
    expect(refusal(domainXml(), { vcpu: { cpuset: [] } })).toEqual([
      'invalid-change /domain/vcpu/@cpuset',
    ]);
    const hugepages = [{ sizeKib: 2048, nodeset: [7] }];
    expect(refusal(backing(''), { memoryBacking: { hugepages } })).toEqual([
      'invalid-change /domain/memoryBacking/hugepages/page/@nodeset',
    ]);
  });

  it('makes several changes at once, which the reverse patch takes back', () => {
    const xml = `<domain type='kvm'>\r\n  <name>g</name>\r\n  <memory>4096</memory>\r\n  <x:y xmlns:x="u" a='>'/>\r\n  <devices>\r\n    <disk type='file'>${DISK}</disk>\r\n  </devices>\r\n</domain>\r\n`;
    const change: DomainChange = {
      numatune: { memory: { mode: 'preferred', nodeset: [1] } },
      vcpu: { cpuset: [0, 1] },
      memoryBacking: { locked: true },
      disks: [{ target: 'vda', cache: 'none' }],
    };
    const after = patch(xml, change);
    expect(after.split('\r\n').slice(2, 10)).toEqual([
      '  <memory>4096</memory>',
      '  <memoryBacking>',
      '    <locked/>',
      '  </memoryBacking>',
      "  <vcpu cpuset='0-1'>1</vcpu>",
      '  <numatune>',
      "    <memory mode='preferred' nodeset='1'/>",
      '  </numatune>',
    ]);
    expect(parseDomain(after)).toMatchObject({ ok: true, value: { vcpu: { cpuset: [0, 1] } } });
    expect(patch(after, change)).toBe(after);
    const exact = { autoConvertLineEndings: false };
    expect(applyPatch(xml, unifiedDiff('g.xml', xml, after), exact)).toBe(after);
    expect(applyPatch(after, unifiedDiff('g.xml', after, xml), exact)).toBe(xml);
  });
});
