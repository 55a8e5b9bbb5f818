import type { RegionSpec } from '@zonewise/simulator';
import { QEMU_OVERHEAD_PAGES, parseDomain, placementFor, runtimePlacement } from '.';
import { CELLS, TWO_NODES, domainXml, numatune } from '../test/documents';
import type { DomainView, RuntimePlacement } from './types';

const view = (xml: string): DomainView => {
  const outcome = parseDomain(xml);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
};
const place = (xml: string, host = TWO_NODES): RuntimePlacement => {
  const outcome = runtimePlacement(view(xml), host);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
};
const regions = (xml: string): RegionSpec[] => place(xml).guest.regions;
const codes = (xml: string): string[] => place(xml).assumptions.map(({ code }) => code);
const tuned = (inside: string, cpu = ''): string => domainXml({ tune: numatune(inside), cpu });

describe('runtimePlacement', () => {
  it('leaves a domain without numatune to the default policy, touched from everywhere', () => {
    expect(place(domainXml()).guest).toEqual({
      name: 'guest',
      regions: [
        {
          cell: 0,
          sizePages: 262144,
          policy: { mode: 'default', nodes: [] },
          policyScope: 'mbind',
          cpuNodes: [0, 1],
          thp: 'huge',
          pinned: false,
        },
      ],
      oomScoreAdj: 0,
      overheadPages: QEMU_OVERHEAD_PAGES,
    });
    expect(codes(domainXml())).toContain('unpinned-everywhere');
  });

  it('tells the vCPUs of a domain that pins some of them from those that nothing pins', () => {
    const tune = "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>";
    const placed = place(
      domainXml({
        vcpu: '<vcpu>4</vcpu>',
        tune: `${tune}${numatune("<memory mode='preferred' nodeset='1'/>")}`,
      }),
    );
    expect(placed.partlyPinned).toEqual({
      unpinnedVcpus: 3,
      cells: [{ cell: 0, pinned: { vcpus: 1, nodes: [0] }, unpinned: { vcpus: 3, nodes: [1] } }],
    });
    expect(placed.guest.regions[0]?.cpuNodes).toEqual([0, 1]);
    expect(placed.assumptions.find(({ code }) => code === 'unpinned-near-memory')?.message).toMatch(
      /^Nothing pins 3 of the 4 vCPUs; /,
    );
    expect(place(domainXml({ vcpu: '<vcpu>4</vcpu>' })).partlyPinned).toBeUndefined();
    const held = domainXml({ vcpu: "<vcpu cpuset='0'>4</vcpu>", tune });
    expect(place(held).partlyPinned).toBeUndefined();
  });

  it.each([
    ["<memory mode='strict' nodeset='1'/>", { mode: 'bind', nodes: [1] }, [1], [1]],
    ["<memory mode='preferred' nodeset='1'/>", { mode: 'preferred', nodes: [1] }, undefined, [1]],
    [
      "<memory mode='preferred' nodeset='0-1'/>",
      { mode: 'preferred_many', nodes: [0, 1] },
      undefined,
      [0, 1],
    ],
    [
      "<memory mode='interleave' nodeset='0-1'/>",
      { mode: 'interleave', nodes: [0, 1] },
      undefined,
      [0, 1],
    ],
    ["<memory mode='restrictive' nodeset='1'/>", { mode: 'default', nodes: [] }, [1], [1]],
  ])('turns %s into the kernel’s policy', (inside, policy, cpusetMems, cpuNodes) => {
    const [region] = regions(tuned(inside));
    expect(region).toMatchObject({ policy, cpuNodes });
    expect(region?.cpusetMems).toEqual(cpusetMems);
  });

  it('gives each guest cell its memnode, and strict threads the union of all nodes', () => {
    const inside =
      "<memory mode='strict' nodeset='0'/><memnode cellid='1' mode='preferred' nodeset='1'/>";
    expect(regions(tuned(inside, CELLS))).toMatchObject([
      { cell: 0, sizePages: 131072, policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0, 1] },
      { cell: 1, sizePages: 131072, policy: { mode: 'preferred', nodes: [1] }, cpusetMems: [0, 1] },
    ]);
  });

  it('sets no cpuset for a memnode alone and leaves the other cells unbound', () => {
    const [first, second] = regions(tuned("<memnode cellid='1' nodeset='0'/>", CELLS));
    expect(first?.policy).toEqual({ mode: 'default', nodes: [] });
    expect(second?.policy).toEqual({ mode: 'bind', nodes: [0] });
    expect(second).not.toHaveProperty('cpusetMems');
  });

  it('follows pins before anything else', () => {
    const xml = domainXml({
      vcpu: "<vcpu cpuset='0'>4</vcpu>",
      tune: `<cputune><vcpupin vcpu='2' cpuset='2'/></cputune>${numatune("<memory nodeset='0'/>")}`,
      cpu: CELLS,
    });
    expect(regions(xml).map(({ cpuNodes }) => cpuNodes)).toEqual([[0], [0, 1]]);
  });

  it('starts an unpinned strict guest on the CPUs of its nodes', () => {
    expect(codes(tuned("<memory mode='strict' nodeset='1'/>"))).toContain('strict-affinity');
    expect(codes(tuned("<memory mode='strict' nodeset='1'/>", CELLS))).not.toContain(
      'strict-affinity',
    );
  });

  it('assumes all nodes where numad decides, unless the status document says', () => {
    const xml = domainXml({ vcpu: "<vcpu placement='auto'>4</vcpu>" });
    expect(regions(xml)).toMatchObject([{ policy: { nodes: [0, 1] }, cpuNodes: [0, 1] }]);
    expect(codes(xml)).toContain('numad-advice-unknown');
    const running = `<domstatus><numad nodeset='1'/>${xml}</domstatus>`;
    expect(regions(running)).toMatchObject([{ policy: { nodes: [1] }, cpuNodes: [1] }]);
  });

  it.each([
    ["<source type='memfd'/><access mode='shared'/>", 'nohuge', 'shmem-without-thp'],
    ["<source type='file'/>", 'nohuge', 'file-backed-ram'],
    ["<access mode='shared'/>", 'nohuge', 'file-backed-ram'],
    ['<nosharepages/>', 'huge', 'thp-madvised'],
  ])('decides transparent huge pages for %s', (inside, thp, code) => {
    const xml = domainXml({ backing: `<memoryBacking>${inside}</memoryBacking>` });
    expect(regions(xml)[0]?.thp).toBe(thp);
    expect(codes(xml)).toContain(code);
  });

  it('takes cells in huge pages out of the pools, populated by the emulator', () => {
    const of = (size: string) =>
      `<memoryBacking><hugepages><page size='${size}' unit='M' nodeset='1'/></hugepages></memoryBacking>`;
    const xml = domainXml({ backing: of('2'), cpu: CELLS });
    expect(regions(xml)).toMatchObject([
      { sizePages: 131072, thp: 'huge' },
      { sizePages: 131072, thp: 'nohuge', hugetlb: { sizeKib: 2048, reserve: true } },
    ]);
    expect(regions(xml)[0]).not.toHaveProperty('hugetlb');
    expect(codes(xml)).toContain('hugepages-pool');
    const other = runtimePlacement(view(domainXml({ backing: of('16'), cpu: CELLS })), TWO_NODES);
    expect(other).toMatchObject({
      ok: false,
      problems: [{ code: 'hugepages-unavailable', found: '16384 KiB' }],
    });
  });

  it.each([
    ['wherever an emulator without a pin runs', '', [0, 1]],
    ['where the emulator is pinned', "<emulatorpin cpuset='0'/>", [0]],
  ])('populates huge pages %s', (_what, pin, nodes) => {
    const xml = domainXml({
      backing: '<memoryBacking><hugepages/></memoryBacking>',
      vcpu: '<vcpu>1</vcpu>',
      tune: `<cputune><vcpupin vcpu='0' cpuset='2'/>${pin}</cputune>`,
    });
    expect(regions(xml)).toMatchObject([{ cpuNodes: [1], hugetlb: { cpuNodes: nodes } }]);
    const ordinary = view(xml.replace('<hugepages/>', ''));
    expect(runtimePlacement(ordinary, TWO_NODES)).toMatchObject({
      value: { emulatorNodes: nodes },
    });
  });

  it('pins locked memory and memory of assigned devices', () => {
    const locked = domainXml({ backing: '<memoryBacking><locked/></memoryBacking>' });
    const vfio = domainXml({ devices: "<hostdev mode='subsystem' type='pci'/>" });
    const mediated = domainXml({ devices: "<hostdev mode='subsystem' type='mdev'/>" });
    expect([locked, vfio, mediated].map((xml) => regions(xml)[0]?.pinned)).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('counts plugged memory devices with their cell, or apart when they have nodes of their own', () => {
    const device = (model: string, source: string, target: string): string =>
      `<memory model='${model}'>${source}<target><size unit='MiB'>256</size><node>0</node>${target}</target></memory>`;
    const xml = domainXml({
      memory: "<maxMemory slots='4' unit='GiB'>8</maxMemory>",
      cpu: CELLS,
      tune: numatune("<memory mode='strict' nodeset='0'/>"),
      devices:
        device('dimm', '', '') +
        device(
          'virtio-mem',
          '<source><nodemask>1</nodemask></source>',
          "<block unit='MiB'>2</block><requested>4096</requested>",
        ) +
        device('nvdimm', '<source><path>/p</path></source>', ''),
    });
    expect(regions(xml)).toMatchObject([
      { cell: 0, sizePages: 131072 + 65536 },
      { cell: 1, sizePages: 131072 },
      { cell: 3, sizePages: 1024, policy: { mode: 'bind', nodes: [1] } },
    ]);
    expect(codes(xml)).toContain('memory-device-not-counted');
  });

  it('fills host page cache only through disks that use it', () => {
    const disk = (cache: string): string =>
      `<disk type='file'><driver${cache}/><source file='/a'/><target dev='vda'/></disk>`;
    const pages = (cache: string): number =>
      place(domainXml({ devices: disk(cache) })).diskCachePages;
    expect(pages('')).toBe(65536);
    expect(pages(" cache='writeback'")).toBe(65536);
    expect(pages(" cache='none'")).toBe(0);
    expect(pages(" cache='directsync'")).toBe(0);
  });

  it('says where a nodeset or a pin is that the host cannot satisfy', () => {
    const xml = domainXml({
      tune: `<cputune>\n<vcpupin vcpu='0' cpuset='64'/></cputune>${numatune(
        "\n<memory nodeset='0'/>\n<memnode cellid='0' nodeset='0'/><memnode cellid='1' nodeset='1,7'/>",
      )}`,
      cpu: CELLS,
    });
    const outcome = runtimePlacement(view(xml), { ...TWO_NODES, memoryNodes: [1] });
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([
      { code: 'unknown-host-node', path: '/domain/numatune/memory/@nodeset', line: 3, column: 9 },
      { path: '/domain/numatune/memnode[1]/@nodeset', line: 4, column: 21, found: '0' },
      { path: '/domain/numatune/memnode[2]/@nodeset', line: 4, column: 54, found: '1,7' },
      { code: 'unknown-host-cpu', path: '/domain/cputune/vcpupin/@cpuset', line: 2, found: '64' },
    ]);
  });

  it('finds the place in a status document too', () => {
    const xml = `<domstatus>\n${tuned("<memory nodeset='9'/>")}</domstatus>`;
    const outcome = runtimePlacement(view(xml), TWO_NODES);
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([
      { path: '/domstatus/domain/numatune/memory/@nodeset', line: 2 },
    ]);
  });

  it('refuses a domain that is no QEMU guest', () => {
    const outcome = runtimePlacement(view(domainXml({ type: 'xen' })), TWO_NODES);
    expect(outcome.ok ? [] : outcome.problems).toMatchObject([{ code: 'not-a-qemu-domain' }]);
  });

  it('tries another numatune in place of the document’s', () => {
    const domain = view(
      tuned("<memory mode='strict' nodeset='0'/><memnode cellid='1' nodeset='0'/>", CELLS),
    );
    const outcome = placementFor(domain, TWO_NODES, { mode: 'preferred', nodeset: [1] });
    const found = outcome.ok ? outcome.value.guest.regions : [];
    expect(found.map(({ policy }) => policy)).toEqual([
      { mode: 'preferred', nodes: [1] },
      { mode: 'preferred', nodes: [1] },
    ]);
    expect(found[0]).not.toHaveProperty('cpusetMems');
    const missing = placementFor(domain, TWO_NODES, { mode: 'strict', nodeset: [5] });
    expect(missing.ok ? [] : missing.problems).toMatchObject([{ code: 'unknown-host-node' }]);
    expect(placementFor(domain, TWO_NODES, { mode: 'strict', nodeset: [] }).ok).toBe(false);
  });
});
