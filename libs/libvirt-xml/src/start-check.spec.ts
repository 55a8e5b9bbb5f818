import { checkStart, parseDomain } from '.';
import type { StartHost } from '.';
import { CELLS, domainXml, numatune } from '../test/documents';

const GIB = 1048576;
const host = (more: Partial<StartHost> = {}): StartHost => ({
  nodes: [0, 1].map((id) => ({
    id,
    memoryKib: 2 * GIB,
    cpus: [2 * id, 2 * id + 1],
    pages: [
      { sizeKib: 4, count: 400000 },
      { sizeKib: 2048, count: 300 },
    ],
  })),
  ...more,
});
const problems = (xml: string, on = host()): string[] => {
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return checkStart(outcome.value, on).map(({ code, path, found }) => `${code} ${path} ${found}`);
};
const memory = (mode: string, nodeset: string): string =>
  numatune(`<memory mode='${mode}' nodeset='${nodeset}'/>`);
const sized = (gib: number, tune: string, backing = ''): string =>
  domainXml({ memory: `<memory unit='GiB'>${gib}</memory>`, tune, backing });
const HUGE = '<memoryBacking><hugepages/></memoryBacking>';

describe('checkStart', () => {
  it('finds nodes and CPUs that are not there first', () => {
    expect(problems(sized(9, memory('strict', '0,5')))).toEqual([
      'unknown-host-node /domain/numatune/memory/@nodeset 0,5',
    ]);
  });

  it('refuses preferred with several nodes on an old libvirt or kernel', () => {
    const xml = sized(1, memory('preferred', '0-1'));
    const refused = ['preferred-single-node /domain/numatune/memory/@nodeset 0-1'];
    expect(problems(xml)).toEqual([]);
    expect(problems(xml, host({ kernelRelease: '5.14.0-70.el9' }))).toEqual(refused);
    expect(problems(xml, host({ kernelRelease: '5.15.0' }))).toEqual([]);
    expect(problems(xml, host({ kernelRelease: '6.1.0', libvirtVersion: '8.10.0' }))).toEqual(
      refused,
    );
    const one = sized(1, memory('preferred', '1'));
    expect(problems(one, host({ kernelRelease: '5.10.0' }))).toEqual([]);
  });

  it('compares bound memory with what the nodes have outside of their pools', () => {
    // 2 GiB less 300 pages of 2 MiB are 1,482,752 KiB.
    const free = "<memory unit='KiB'>1482752</memory>";
    const over = "<memory unit='KiB'>1482756</memory>";
    const tune = memory('strict', '0');
    expect(problems(domainXml({ memory: free, tune }))).toEqual([]);
    expect(problems(domainXml({ memory: over, tune }))).toEqual([
      'memory-does-not-fit /domain/memory 1482756 KiB',
    ]);
    expect(problems(domainXml({ memory: over, tune: memory('preferred', '0') }))).toEqual([]);
    const used = host();
    used.nodes.forEach((node) => (node.freeKib = 1000));
    expect(problems(sized(1, memory('preferred', '0')), used)).toEqual([
      'memory-does-not-fit /domain/memory 1048576 KiB',
    ]);
  });

  it('looks at the pools of the bound nodes alone', () => {
    // 1 GiB takes 512 pages; each node has 300.
    expect(problems(sized(1, memory('strict', '0'), HUGE))).toEqual([
      'hugepages-unavailable /domain/memoryBacking/hugepages 512 pages',
    ]);
    expect(problems(sized(1, memory('strict', '0-1'), HUGE))).toEqual([]);
    expect(problems(sized(1, '', HUGE), host({ defaultHugepageKib: GIB }))).toEqual([
      'hugepages-unavailable /domain/memoryBacking/hugepages 1 pages',
    ]);
  });

  it('adds up cells that share nodes', () => {
    const cells = (first: string, second: string): string =>
      domainXml({
        cpu: CELLS,
        backing: HUGE,
        tune: numatune(
          `<memnode cellid='0' mode='strict' nodeset='${first}'/><memnode cellid='1' mode='strict' nodeset='${second}'/>`,
        ),
      });
    expect(problems(cells('0', '1'))).toEqual([]);
    expect(problems(cells('0', '0-1'))).toEqual([]);
    expect(problems(cells('0', '0'))).toEqual([
      'hugepages-unavailable /domain/memoryBacking/hugepages 512 pages',
    ]);
  });
});
