import { checkStart, parseCapabilities, parseDomain } from '@zonewise/libvirt-xml';
import type { HostModel } from '@zonewise/simulator';
import { startHost, startHostOf } from './start-host';

const node = (nodeId: number): unknown => ({
  nodeId,
  cpus: [nodeId],
  // 1 GiB: 100,000 pages free in all, 20,000 of page cache, 5,000 of slab.
  zones: [
    { managedPages: 62144, freePages: 59990, pagesets: [{ countPages: 10 }] },
    { managedPages: 200000, freePages: 40000, pagesets: [] },
  ],
  lru: { inactiveFilePages: 15000, activeFilePages: 5000 },
  slabReclaimablePages: 5000,
  hugepages: [{ sizeKib: 2048, totalPages: 8, freePages: 6 }],
});
const model = { kernelRelease: '5.10.0-19', nodes: [node(0), node(2)] } as unknown as HostModel;

const problems = (memoryKib: number, nodeset: string): string[] => {
  const xml = `<domain type='kvm'><name>g</name><memory>${memoryKib}</memory><numatune><memory mode='strict' nodeset='${nodeset}'/></numatune></domain>`;
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return checkStart(outcome.value, startHost(model)).map(({ code }) => code);
};

describe('startHost', () => {
  it('counts free pages, page cache and reclaimable slab of each node', () => {
    expect(startHost(model).nodes).toEqual(
      [0, 2].map((id) => ({
        id,
        memoryKib: 1048576,
        freeKib: 4 * (100_000 + 20_000 + 5_000),
        cpus: [id],
        pages: [{ sizeKib: 2048, count: 8, free: 6 }],
      })),
    );
  });

  it('lets a guest start as long as its nodes can give the memory', () => {
    expect(problems(500_000, '2')).toEqual([]);
    expect(problems(500_004, '2')).toEqual(['memory-does-not-fit']);
    expect(problems(1_000_000, '0,2')).toEqual([]);
    expect(problems(4, '1')).toEqual(['unknown-host-node']);
  });

  it('has the kernel of the host, unless another one is asked for', () => {
    expect(startHost(model).kernelRelease).toBe('5.10.0-19');
    expect(startHost(model, { kernelRelease: '6.1', libvirtVersion: '9.0.0' })).toMatchObject({
      kernelRelease: '6.1',
      libvirtVersion: '9.0.0',
    });
  });

  it('takes the nodes of a capabilities document', () => {
    const xml =
      "<capabilities><host><topology><cells><cell id='3'><memory>4096</memory></cell></cells></topology></host></capabilities>";
    const outcome = parseCapabilities(xml);
    const host = outcome.ok ? startHostOf(outcome.value, { libvirtVersion: '9.0.0' }) : null;
    expect(host).toMatchObject({
      nodes: [{ id: 3, memoryKib: 4096, cpus: [] }],
      libvirtVersion: '9.0.0',
    });
    expect(host).not.toHaveProperty('kernelRelease');
  });
});
