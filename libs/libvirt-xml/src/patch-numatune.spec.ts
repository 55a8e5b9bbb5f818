import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyPatch } from 'diff';
import * as fc from 'fast-check';
import { parseDomain, patchNumatune, unifiedDiff } from '.';
import { CELLS, domainXml, numatune } from '../test/documents';
import type { NumatuneChange } from './types';

const EXAMPLES = ['db1', 'web1', 'web2', 'job1'];
const example = (name: string): string =>
  readFileSync(join(__dirname, '..', '..', '..', 'examples', `${name}.xml`), 'utf8');
const patch = (xml: string, change: NumatuneChange): string => {
  const outcome = patchNumatune(xml, change);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value.xml;
};
const refusal = (xml: string, change: NumatuneChange): string[] => {
  const outcome = patchNumatune(xml, change);
  return outcome.ok ? [] : outcome.problems.map(({ code }) => code);
};
const strict0: NumatuneChange = { memory: { mode: 'strict', nodeset: [0] } };

describe('patchNumatune', () => {
  it.each([
    ["<memory mode='preferred' nodeset='0'/>", "<memory mode='strict' nodeset='0'/>"],
    ['<memory  nodeset = "1"\tmode="preferred" />', '<memory  nodeset = "0"\tmode="strict" />'],
    ["<memory mode='interleave' nodeset='0,^1'/>", "<memory mode='strict' nodeset='0,^1'/>"],
    ["<memory nodeset='1'/>", "<memory nodeset='0'/>"],
    [
      "<memory mode='preferred' placement='auto'/>",
      "<memory mode='strict' placement='static' nodeset='0'/>",
    ],
    ["<memory placement='auto'></memory>", "<memory placement='static' nodeset='0'></memory>"],
    [
      "<!-- why --><memory mode='interleave' nodeset='1'/>",
      "<!-- why --><memory mode='strict' nodeset='0'/>",
    ],
    ['', "<memory mode='strict' nodeset='0'/>"],
  ])('edits only values: %s', (before, after) => {
    const xml = (inside: string): string => domainXml({ tune: numatune(inside) });
    expect(patch(xml(before), strict0)).toBe(xml(after));
  });

  it('opens a self-closing numatune', () => {
    const after = numatune("<memory mode='strict' nodeset='0'/>");
    expect(patch(domainXml({ tune: '<numatune/>' }), strict0)).toBe(domainXml({ tune: after }));
  });

  it.each(['\n', '\r\n'])('inserts at libvirt’s place in the document’s own layout (%j)', (nl) => {
    const lines = [
      "<?xml version='1.0'?>",
      '<domain type="kvm">',
      '\t<name>g</name>',
      '\t<memory>4096</memory>',
      '\t<vcpu>1</vcpu> <!-- one -->',
      '\t<os/>',
      '</domain>',
      '',
    ];
    const want = [
      ...lines.slice(0, 5),
      '\t<numatune>',
      '\t\t<memory mode="strict" nodeset="0"/>',
      '\t</numatune>',
      ...lines.slice(5),
    ];
    expect(patch(lines.join(nl), strict0)).toBe(want.join(nl));
  });

  it('inserts behind cputune, not behind vcpu', () => {
    const tune = "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>";
    const want = tune + numatune("<memory mode='strict' nodeset='0'/>");
    expect(patch(domainXml({ tune }), strict0)).toBe(domainXml({ tune: want }));
  });

  it('updates, adds and removes memnodes', () => {
    const head = "\n  <memory mode='strict' nodeset='0'/>";
    const xml = (inside: string): string =>
      domainXml({ tune: `\n <numatune>${head}${inside}\n </numatune>`, cpu: CELLS });
    const before = "\n  <memnode cellid='1' mode='strict' nodeset='1'/>";
    const change = (memnodes: NumatuneChange['memnodes']): string =>
      patch(xml(before), { memnodes });
    expect(change([])).toBe(xml(''));
    expect(change([{ cellid: 1, mode: 'preferred', nodeset: [0, 1] }])).toBe(
      xml("\n  <memnode cellid='1' mode='preferred' nodeset='0-1'/>"),
    );
    expect(change([{ cellid: 0, mode: 'strict', nodeset: [0] }])).toBe(
      xml("\n  <memnode cellid='0' mode='strict' nodeset='0'/>"),
    );
    expect(
      change([
        { cellid: 0, mode: 'strict', nodeset: [0] },
        { cellid: 1, mode: 'strict', nodeset: [1] },
      ]),
    ).toBe(xml(`${before}\n  <memnode cellid='0' mode='strict' nodeset='0'/>`));
  });

  it('takes numatune out with its lines, but keeps a comment inside', () => {
    const xml = (tune: string): string => domainXml({ tune: `\n  <a/>${tune}\n  <b/>` });
    const memory = "\n    <memory nodeset='0'/>";
    const none = { memory: null };
    expect(patch(xml(`\n  <numatune>${memory}\n  </numatune>`), none)).toBe(xml(''));
    expect(patch(xml(`\n  <numatune><!-- x -->${memory}\n  </numatune>`), none)).toBe(
      xml('\n  <numatune><!-- x -->\n  </numatune>'),
    );
  });

  it('refuses what libvirt would refuse, and what the document cannot say', () => {
    const cells = domainXml({ cpu: CELLS, tune: numatune("<memnode cellid='0' nodeset='0'/>") });
    expect(refusal(cells, { memory: { mode: 'restrictive', nodeset: [0] } })).toEqual([
      'invalid-change',
    ]);
    expect(refusal(cells, { memory: { mode: 'strict', nodeset: [] } })).toEqual(['invalid-change']);
    expect(refusal(cells, { memnodes: [{ cellid: 7, mode: 'strict', nodeset: [0] }] })).toEqual([
      'invalid-change',
    ]);
    const automatic = domainXml({
      vcpu: "<vcpu placement='auto'>4</vcpu>",
      tune: numatune("<memory nodeset='0'/>"),
    });
    expect(refusal(automatic, { memory: null })).toEqual(['change-not-applicable']);
    expect(refusal('<domain', strict0)).toEqual(['xml-syntax']);
  });

  it.each(EXAMPLES)('changes examples/%s.xml in one line', (name) => {
    const before = example(name);
    const after = patch(before, { memory: { mode: 'interleave', nodeset: [0, 1] } });
    const diff = unifiedDiff(`${name}.xml`, before, after);
    expect(diff.split('\n').filter((line) => /^[-+][^-+]/.test(line))).toHaveLength(2);
    expect(applyPatch(before, diff)).toBe(after);
  });

  const nodeset = fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 4 });
  const mode = fc.constantFrom('strict' as const, 'preferred' as const, 'interleave' as const);
  const setting = fc.record({
    mode,
    nodeset: nodeset.map((ids) => [...ids].sort((a, b) => a - b)),
  });
  const memnodes = fc
    .uniqueArray(fc.record({ cellid: fc.nat(1), setting }), { selector: ({ cellid }) => cellid })
    .map((list) => list.map(({ cellid, setting: one }) => ({ cellid, ...one })));
  const gap = fc.constantFrom('', '\n  ', '\r\n\t', ' <!-- <memory/> -->');
  const start = fc.record({
    memory: fc.option(setting),
    memnodes,
    gap,
    quote: fc.constantFrom("'", '"'),
    absent: fc.boolean(),
  });
  const document = start.map(({ memory, memnodes: nodes, gap: space, quote, absent }) => {
    const text = (name: string, attributes: Record<string, string | number>): string =>
      `${space}<${name}${Object.entries(attributes)
        .map(([key, value]) => ` ${key}=${quote}${value}${quote}`)
        .join('')}/>`;
    const inside = [
      ...(memory === null
        ? []
        : [text('memory', { mode: memory.mode, nodeset: memory.nodeset.join() })]),
      ...nodes.map((node) => text('memnode', { ...node, nodeset: node.nodeset.join() })),
    ];
    const tune = absent ? '' : `${space}<numatune>${inside.join('')}${space}</numatune>`;
    return domainXml({ tune, cpu: CELLS, backing: '<x:unknown a="1>2"/><!-- é😀 -->' });
  });

  it('says the change when read again, touches nothing outside, and is idempotent', () => {
    const parts = /^([^]*?)(\s*<numatune>[^]*<\/numatune>)?(<os>[^]*)$/;
    const outside = (xml: string): string => {
      const [, before = '', , after = ''] = parts.exec(xml) ?? [];
      return before + after;
    };
    fc.assert(
      fc.property(document, fc.option(setting), memnodes, (xml, memory, nodes) => {
        const change: NumatuneChange = { memory, memnodes: nodes };
        const after = patch(xml, change);
        const read = parseDomain(after);
        const found = read.ok ? read.value.numatune : null;
        const want = memory === null ? null : { ...memory, placement: 'static' };
        expect(found?.memory).toEqual(want);
        const byCell = (list: { cellid: number }[] = []): unknown[] =>
          [...list].sort((a, b) => a.cellid - b.cellid);
        expect(byCell(found?.memnodes)).toEqual(byCell(nodes));
        expect(outside(after).replace(/\s+(?=<os>)/, '')).toBe(
          outside(xml).replace(/\s+(?=<os>)/, ''),
        );
        expect(patch(after, change)).toBe(after);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves every byte when the values are those it has', () => {
    fc.assert(
      fc.property(document, (xml) => {
        const read = parseDomain(xml);
        if (!read.ok) throw new Error(JSON.stringify(read.problems));
        const { memory, memnodes: nodes } = read.value.numatune;
        const current = memory && { mode: memory.mode, nodeset: memory.nodeset ?? [] };
        expect(patch(xml, { memory: current, memnodes: nodes })).toBe(xml);
        expect(patch(xml, {})).toBe(xml);
      }),
    );
  });
});

describe('unifiedDiff', () => {
  it('is empty without a change and applies across CR LF and odd names', () => {
    expect(unifiedDiff('a', 'x\n', 'x\n')).toBe('');
    const diff = unifiedDiff('a\nb.xml', 'x\r\ny\r\n', 'x\r\nz\r\n');
    expect(diff.split('\n').slice(0, 2)).toEqual(['--- a/a_b.xml', '+++ b/a_b.xml']);
    expect(applyPatch('x\r\ny\r\n', diff, { autoConvertLineEndings: false })).toBe('x\r\nz\r\n');
  });
});
