import { GFP_ANON_FAULT, gfpMaskText } from './gfp-mask';
import {
  oomReport,
  type OomReportInput,
  type OomReportNode,
  type OomReportZone,
} from './oom-report';

const NO_LRU = {
  inactiveAnonPages: 0,
  activeAnonPages: 0,
  inactiveFilePages: 0,
  activeFilePages: 0,
  unevictablePages: 0,
};

function zone(over: Partial<OomReportZone>): OomReportZone {
  return {
    name: 'Normal',
    ...{ presentPages: 0, managedPages: 0, freePages: 0 },
    ...{ boostPages: 0, minPages: 0, lowPages: 0, highPages: 0 },
    lru: NO_LRU,
    ...{ pcpPages: 0, localPcpPages: 0, protectionPages: [0] },
    freeBlocksByType: {},
    ...over,
  };
}

function node(nodeId: number, zones: OomReportZone[], over: Partial<OomReportNode> = {}) {
  return {
    ...{ nodeId, zones, lru: NO_LRU },
    ...{ filePages: 0, mappedPages: 0, shmemPages: 0, dirtyPages: 0, writebackPages: 0 },
    ...{ slabReclaimablePages: 0, slabUnreclaimablePages: 0, anonTransparentHugepages: 0 },
    isUnreclaimable: false,
    hugepages: [],
    ...over,
  } satisfies OomReportNode;
}

/**
 * Node 0 of a recorded host of 1024 + 1024 MiB at the moment when a guest bound to it ran out of memory
 * (Linux 6.1.192), its zone DMA32 left out; node 1 is what the sums over all nodes leave for it.
 */
const normal = zone({
  ...{ presentPages: 196_608, managedPages: 192_403, freePages: 454 },
  ...{ minPages: 530, lowPages: 722, highPages: 914 },
  lru: {
    ...{ activeAnonPages: 1, inactiveAnonPages: 186_637 },
    ...{ activeFilePages: 5, inactiveFilePages: 68, unevictablePages: 827 },
  },
  ...{ mlockedPages: 827, pcpPages: 63, localPcpPages: 63, protectionPages: [0, 0, 0, 0, 0] },
  freeBlocksByType: {
    Unmovable: [0, 0, 0, 3, 3, 2, 0, 1, 0, 0, 0],
    Movable: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    Reclaimable: [1, 2, 6, 4, 4, 1, 0, 0, 0, 0, 0],
  },
});
const dma = zone({
  name: 'DMA',
  ...{ presentPages: 3998, managedPages: 3840, freePages: 904 },
  ...{ minPages: 10, lowPages: 13, highPages: 16 },
  lru: { ...NO_LRU, inactiveAnonPages: 2867 },
  protectionPages: [0, 144, 895, 895],
  freeBlocksByType: {
    Unmovable: [1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0],
    Movable: [1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0],
  },
});
const full = node(0, [normal, dma], {
  lru: {
    ...{ activeAnonPages: 1, inactiveAnonPages: 225_386 },
    ...{ activeFilePages: 5, inactiveFilePages: 3, unevictablePages: 827 },
  },
  ...{ filePages: 290, mappedPages: 203, shmemPages: 279 },
  ...{ slabReclaimablePages: 2000, slabUnreclaimablePages: 1500 },
  ...{ kernelStackKib: 440, pageTablePages: 440, isUnreclaimable: true },
});
const other = node(
  1,
  [zone({ presentPages: 262_144, managedPages: 256_872, freePages: 252_317, pcpPages: 500 })],
  {
    lru: { ...NO_LRU, inactiveAnonPages: 3, activeFilePages: 1, inactiveFilePages: 1 },
    ...{ filePages: 10, pageTablePages: 7, slabReclaimablePages: 791, slabUnreclaimablePages: 300 },
  },
);

const guest = {
  ...{ pid: 97, name: 'init', uid: 0, totalVmPages: 308_042 },
  ...{ anonRssPages: 225_878, fileRssPages: 1, shmemRssPages: 114 },
  ...{ pageTableBytes: 1_855_488, swapEntries: 0, oomScoreAdj: 0 },
};

const input: OomReportInput = {
  invokedBy: { name: 'init', oomScoreAdj: 0 },
  gfpMask: GFP_ANON_FAULT,
  order: 0,
  constraint: 'CONSTRAINT_MEMORY_POLICY',
  nodemask: [0],
  cpuset: { name: '/', mems: [0, 1] },
  nodes: [full, other],
  swap: { cachePages: 0, freePages: 0, totalPages: 0 },
  tasks: [guest],
  victimPid: 97,
};

describe("the OOM killer's report", () => {
  it('reads as dmesg showed it', () => {
    expect(oomReport(input)).toEqual([
      'init invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0',
      'Mem-Info:',
      'active_anon:1 inactive_anon:225389 isolated_anon:0',
      ' active_file:6 inactive_file:4 isolated_file:0',
      ' unevictable:827 dirty:0 writeback:0',
      ' slab_reclaimable:2791 slab_unreclaimable:1800',
      ' mapped:203 shmem:279 pagetables:447',
      ' sec_pagetables:0 bounce:0',
      ' kernel_misc_reclaimable:0',
      ' free:253675 free_pcp:63 free_cma:0',
      'Node 0 active_anon:4kB inactive_anon:901544kB active_file:20kB inactive_file:12kB unevictable:3308kB isolated(anon):0kB isolated(file):0kB mapped:812kB dirty:0kB writeback:0kB shmem:1116kB shmem_thp: 0kB shmem_pmdmapped: 0kB anon_thp: 0kB writeback_tmp:0kB kernel_stack:440kB pagetables:1760kB sec_pagetables:0kB all_unreclaimable? yes',
      'Node 0 DMA free:3616kB boost:0kB min:40kB low:52kB high:64kB reserved_highatomic:0KB active_anon:0kB inactive_anon:11468kB active_file:0kB inactive_file:0kB unevictable:0kB writepending:0kB present:15992kB managed:15360kB mlocked:0kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB',
      'lowmem_reserve[]: 0 144 895 895 895',
      'Node 0 Normal free:1816kB boost:0kB min:2120kB low:2888kB high:3656kB reserved_highatomic:0KB active_anon:4kB inactive_anon:746548kB active_file:20kB inactive_file:272kB unevictable:3308kB writepending:0kB present:786432kB managed:769612kB mlocked:3308kB bounce:0kB free_pcp:252kB local_pcp:252kB free_cma:0kB',
      'lowmem_reserve[]: 0 0 0 0 0',
      'Node 0 DMA: 2*4kB (UM) 1*8kB (U) 1*16kB (M) 2*32kB (UM) 1*64kB (U) 1*128kB (U) 1*256kB (M) 2*512kB (UM) 0*1024kB 1*2048kB (M) 0*4096kB = 3616kB',
      'Node 0 Normal: 2*4kB (ME) 2*8kB (E) 6*16kB (E) 7*32kB (UE) 7*64kB (UE) 4*128kB (UME) 0*256kB 1*512kB (U) 0*1024kB 0*2048kB 0*4096kB = 1816kB',
      'Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=1048576kB',
      'Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB',
      '300 total pagecache pages',
      '0 pages in swap cache',
      'Free swap  = 0kB',
      'Total swap = 0kB',
      '462750 pages RAM',
      '0 pages HighMem/MovableOnly',
      '9635 pages reserved',
      'Tasks state (memory values in pages):',
      '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
      '[     97]     0    97   308042   225993  1855488        0             0 init',
      'oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0,cpuset=/,mems_allowed=0-1,global_oom,task_memcg=/,task=init,pid=97,uid=0',
      'Out of memory: Killed process 97 (init) total-vm:1232168kB, anon-rss:903512kB, file-rss:4kB, shmem-rss:456kB, UID:0 pgtables:1812kB oom_score_adj:0',
    ]);
  });

  it('adds the boost to the marks that it prints', () => {
    const boosted = node(0, [{ ...normal, boostPages: 512 }]);
    const line = oomReport({ ...input, nodes: [boosted] }).find((text) => / boost:/.test(text));
    expect(line).toContain(' boost:2048kB min:4168kB low:4936kB high:5704kB ');
  });

  it('shows the nodes of the cpuset where the request has no policy', () => {
    const report = oomReport({ ...input, nodemask: null, cpuset: { name: 'cg0', mems: [1] } });
    expect(report.filter((line) => /^Node 0/.test(line))).toEqual([]);
    expect(report.filter((line) => /^Node 1 /.test(line))).toHaveLength(5);
    expect(report.at(-2)).toContain('nodemask=(null),cpuset=cg0,mems_allowed=1,global_oom');
    expect(report).toContain(' free:253675 free_pcp:500 free_cma:0');
  });

  it('leaves out zones that the request cannot have', () => {
    const withMovable = node(0, [dma, normal, { ...normal, name: 'Movable' }]);
    const zones = (gfpMask: number): string[] =>
      oomReport({ ...input, gfpMask, nodes: [withMovable] }).flatMap(
        (line) => /^Node 0 (\w+) free:/.exec(line)?.[1] ?? [],
      );
    expect(zones(GFP_ANON_FAULT)).toEqual(['DMA', 'Normal', 'Movable']);
    expect(zones(0xcc0)).toEqual(['DMA', 'Normal']);
    expect(zones(0xcc1)).toEqual(['DMA']);
  });

  it('names runs of nodes as the kernel does', () => {
    const report = oomReport({
      ...input,
      nodemask: [7, 0, 2, 1],
      cpuset: { name: '/', mems: [0, 1, 2, 3, 8] },
    });
    expect(report.at(-2)).toContain(',nodemask=0-2,7,cpuset=/,mems_allowed=0-3,8,global_oom,');
  });

  it('shows a node without memory by its hugetlb pools only', () => {
    const pools = [{ sizeKib: 2048, totalPages: 4, freePages: 1 }];
    const empty = node(2, [], { hugepages: pools });
    const report = oomReport({ ...input, nodemask: [2], nodes: [full, other, empty] });
    expect(report.filter((line) => /^Node/.test(line))).toEqual([
      'Node 2 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=1048576kB',
      'Node 2 hugepages_total=4 hugepages_free=1 hugepages_surp=0 hugepages_size=2048kB',
    ]);
  });

  it('cuts names to 15 characters and shows a task that may not be killed', () => {
    const spared = { ...guest, pid: 100_001, name: 'qemu-system-x86_64', oomScoreAdj: -1000 };
    const report = oomReport({ ...input, tasks: [spared], victimPid: undefined });
    expect(report.slice(-2)).toEqual([
      '[ 100001]     0 100001   308042   225993  1855488        0         -1000 qemu-system-x86',
      'Out of memory and no killable processes...',
    ]);
  });

  it('counts huge pages of anonymous memory in KiB', () => {
    const huge = node(0, [normal], { anonTransparentHugepages: 3 });
    expect(oomReport({ ...input, nodes: [huge] }).join('\n')).toContain(' anon_thp: 6144kB ');
  });
});

describe('request flags by name', () => {
  it.each([
    [0xcc0, 'GFP_KERNEL'],
    [0x100cca, 'GFP_HIGHUSER_MOVABLE'],
    [0x1c20ca, 'GFP_TRANSHUGE_LIGHT'],
    [0x1c24ca, 'GFP_TRANSHUGE'],
    [0x3d24ca, 'GFP_TRANSHUGE|__GFP_NORETRY|__GFP_THISNODE'],
    [0xa20, 'GFP_ATOMIC'],
    [0x42dc0, 'GFP_KERNEL|__GFP_NOWARN|__GFP_COMP|__GFP_ZERO'],
    [0x1000_0800, 'GFP_NOWAIT|0x10000000'],
    [0x440, '__GFP_IO|__GFP_DIRECT_RECLAIM'],
    [0, ''],
  ])('%i is "%s"', (mask, names) => {
    expect(gfpMaskText(mask)).toBe(names);
  });
});
