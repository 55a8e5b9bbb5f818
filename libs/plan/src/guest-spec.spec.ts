import type { GuestProcess, HostModel, RegionSpec } from '@zonewise/simulator';
import * as fc from 'fast-check';
import { parseDomain } from '@zonewise/libvirt-xml';
import { assignResidency, buildGuestSpec, configuredNumatune } from './guest-spec';

const region = (cell: number, sizePages: number, nodes: number[]): RegionSpec => ({
  cell,
  sizePages,
  policy: nodes.length === 0 ? { mode: 'default', nodes } : { mode: 'bind', nodes },
  policyScope: 'mbind',
  cpuNodes: [0],
  thp: 'huge',
  pinned: false,
});
const guestOf = (...regions: RegionSpec[]): GuestProcess => ({
  name: 'guest',
  regions,
  oomScoreAdj: 0,
  overheadPages: 0,
});
const sum = (entries: { pages: number }[]): number =>
  entries.reduce((total, { pages }) => total + pages, 0);

describe('assignResidency', () => {
  it('gives each cell the pages of its own nodes first', () => {
    const guest = guestOf(region(0, 1000, [0]), region(1, 1000, [1]));
    const { assigned, excessPages } = assignResidency(guest, [
      { nodeId: 1, pages: 1000, hugePages: 1 },
      { nodeId: 0, pages: 600, hugePages: 0 },
    ]);
    expect(assigned).toEqual([
      { cell: 0, nodeId: 0, pages: 600, hugePages: 0 },
      { cell: 1, nodeId: 1, pages: 1000, hugePages: 1 },
    ]);
    expect(excessPages).toBe(0);
  });

  it('fills what is left in the order of cells, and leaves out what the guest cannot own', () => {
    const guest = guestOf(region(0, 1000, [0]), region(1, 1000, []));
    const { assigned, excessPages } = assignResidency(guest, [
      { nodeId: 1, pages: 2500, hugePages: 4 },
    ]);
    expect(assigned).toEqual([
      { cell: 0, nodeId: 1, pages: 1000, hugePages: 1 },
      { cell: 1, nodeId: 1, pages: 1000, hugePages: 1 },
    ]);
    expect(excessPages).toBe(500);
  });

  it('keeps cells that the source tells', () => {
    const guest = guestOf(region(0, 10, [0]), region(1, 10, [1]));
    const told = [{ cell: 1, nodeId: 0, pages: 10, hugePages: 0 }];
    expect(assignResidency(guest, told).assigned).toEqual(told);
  });

  it('neither makes nor loses pages, and never overfills a cell', () => {
    const nodes = fc.integer({ min: 0, max: 3 });
    const pages = fc.integer({ min: 0, max: 5000 });
    const regions = fc.array(fc.tuple(pages, fc.uniqueArray(nodes)), {
      minLength: 1,
      maxLength: 4,
    });
    const residency = fc.uniqueArray(
      fc.record({ nodeId: nodes, pages, hugePages: fc.integer({ min: 0, max: 9 }) }),
      { selector: (entry) => entry.nodeId },
    );
    fc.assert(
      fc.property(regions, residency, (sizes, resident) => {
        const guest = guestOf(...sizes.map(([size, set], cell) => region(cell, size, set)));
        const { assigned, excessPages } = assignResidency(guest, resident);
        expect(sum(assigned) + excessPages).toBe(sum(resident));
        for (const { cell, sizePages } of guest.regions) {
          const own = assigned.filter((entry) => entry.cell === cell);
          expect(sum(own)).toBeLessThanOrEqual(sizePages);
        }
        for (const entry of assigned)
          expect(entry.hugePages * 512).toBeLessThanOrEqual(entry.pages);
      }),
    );
  });
});

describe('configuredNumatune', () => {
  const of = (numatune: string) => {
    const parsed = parseDomain(`<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory>
      <vcpu>2</vcpu>${numatune}<cpu><numa>
      <cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' cpus='1' memory='32' unit='MiB'/>
      </numa></cpu><os><type arch='x86_64'>hvm</type></os></domain>`);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return configuredNumatune(parsed.value, [0, 1, 2]);
  };

  it('is the mode of the whole with the nodes of all its parts', () => {
    const memnode = `<memnode cellid='1' mode='strict' nodeset='2'/>`;
    const memory = `<memory mode='preferred' nodeset='0'/>`;
    expect(of('')).toEqual({ mode: 'none', nodeset: [] });
    expect(of(`<numatune>${memnode}</numatune>`)).toEqual({ mode: 'strict', nodeset: [2] });
    expect(of(`<numatune>${memory}${memnode}</numatune>`)).toEqual({
      mode: 'preferred',
      nodeset: [0, 2],
    });
  });
});

describe('buildGuestSpec', () => {
  const host = {
    nodes: [0, 1].map((nodeId) => ({
      nodeId,
      cpus: [nodeId],
      zones: [{ managedPages: 1_000_000 }],
    })),
  } as unknown as HostModel;

  it('names the regions that numatune does not decide: devices with a nodemask of their own; and tells its vCPUs', () => {
    const xml = `<domain type='kvm'>
  <name>a</name>
  <maxMemory slots='2' unit='MiB'>1024</maxMemory>
  <memory unit='MiB'>768</memory>
  <vcpu current='1'>2</vcpu>
  <numatune><memory mode='preferred' nodeset='0'/></numatune>
  <os><type>hvm</type></os>
  <cpu><numa><cell id='0' cpus='0-1' memory='512' unit='MiB'/></numa></cpu>
  <devices>
    <memory model='dimm'>
      <source><nodemask>1</nodemask></source>
      <target><size unit='MiB'>256</size><node>0</node></target>
    </memory>
  </devices>
</domain>`;
    const view = parseDomain(xml);
    if (!view.ok) throw new Error(JSON.stringify(view.problems));
    const spec = buildGuestSpec(view.value, host, { state: 'planned' });
    if (!spec.ok) throw new Error(JSON.stringify(spec.problems));
    const { guest, ownNodesCells, vcpus } = spec.value;
    expect(vcpus).toBe(1);
    expect(guest.regions.map(({ cell, policy }) => ({ cell, nodes: policy.nodes }))).toEqual([
      { cell: 0, nodes: [0] },
      { cell: ownNodesCells?.[0], nodes: [1] },
    ]);
    expect(ownNodesCells).toHaveLength(1);
  });

  it.each([
    [`<vcpu>1</vcpu>`, false],
    [`<vcpu cpuset='0'>1</vcpu>`, true],
    [`<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='0'/></cputune>`, true],
    [`<vcpu placement='auto'>1</vcpu>`, true],
    [`<vcpu>4</vcpu><cputune><vcpupin vcpu='2' cpuset='0'/></cputune>`, false],
    [`<vcpu cpuset='0'>4</vcpu><cputune><vcpupin vcpu='2' cpuset='0'/></cputune>`, true],
    [`<vcpu current='1'>4</vcpu><cputune><vcpupin vcpu='0' cpuset='0'/></cputune>`, true],
    [`<vcpu current='1'>4</vcpu><cputune><vcpupin vcpu='3' cpuset='0'/></cputune>`, false],
  ])('with %s a change of numatune moves the vCPUs: not %s', (vcpu, pinned) => {
    const xml = `<domain type='kvm'><name>a</name><memory unit='MiB'>64</memory>${vcpu}<os><type>hvm</type></os></domain>`;
    const view = parseDomain(xml);
    if (!view.ok) throw new Error(JSON.stringify(view.problems));
    const spec = buildGuestSpec(view.value, host, { state: 'planned' });
    if (!spec.ok) throw new Error(JSON.stringify(spec.problems));
    expect(spec.value.cpusPinned).toBe(pinned);
  });
});
