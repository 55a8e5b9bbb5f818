/** What holds for every patch of every document: taken back it is gone, and it says what was asked. */
import { applyPatch } from 'diff';
import * as fc from 'fast-check';
import { parseDomain, patchDomain, unifiedDiff } from '.';
import type { DiskCache, DomainChange } from '.';
import { openCorpus } from '../test/corpus';
import { readDomainIndependently } from '../test/independent-reader';
import { OWN_DOCUMENTS } from '../test/own-documents';

const corpus = openCorpus();
const DOCUMENTS: [name: string, xml: string][] = [
  ...Object.entries(OWN_DOCUMENTS),
  ...(corpus?.files ?? [])
    .filter(({ kind, expect: verdict }) => kind !== 'capabilities' && verdict === 'valid')
    .map(({ path }): [string, string] => [path, corpus?.read(path) ?? '']),
];
const RUNS = corpus === null ? 15 : 5;

const set = (most: number): fc.Arbitrary<number[]> =>
  fc.uniqueArray(fc.nat(most), { minLength: 1, maxLength: 4 });
const setting = {
  mode: fc.constantFrom('strict' as const, 'preferred' as const, 'interleave' as const),
  nodeset: set(7),
};
const page = fc.record({
  sizeKib: fc.constantFrom<number[]>(2048, 1048576),
  nodeset: fc.constantFrom<(number[] | null)[]>(null, [0], [0, 1]),
});
const maybe = { requiredKeys: [] };

function changeOf(xml: string): fc.Arbitrary<DomainChange> {
  const outcome = parseDomain(xml);
  const view = outcome.ok ? outcome.value : null;
  const targets = (view?.disks ?? []).map(({ target }) => target).filter((name) => name !== '');
  const disk = fc.record({
    target: fc.constantFrom(...targets, ''),
    cache: fc.constantFrom<(DiskCache | null)[]>(null, 'none', 'writeback'),
  });
  const disks = fc.uniqueArray(disk, { maxLength: 2, selector: ({ target }) => target });
  const cells = Math.max(view?.cells.length ?? 0, 1);
  const memnode = fc.record({ cellid: fc.nat(cells - 1), ...setting });
  const pins = fc.uniqueArray(
    fc.record({ vcpu: fc.nat(Math.min(view?.vcpu.count ?? 1, 8) - 1), cpuset: set(15) }),
    { maxLength: 3, selector: ({ vcpu: id }) => id },
  );
  return fc.record(
    {
      numatune: fc.record(
        {
          memory: fc.option(fc.record(setting)),
          memnodes: fc.uniqueArray(memnode, {
            maxLength: (view?.cells.length ?? 0) === 0 ? 0 : 2,
            selector: ({ cellid }) => cellid,
          }),
        },
        maybe,
      ),
      memoryBacking: fc.record(
        {
          hugepages: fc.option(fc.array(page, { minLength: 1, maxLength: 1 })),
          locked: fc.boolean(),
          nosharepages: fc.boolean(),
          source: fc.constantFrom(null, 'memfd' as const, 'file' as const),
          access: fc.constantFrom(null, 'shared' as const, 'private' as const),
        },
        maybe,
      ),
      vcpu: fc.record({ cpuset: fc.option(set(15)) }),
      cputune: fc.record({ vcpupin: pins, emulatorpin: set(15) }, maybe),
      disks: disks.map((list) => list.filter(({ target }) => target !== '')),
    },
    maybe,
  );
}

const sorted = (ids: readonly number[] | null | undefined): number[] | null =>
  ids === null || ids === undefined ? null : [...ids].sort((a, b) => a - b);

/** What a second reader finds in the document of that which was asked for, and what was asked for. */
function saidAndAsked(xml: string, change: DomainChange): [unknown, unknown] {
  const view = readDomainIndependently(xml);
  const { numatune, memoryBacking, vcpu, cputune, disks } = change;
  const said: Record<string, unknown> = {};
  const asked: Record<string, unknown> = {};
  if (numatune?.memory !== undefined) {
    const { memory } = view.numatune;
    said['memory'] = memory && { mode: memory.mode, nodeset: memory.nodeset };
    asked['memory'] = numatune.memory && {
      mode: numatune.memory.mode,
      nodeset: sorted(numatune.memory.nodeset),
    };
  }
  if (numatune?.memnodes !== undefined) {
    const byCell = <T extends { cellid: number }>(list: T[]): T[] =>
      [...list].sort((a, b) => a.cellid - b.cellid);
    said['memnodes'] = byCell(view.numatune.memnodes);
    asked['memnodes'] = byCell(numatune.memnodes).map((each) => {
      return { ...each, nodeset: sorted(each.nodeset) };
    });
  }
  for (const [name, value] of Object.entries(memoryBacking ?? {})) {
    said[name] = view.memoryBacking[name as keyof typeof view.memoryBacking];
    asked[name] = value;
  }
  if (vcpu !== undefined) {
    said['cpuset'] = view.vcpu.cpuset;
    asked['cpuset'] = sorted(vcpu.cpuset);
  }
  if (cputune?.emulatorpin !== undefined) {
    said['emulatorpin'] = view.cputune.emulatorpin;
    asked['emulatorpin'] = sorted(cputune.emulatorpin);
  }
  for (const pin of cputune?.vcpupin ?? []) {
    said[`vcpu ${pin.vcpu}`] = view.cputune.vcpupin.find(({ vcpu: id }) => id === pin.vcpu)?.cpuset;
    asked[`vcpu ${pin.vcpu}`] = sorted(pin.cpuset);
  }
  for (const { target, cache } of disks ?? []) {
    said[target] = view.disks.find((disk) => disk.target === target)?.cache ?? null;
    asked[target] = cache;
  }
  return [said, asked];
}

/** The document without everything that a patch may touch, and without the white space before that. */
const skeleton = (xml: string): string =>
  xml
    .replace(/\s*<(numatune|memoryBacking)\b[^>]*(\/>|>[^]*?<\/\1\s*>)/g, '')
    .replace(/\s*<(vcpupin|emulatorpin)\b[^>]*\/>/g, '')
    .replace(/\s*<cputune\s*(\/>|>\s*<\/cputune\s*>)/g, '')
    .replace(/\s*<driver cache=(["'])\w+\1\/>/g, '')
    .replace(/\s*<vcpu\b[^>]*>1<\/vcpu>/g, '')
    .replace(/(<(?:vcpu|driver)\b[^>]*?)\s+cpuset\s*=\s*(["'])[^"']*\2/g, '$1')
    .replace(/(<vcpu\b[^>]*?)\s+placement\s*=\s*(["'])[^"']*\2/g, '$1')
    .replace(/(<driver\b[^>]*?)\s+cache\s*=\s*(["'])[^"']*\2/g, '$1')
    .replace(/<(\w+)([^<>]*)>\s*<\/\1>/g, '<$1$2/>');

const exact = { autoConvertLineEndings: false };

describe('every patch', () => {
  it('is undone by its reverse, says what was asked, and touches nothing else', () => {
    let made = 0;
    for (const [name, xml] of DOCUMENTS) {
      const property = fc.property(changeOf(xml), (change) => {
        const outcome = patchDomain(xml, change);
        if (!outcome.ok) {
          for (const { code } of outcome.problems) {
            expect(['invalid-change', 'change-not-applicable']).toContain(code);
          }
          return;
        }
        const after = outcome.value.xml;
        made += after === xml ? 0 : 1;
        expect(patchDomain(after, change)).toEqual({ ok: true, value: { xml: after } });
        const [said, asked] = saidAndAsked(after, change);
        expect(said).toEqual(asked);
        expect(skeleton(after)).toBe(skeleton(xml));
        expect(applyPatch(xml, unifiedDiff(name, xml, after), exact)).toBe(after);
        expect(applyPatch(after, unifiedDiff(name, after, xml), exact)).toBe(xml);
      });
      fc.assert(property, { numRuns: RUNS, seed: 1 });
    }
    console.log(`${DOCUMENTS.length} documents, ${made} patches made and taken back`);
    expect(made).toBeGreaterThan(DOCUMENTS.length);
  }, 300_000);

  it('of nothing is nothing', () => {
    for (const [, xml] of DOCUMENTS) {
      expect(patchDomain(xml, {})).toEqual({ ok: true, value: { xml } });
    }
  });
});
