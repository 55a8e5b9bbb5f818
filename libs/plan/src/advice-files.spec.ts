import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  NumatuneValue,
  Operation,
  PinningValue,
  RecommendationContent,
} from '@zonewise/advisor';
import { parseDomain, runtimePlacement } from '@zonewise/libvirt-xml';
import { kernelProfiles, type HostModel, type HostSysctls } from '@zonewise/simulator';
import { AdviceFileError, adviceFiles } from './advice-files';

const xml = readFileSync(join(__dirname, '../../../examples/web1.xml'), 'utf8');

const operation = (change: Partial<Operation>): Operation => ({
  action: 'replace',
  resourceType: 'domain',
  resource: 'web1',
  path: '/domain/numatune',
  value: { mode: 'strict', nodeset: [0] } satisfies NumatuneValue,
  previousValue: { mode: 'preferred', nodeset: [0] },
  reason: '0 instead of 262144 pages are remote.',
  requiresRestart: false,
  ...change,
});

/** Only what files are made from. */
const contentOf = (...operations: Operation[]): RecommendationContent =>
  ({
    content: { operationGroups: [{ description: '', operations }] },
    routes: [],
  }) as unknown as RecommendationContent;

const SYSCTL: HostSysctls = {
  min_free_kbytes: 90112,
  ...kernelProfiles['6.1.y'].defaultSysctls,
};

const HOST = {
  sysctl: SYSCTL,
  nodes: [
    { nodeId: 0, cpus: [0, 1, 4, 5] },
    { nodeId: 1, cpus: [2, 3] },
  ],
} as unknown as HostModel;

const filesOf = (content: RecommendationContent, documents: { name: string; xml: string }[]) =>
  adviceFiles(content, documents, HOST);

const namesOf = (files: { name: string }[]): string[] => files.map(({ name }) => name);

describe('adviceFiles', () => {
  it('has none when everything stays', () => {
    expect(filesOf(contentOf(), [{ name: 'web1', xml }])).toEqual([]);
    const test = operation({ action: 'test' });
    expect(filesOf(contentOf(test), [{ name: 'web1', xml }])).toEqual([]);
  });

  it('patches, shows and takes back a changed document, and only that one', () => {
    const documents = [
      { name: 'web1', xml },
      { name: 'web2', xml },
    ];
    const files = filesOf(contentOf(operation({})), documents);
    expect(namesOf(files)).toEqual([
      'web1.xml',
      'web1.diff',
      'web1.rollback.xml',
      'apply.sh',
      'rollback.sh',
    ]);
    const [apply, diff, rollback] = files.map(({ text }) => text);
    expect(apply?.replace("mode='strict'", "mode='preferred'")).toBe(xml);
    expect(diff).toMatch(/^-.*preferred.*\n\+.*strict/m);
    expect(rollback).toBe(xml);
  });

  it('leaves no cell with nodes of its own when the advice is for the whole domain', () => {
    const cells = xml
      .replace(
        /<cpu [^>]*\/>/,
        "<cpu><numa><cell id='0' cpus='0-1' memory='1048576'/></numa></cpu>",
      )
      .replace(
        /( *)(<memory mode=.*\n)/,
        "$1$2$1<memnode cellid='0' mode='strict' nodeset='1'/>\n",
      );
    expect(cells).toContain('<memnode');
    const documents = [{ name: 'web1', xml: cells }];
    const [whole] = filesOf(contentOf(operation({})), documents);
    expect(whole?.text).toContain("<memory mode='strict' nodeset='0'/>");
    expect(whole?.text).not.toContain('<memnode');
    const memnodes = [{ cellid: 0, mode: 'strict' as const, nodeset: [0] }];
    const value: NumatuneValue = { mode: 'strict', nodeset: [0, 1], memnodes };
    const [perCell] = filesOf(contentOf(operation({ value })), documents);
    expect(perCell?.text).toContain("<memnode cellid='0' mode='strict' nodeset='0'/>");
  });

  describe('pins', () => {
    const REST = "<iothreadpin iothread='1' cpuset='0'/>";
    const pinnedXml = (pins: string, cells = ''): string =>
      xml
        .replace(
          /( *)<vcpu[^]*<\/cputune>\n/,
          `$1<vcpu>4</vcpu>\n$1<iothreads>1</iothreads>\n$1<cputune><shares>99</shares>${pins}${REST}</cputune>\n`,
        )
        .replace(/<cpu [^>]*\/>/, `<cpu>${cells}</cpu>`);
    const patched = (text: string, value: PinningValue): string => {
      const pinning = operation({ path: '/domain/vcpu/@cpuset', value, previousValue: null });
      const [file] = filesOf(contentOf(pinning), [{ name: 'web1', xml: text }]);
      return file?.text ?? '';
    };
    /** The nodes from which the patched guest touches its memory, by cell; numatune left out. */
    const touchedFrom = (text: string): number[][] => {
      const parsed = parseDomain(text.replace(/<numatune>[^]*<\/numatune>/, ''));
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      const host = { memoryNodes: [0, 1], nodes: HOST.nodes };
      const placed = runtimePlacement(parsed.value, host);
      if (!placed.ok) throw new Error(JSON.stringify(placed.problems));
      return placed.value.guest.regions.map(({ cpuNodes }) => cpuNodes);
    };

    it('of vCPUs and of the emulator follow the advice, those that do already and all other children stay', () => {
      const stay = "<vcpupin vcpu='1' cpuset='3'/><vcpupin vcpu='2' cpuset='3'/>";
      const before = pinnedXml(
        `<vcpupin vcpu='0' cpuset='0'/>${stay}<vcpupin vcpu='3' cpuset='1'/><emulatorpin cpuset='0-1'/>`,
      );
      expect(before).toContain('<shares>99</shares>');
      expect(touchedFrom(before)).toEqual([[0, 1]]);
      const after = patched(before, { nodes: [1] });
      expect(touchedFrom(after)).toEqual([[1]]);
      expect(after).toContain(
        `<cputune><shares>99</shares><vcpupin vcpu='0' cpuset='2-3'/>${stay}<vcpupin vcpu='3' cpuset='2-3'/><emulatorpin cpuset='2-3'/>${REST}</cputune>`,
      );
      expect(after).toContain("<vcpu cpuset='2-3'>4</vcpu>");
    });

    it('of some vCPUs stay where they are, and the others have the CPU set', () => {
      const pins = "<vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='3'/>";
      // vCPUs 2 and 3 have no pin: they may run everywhere.
      const before = pinnedXml(pins);
      const after = patched(before, { nodes: [1] });
      expect(after).toContain(`<shares>99</shares>${pins}${REST}</cputune>`);
      expect(after).toContain("<vcpu cpuset='2-3'>4</vcpu>");
      expect(touchedFrom(after)).toEqual([[0, 1]]);
    });

    it('of vCPUs of cells with nodes of their own are in the document', () => {
      const cells =
        "<numa><cell id='0' cpus='0-1' memory='524288'/><cell id='1' cpus='2-3' memory='524288'/></numa>";
      const value: PinningValue = {
        nodes: [0, 1],
        cells: [
          { cellid: 0, nodes: [1] },
          { cellid: 1, nodes: [0] },
        ],
      };
      const before = pinnedXml("<vcpupin vcpu='2' cpuset='5'/>", cells);
      const after = patched(before, value);
      expect(touchedFrom(after)).toEqual([[1], [0]]);
      expect(after).toContain("<vcpupin vcpu='2' cpuset='5'/>");
      expect(after).toContain("<vcpupin vcpu='3' cpuset='0-1,4-5'/>");
    });

    it('make automatic placement static, where numad would choose the CPUs', () => {
      const before = xml
        .replace(/( *)<vcpu[^]*<\/cputune>\n/, "$1<vcpu placement='auto' cpuset='0'>4</vcpu>\n")
        .replace(/<memory mode=[^>]*>/, "<memory mode='strict' placement='auto'/>");
      expect(before).toContain("<memory mode='strict' placement='auto'/>");
      const value: PinningValue = { nodes: [1] };
      const operations = [
        operation({ value: { mode: 'strict', nodeset: [1] } }),
        operation({ path: '/domain/vcpu/@cpuset', value, previousValue: null }),
      ];
      const files = filesOf(contentOf(...operations), [{ name: 'web1', xml: before }]);
      const [apply, diff, rollback] = files.map(({ text }) => text);
      expect(apply).toContain("<vcpu placement='static' cpuset='2-3'>4</vcpu>");
      const parsed = parseDomain(apply ?? '');
      const memory = { mode: 'strict', placement: 'static', nodeset: [1] };
      expect(parsed.ok && parsed.value.numatune).toEqual({ memory, memnodes: [] });
      expect(touchedFrom(apply ?? '')).toEqual([[1]]);
      expect(diff).toMatch(/^-.*<vcpu placement='auto'.*\n\+.*<vcpu placement='static'/m);
      expect(rollback).toBe(before);
    });

    it('are left alone where only numatune changes', () => {
      const before = pinnedXml("<vcpupin vcpu='0' cpuset='0'/>");
      const [file] = filesOf(contentOf(operation({})), [{ name: 'web1', xml: before }]);
      expect(file?.text.replace("mode='strict'", "mode='preferred'")).toBe(before);
    });
  });

  it('removes numatune when the advice is to have none', () => {
    const value: NumatuneValue = { mode: 'none', nodeset: [] };
    const files = filesOf(contentOf(operation({ action: 'remove', value })), [
      { name: 'web1', xml },
    ]);
    expect(files[0]?.text).not.toContain('<numatune');
  });

  it('writes settings and their way back', () => {
    const files = filesOf(
      contentOf(
        operation({
          resourceType: 'sysctl',
          resource: 'zone_reclaim_mode',
          path: '/vm/zone_reclaim_mode',
          value: 1,
          previousValue: 0,
        }),
      ),
      [{ name: 'web1', xml }],
    );
    expect(namesOf(files)).toEqual([
      '90-zonewise.conf',
      'rollback.conf',
      'apply.sh',
      'rollback.sh',
    ]);
    expect(files[0]?.text).toMatch(/^vm\.zone_reclaim_mode = 1$/m);
    expect(files[0]?.text).toMatch(/^# vm\.min_free_kbytes = 90112$/m);
    expect(files[1]?.text).toMatch(/^vm\.zone_reclaim_mode = 0$/m);
  });

  it('tells files of one name apart', () => {
    const operations = [operation({}), operation({ resource: 'web1.rollback' })];
    const documents = ['web1', 'web1.rollback'].map((name) => ({ name, xml }));
    const names = namesOf(filesOf(contentOf(...operations), documents));
    expect(new Set(names).size).toBe(8);
    expect(names).toContain('web1.rollback~2.xml');
  });

  it('says so when a document cannot be changed', () => {
    const broken = [{ name: 'web1', xml: '<domain>' }];
    expect(() => filesOf(contentOf(operation({})), broken)).toThrow(AdviceFileError);
  });
});
