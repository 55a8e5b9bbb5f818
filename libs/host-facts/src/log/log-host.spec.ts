import { replay, validateHostModel, type HostModel } from '@zonewise/simulator';
import { exampleTexts, imported } from '../../test/fixtures';
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
