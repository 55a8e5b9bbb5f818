import * as fc from 'fast-check';
import { parseDomain } from '.';
import { LIMITS } from './limits';
import { CELLS, domainXml, numatune } from '../test/documents';
import type { DomainView } from './types';

const view = (xml: string): DomainView => {
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
};
const codes = (xml: string): string[] => {
  const outcome = parseDomain(xml);
  return outcome.ok ? [] : outcome.problems.map(({ code }) => code);
};
const memory = (text: string): string => domainXml({ memory: text });

describe('parseDomain', () => {
  it('reads the placement of a whole domain', () => {
    const xml = domainXml({
      vcpu: "<vcpu placement='static' cpuset='0-3' current='2'>4</vcpu>",
      tune: `<cputune><vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='2'/></cputune>${numatune(
        "<memory mode='preferred' nodeset='0-1,^0'/><memnode cellid='1' mode='interleave' nodeset='0,1'/>",
      )}`,
      cpu: CELLS,
      backing: '<memoryBacking><locked/></memoryBacking>',
      devices:
        "<disk type='file'><source file='/a'/><target dev='vda'/></disk><disk type='block'><driver cache='none'/><source dev='/b'/><target dev='vdb'/></disk><hostdev mode='subsystem' type='pci'/>",
    });
    expect(view(xml)).toMatchObject({
      name: 'guest',
      type: 'kvm',
      memoryKib: 1048576,
      currentMemoryKib: 1048576,
      vcpu: { count: 4, current: 2, placement: 'static', cpuset: [0, 1, 2, 3] },
      cputune: { vcpupin: [{ vcpu: 0, cpuset: [1] }], emulatorpin: [2], iothreadpin: [] },
      numatune: {
        memory: { mode: 'preferred', placement: 'static', nodeset: [1] },
        memnodes: [{ cellid: 1, mode: 'interleave', nodeset: [0, 1] }],
      },
      cells: [
        { id: 0, cpus: [0, 1], memoryKib: 524288, memAccess: null },
        { id: 1, cpus: [2, 3], memoryKib: 524288, memAccess: null },
      ],
      disks: [
        { target: 'vda', cache: null, usesHostPageCache: true },
        { target: 'vdb', cache: 'none', usesHostPageCache: false },
      ],
      memoryBacking: { locked: true },
      hasVfioHostdev: true,
      warnings: [],
    });
  });

  it.each([
    ["<memory unit='gib'>1</memory>", 1048576],
    ["<memory unit='GB'>1</memory>", 976563],
    ["<memory unit='b'>1025</memory>", 2],
    ["<memory unit='P'>1</memory>", 1099511627776],
    ['<memory>4096</memory>', 4096],
  ])('scales %s', (text, kib) => {
    expect(view(memory(text)).memoryKib).toBe(kib);
  });

  it.each([
    ["<memory unit='Gi'>1</memory>", 'unknown-unit'],
    ['<memory> 1048576 </memory>', 'invalid-size'],
    ["<memory unit='GiB'>1.5</memory>", 'invalid-size'],
    ['<memory>-5</memory>', 'invalid-size'],
    ["<memory unit='EiB'>20</memory>", 'size-overflow'],
    [`<memory>${'9'.repeat(100_000)}</memory>`, 'size-overflow'],
    ['', 'missing-memory'],
    ['<memory>0</memory>', 'missing-memory'],
  ])('refuses the size %.40s', (text, code) => {
    expect(codes(memory(text))).toEqual([code]);
  });

  it('gives a QEMU guest the sum of its cells, and says so', () => {
    const found = view(domainXml({ memory: "<memory unit='GiB'>3</memory>", cpu: CELLS }));
    expect(found.memoryKib).toBe(1048576);
    expect(found.warnings.map(({ code }) => code)).toEqual(['memory-sum-mismatch']);
  });

  it.each([
    ["<memory mode='STRICT' nodeset='0'/>", 'unknown-numatune-mode'],
    ["<memory mode='' nodeset='0'/>", 'unknown-numatune-mode'],
    ["<memory mode='interleave'/>", 'missing-nodeset'],
    ["<memory placement='near' nodeset='0'/>", 'unknown-numatune-placement'],
    ["<memory nodeset='0,^0'/>", 'empty-set'],
    ["<memory nodeset='1-0'/>", 'invalid-set'],
    ["<memory nodeset=''/>", 'invalid-set'],
    ["<memory nodeset='0-3,^1-2'/>", 'invalid-set'],
    ["<memory nodeset='16384'/>", 'invalid-set'],
    ["<memory nodeset='٣'/>", 'invalid-set'],
    ["<memnode cellid='0' mode='strict'/>", 'missing-attribute'],
    ["<memnode cellid='2' nodeset='0'/>", 'unknown-cell'],
    ["<memnode cellid='0' nodeset='0'/><memnode cellid='0' nodeset='1'/>", 'duplicate-memnode'],
    ["<memory placement='auto'/><memnode cellid='0' nodeset='0'/>", 'memnode-with-auto-placement'],
    [
      "<memory mode='restrictive' nodeset='0'/><memnode cellid='0' nodeset='0'/>",
      'restrictive-mismatch',
    ],
  ])('refuses numatune %s', (inside, code) => {
    expect(codes(domainXml({ tune: numatune(inside), cpu: CELLS }))).toEqual([code]);
  });

  it('says of weighted interleave why it cannot be had', () => {
    const inside = "<memory mode='weighted-interleave' nodeset='0-1'/>";
    const outcome = parseDomain(domainXml({ tune: numatune(inside) }));
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([
      { code: 'unknown-numatune-mode', message: expect.stringContaining('Linux 6.9') as string },
    ]);
  });

  it('makes unpinned vCPUs automatic when the memory is', () => {
    const found = view(domainXml({ tune: numatune("<memory placement='auto' nodeset='0'/>") }));
    expect(found.vcpu.placement).toBe('auto');
    expect(found.numatune.memory).toEqual({ mode: 'strict', placement: 'auto', nodeset: null });
    expect(found.warnings.map(({ code }) => code)).toEqual(['ignored-nodeset']);
  });

  it('adds strict automatic memory to automatic vCPUs', () => {
    const found = view(domainXml({ vcpu: "<vcpu placement='auto'>4</vcpu>" }));
    expect(found.numatune.memory).toEqual({ mode: 'strict', placement: 'auto', nodeset: null });
  });

  it('collects every problem with path, line and column', () => {
    const xml = `<domain type='kvm'>\r\n  <name>é😀</name>\r\n  <memory>x</memory>\r\n  <vcpu>0</vcpu>\r\n  <numatune>\r\n    <!-- 😀 --><memory mode='best' nodeset='0-'/>\r\n  </numatune>\r\n</domain>`;
    const outcome = parseDomain(xml);
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([
      { code: 'invalid-number', path: '/domain/vcpu', line: 4, column: 3, found: '0' },
      { code: 'unknown-numatune-mode', path: '/domain/numatune/memory/@mode', line: 6, column: 23 },
      { code: 'invalid-set', path: '/domain/numatune/memory/@nodeset', line: 6, column: 35 },
      { code: 'invalid-size', path: '/domain/memory', line: 3, column: 3, found: 'x' },
    ]);
  });

  it('reads the domain in a status document, with numad’s advice', () => {
    const xml = `<domstatus state='running'><numad nodeset='0-2'/>${domainXml()}</domstatus>`;
    expect(view(xml)).toMatchObject({ name: 'guest', numadNodeset: [0, 1, 2] });
  });

  it.each([
    ['<!DOCTYPE domain [<!ENTITY a "b">]><domain/>', 'xml-doctype'],
    ['<!DOCTYPE domain SYSTEM "file:///etc/hostname"><domain/>', 'xml-doctype'],
    ['<domain><name>&boom;</name></domain>', 'xml-entity'],
    ['<domain/><domain/>', 'xml-multiple-roots'],
    ['<domain><name></domain>', 'xml-syntax'],
    ["<domain type='a' type='b'/>", 'xml-syntax'],
    ['<dom', 'xml-syntax'],
    ['', 'xml-syntax'],
    ['<network/>', 'wrong-root'],
    ['<domstatus/>', 'missing-domain'],
    ["<domain type='kvm'>".padEnd(LIMITS.documentBytes + 1), 'document-too-large'],
    ['<a>'.repeat(LIMITS.depth + 1), 'nesting-too-deep'],
    [`<a>${'<b/>'.repeat(LIMITS.elements)}</a>`, 'too-many-elements'],
    [
      `<a ${Array.from({ length: LIMITS.attributesPerElement + 1 }, (_, i) => `a${i}=''`).join(' ')}/>`,
      'too-many-attributes',
    ],
  ])('refuses %.60s', (xml, code) => {
    expect(codes(xml)).toEqual([code]);
  });

  it('lists at most a hundred problems', () => {
    const found = codes(domainXml({ tune: '<numatune/>'.repeat(300) }));
    expect(found).toHaveLength(LIMITS.problems + 1);
    expect(found.pop()).toBe('too-many-problems');
  });

  it('refuses sets that are large only together', () => {
    const pins = Array.from({ length: 200 }, (_, i) => `<vcpupin vcpu='${i}' cpuset='0-16383'/>`);
    const found = codes(
      domainXml({ vcpu: '<vcpu>200</vcpu>', tune: `<cputune>${pins.join('')}</cputune>` }),
    );
    expect(found).toContain('too-many-elements');
  });

  it('answers any text with a view or problems that have a place in it', () => {
    const base = domainXml({
      tune: numatune("<memory mode='strict' nodeset='0-1'/><memnode cellid='0' nodeset='1'/>"),
      cpu: CELLS,
    });
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('<', '>', '&', "'", '</memory>', '<memory/>', '<!--', ']]>', '-1', '\r\n'),
    );
    const edit = fc.record({ at: fc.nat(base.length), cut: fc.nat(40), put: piece });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), (edits) => {
        const xml = edits.reduce(
          (text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut),
          base,
        );
        const outcome = parseDomain(xml);
        if (outcome.ok) return outcome.value.name !== '';
        const lines = xml.split(/\r\n|\n|\r/);
        return (
          outcome.problems.length > 0 &&
          outcome.problems.every(({ line, column }) => {
            return column >= 1 && column <= (lines[line - 1] ?? '').length + 1;
          })
        );
      }),
      { numRuns: 500 },
    );
  });
});
