import { replay, validateHostModel, type HostModel } from '@zonewise/simulator';
import { exampleTexts, fixture, imported, refused } from '../../test/fixtures';
import { diagnose } from './diagnose';
import { hostOfReport } from './log-host';
import { parseKernelLog, type LogReport } from './log-report';

const host = imported(exampleTexts()).model;

/** A report of the example host in which every zone of node 1 has 1000 free pages, 40 of them single. */
function logOf({ nodes }: HostModel): string {
  const lines = ['qemu: page allocation failure: order:3, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)'];
  for (const { nodeId, zones } of nodes.slice(1)) {
    for (const { name, managedPages, presentPages } of zones) {
      lines.push(
        `Node ${nodeId} ${name} free:4000kB boost:0kB min:2000kB low:2500kB high:3000kB reserved_highatomic:0KB active_anon:400kB inactive_anon:800kB active_file:0kB inactive_file:1200kB present:${4 * presentPages}kB managed:${4 * managedPages}kB`,
        'lowmem_reserve[]: 0 0 0 0 0',
        `Node ${nodeId} ${name}: 40*4kB (U) 0*8kB 60*16kB (UM) 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 1120kB`,
      );
    }
  }
  lines.push('Free swap  = 40kB', 'Total swap = 100kB');
  return lines.join('\n');
}

function reportOf(log: string): LogReport {
  const parsed = parseKernelLog(log);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value[0]!;
}

describe('hostOfReport', () => {
  it('is the stored host with free pages, marks, blocks and use of the log, and can be replayed', () => {
    const read = hostOfReport(reportOf(logOf(host)), host);
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    const { value: model } = read;
    expect(validateHostModel(model)).toEqual([]);
    expect(model.nodes[0]).toEqual(host.nodes[0]);
    const [zone] = model.nodes[1]!.zones;
    expect(zone).toMatchObject({ freePages: 1000, minPages: 500, lowPages: 625, highPages: 750 });
    // 40 single pages and 60 blocks of 4 are 280; the other 720 are 512 + 128 + 64 + 16.
    expect(zone!.freeBlocks).toEqual([40, 0, 60, 0, 1, 0, 1, 1, 0, 1, 0]);
    expect(model.nodes[1]).toMatchObject({ filePages: 300, anonPages: 300 });
    expect(model.swap).toEqual({ totalPages: 25, freePages: 10 });
    const { initial } = replay({ host: model, runningGuests: [], steps: [], seed: 1 });
    expect(initial.nodes[1]!.zones[0]!.freePages).toBe(1000);
  });

  it('refuses the log of another host, and one without zones', () => {
    const [first = '', ...rest] = logOf(host).split('\n');
    const other = rest.join('\n').replace(/managed:\d+kB/, 'managed:4096kB');
    expect(hostOfReport(reportOf(`${first}\n${other}`), host)).toMatchObject({
      ok: false,
      problems: [{ code: 'impossible-value', path: 'kernelLog', line: 1 }],
    });
    expect(hostOfReport(reportOf(first), host)).toMatchObject({
      ok: false,
      problems: [{ code: 'missing-field' }],
    });
  });
});

describe('reports of a full memory cgroup', () => {
  const head =
    'qemu invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n' +
    'memory: usage 262144kB, limit 262144kB, failcnt 35\n';

  it('have the group and its statistics, in either layout', () => {
    const recent = `${head}swap: usage 0kB, limit 0kB, failcnt 0\nMemory cgroup stats for /machine/vm1:\nanon 268173312\nfile 0\npgfault 65408\n`;
    expect(reportOf(recent).memcg).toMatchObject({
      usageKib: 262144,
      path: '/machine/vm1',
      stats: { anon: 268173312, file: 0, pgfault: 65408 },
    });
    expect(diagnose(reportOf(recent)).reasons[0]?.message).toBe(
      'memory cgroup /machine/vm1 uses 262144 KiB of 262144 KiB (268173312 bytes anonymous, 0 of files): it was full, not the host',
    );
    const old = `${head}Memory cgroup stats for /vm1: cache:12KB rss:262132KB mapped_file:0KB\n`;
    expect(reportOf(old).memcg?.stats).toMatchObject({ cache: 12288, rss: 268423168 });
  });
});

describe('the kernel of a report', () => {
  const noteOf = (release: string): string | null => {
    const parsed = parseKernelLog(logOf(host), 'log', release);
    return parsed.ok ? diagnose(parsed.value[0]!).kernel.note : 'refused';
  };

  it('is named where its check is that of another one', () => {
    expect(noteOf('4.9.0-19-amd64')).toBe(
      '4.9.0-19-amd64 has no profile of its own: it was checked as 4.18, the nearest whose check is known',
    );
    expect(noteOf('6.1.0-44-amd64')).toBeNull();
  });
});

describe('a kernel log alone', () => {
  const kinds = (outcome: ReturnType<typeof imported>, path: string) =>
    outcome.provenance
      .filter((entry) => entry.path === path)
      .map(({ kind, source }) => `${kind} from ${source}`);

  it('is a host with the zones, marks, reserves and lists of its report', () => {
    const outcome = imported({ kernelLog: fixture('logs', 'order1-2.6.32.txt') });
    const { model, caveats, differences } = outcome;
    expect(model).toMatchObject({ kernelRelease: '2.6.32-220.23.1.el6.x86_64' });
    const [node] = model.nodes;
    expect(model.nodes).toHaveLength(1);
    expect(node!.zones).toMatchObject([
      // Free pages exceed the present ones that 2.6.32 prints.
      { name: 'DMA', startPfn: 1, presentPages: 3949, freePages: 3949, minPages: 1 },
      {
        name: 'DMA32',
        startPfn: 4096,
        presentPages: 499504,
        freePages: 95008,
        minPages: 200,
        protectionPages: [0, 0, 94940, 94940],
        freeBlocks: [130, 65, 75, 72, 95, 22, 10, 7, 4, 2, 86],
      },
      {
        name: 'Normal',
        startPfn: 1_048_576,
        presentPages: 24304640,
        freePages: 14138,
        highPages: 14637,
      },
    ]);
    // 22877788 and 855956 KiB, 46056 and 10876 KiB; shmem 16 KiB.
    expect(node!.lru).toMatchObject({
      activeAnonPages: 5719447 + 11514,
      inactiveFilePages: 15530062 + 32443,
    });
    expect(node!.anonPages).toBe(5719447 + 213989 + 11514 + 2719 - 4);
    expect(node).toMatchObject({ slabReclaimablePages: 574356 + 2929, mappedPages: 7816 });
    expect(kinds(outcome, 'nodes.0.zones.Normal')).toEqual(['read from kernelLog']);
    expect(kinds(outcome, 'nodes.0.zones.Normal.startPfn')).toEqual(['derived from kernelLog']);
    expect(kinds(outcome, 'nodes.0.zones.Normal.pagesets')).toEqual([
      'derived from sizes and settings',
    ]);
    expect(kinds(outcome, 'nodes.0.zones.DMA32.freeBlocks')).toEqual(['read from kernelLog']);
    expect(kinds(outcome, 'nodes.0.anonPages')).toEqual(['derived from kernelLog']);
    expect(caveats.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['host-from-kernel-log', 'managed-assumed']),
    );
    // 56552 KiB are free, and the lists have 54816 KiB.
    expect(differences).toContainEqual(
      expect.objectContaining({
        path: 'nodes.0.zones.Normal.freeBlocks',
        taken: { source: 'free pages of the zone', value: 14138 },
        other: { source: 'kernelLog', value: 13704 },
      }),
    );
    const { initial } = replay({ host: model, runningGuests: [], steps: [], seed: 1 });
    expect(initial.nodes[0]!.zones[2]!.freePages).toBe(14138);
  });

  it('has the one node that its report leaves out as what the host has beyond the others', () => {
    const outcome = imported({ kernelLog: fixture('logs', 'policy-oom-6.1.txt') });
    const [, other] = outcome.model.nodes;
    const sum = (field: 'managedPages' | 'freePages') =>
      other!.zones.reduce((total, zone) => total + zone[field], 0);
    // 491387 pages of RAM, 33569 of them reserved; node 0 manages 15360 + 147672 + 511564 KiB.
    expect([other!.nodeId, sum('managedPages')]).toEqual([1, 491387 - 33569 - 168649]);
    expect(sum('freePages')).toBe(40906 - 1550);
    // 404279 pages less 644320 KiB of node 0.
    expect(other!.lru.inactiveAnonPages).toBe(404279 - 161080);
    expect(kinds(outcome, 'nodes.1.lru')).toEqual(['derived from kernelLog']);
    expect(outcome.model.swap).toEqual({ totalPages: 0, freePages: 0 });
    expect(outcome.caveats.map(({ code }) => code)).toContain('node-not-in-log');
  });

  it('takes CPUs, distances and settings from other texts, and leaves out nodes it cannot tell of', () => {
    const kernelLog = fixture('logs', 'policy-oom-6.1.txt').replace(
      'mems_allowed=0-1',
      'mems_allowed=0-2',
    );
    const { model, caveats } = imported({
      kernelLog,
      numactlHardware:
        'available: 1 nodes (0)\nnode 0 cpus: 0 1\nnode 0 size: 658 MB\nnode 0 free: 6 MB\nnode distances:\nnode   0 \n  0:  10 \n',
      sysctl: 'vm.zone_reclaim_mode = 1\n',
    });
    expect(model.nodes.map(({ nodeId, cpus }) => [nodeId, cpus])).toEqual([[0, [0, 1]]]);
    expect(model.sysctl.zone_reclaim_mode).toBe(1);
    expect(caveats).toContainEqual({
      code: 'nodes-unknown',
      message: expect.stringContaining('nothing of node 1, 2') as string,
    });
  });

  it('is laid over the host that zoneinfo describes', () => {
    const kernelLog = logOf(host);
    const { model, caveats } = imported({ ...exampleTexts(), kernelLog });
    const onTop = hostOfReport(reportOf(kernelLog), host);
    expect(onTop).toEqual({ ok: true, value: model });
    expect(caveats.map(({ code }) => code)).toContain('from-kernel-log');
  });

  it('is refused where no report lists zones; of several the last that does is taken', () => {
    const bare = 'a: page allocation failure: order:3, mode:0x40cc0(GFP_KERNEL)\n';
    expect(refused({ kernelLog: bare })).toMatchObject([{ code: 'missing-field', line: 1 }]);
    const first = logOf(host);
    const { model } = imported({ kernelLog: `${first}\n${bare}` });
    expect(model.nodes[0]!.zones[0]!.freePages).toBe(1000);
  });
});
