/** Reports of failed allocations and of the OOM killer in a kernel log, as numbers. */
import { ProblemList, type Parsed } from '../errors';
import { emptyCounts, readCount } from '../parse/text';
import { policyOf, ReportReader } from './report-reader';
import { decodeGfp, type LoggedGfp } from './gfp-flags';
import { logLines, type LogLine } from './log-lines';

/** One zone at that moment; sizes in pages of 4 KiB. */
export interface LoggedZone {
  nodeId: number;
  name: string;
  freePages: number;
  /** Marks as the kernel compared them, boost included. */
  minPages: number;
  lowPages: number;
  highPages: number;
  boostPages: number;
  highatomicPages: number;
  presentPages: number;
  /** `present` where the kernel printed no managed pages (before 3.9). */
  managedPages: number;
  /** File pages on its LRU lists, and anonymous ones. */
  filePages: number;
  anonPages: number;
  /** `lowmem_reserve[]`, by class. */
  reservePages: number[];
  /** Free blocks by order; empty where the report was cut. */
  freeBlocks: number[];
  /** Letters of the lists that hold them, by order: `UM`; empty before 3.9. */
  blockTypes: string[];
  /** All that its line says of its use, pages by the printed name: `active_anon`, `mapped` (before 4.8), ... */
  uses: Record<string, number>;
}

/** A hugetlb pool of a node; pages of `sizeKib`. */
export interface LoggedPool {
  nodeId: number;
  sizeKib: number;
  totalPages: number;
  freePages: number;
  surplusPages: number;
}

/** A row of the OOM killer's table. */
export interface LoggedTask {
  pid: number;
  name: string;
  rssPages: number;
  swapPages: number;
  pageTablePages: number;
  oomScoreAdj: number;
}

export interface LoggedVictim {
  pid: number;
  name: string;
  line: number;
}

/** A memory cgroup as the OOM report prints it. */
export interface LoggedGroup {
  usageKib: number;
  limitKib: number;
  /** Such as `/machine.slice/machine-qemu`; undefined where the report was cut before it. */
  path?: string;
  /** memory.stat by name, bytes where the name is one of memory: `anon`, `file`, `slab`. */
  stats: Record<string, number>;
}

export interface LogReport {
  kind: 'allocation-failure' | 'oom';
  /** Line of the pasted text that it begins with. */
  line: number;
  task: string;
  order: number;
  gfp: LoggedGfp;
  /** `6.1.0-56-amd64`; undefined when no line tells. */
  release?: string;
  /** Nodes of the policy, null for `(null)`, undefined where not printed. */
  nodemask?: number[] | null;
  memsAllowed?: number[];
  /** Such as `CONSTRAINT_MEMORY_POLICY`; only in OOM reports since 4.19. */
  constraint?: string;
  zones: LoggedZone[];
  /** What the lines of nodes say, pages by the printed name; empty before 4.8, which counts per zone. */
  nodeUses: Map<number, Record<string, number>>;
  pools: LoggedPool[];
  /** Counts of the whole host by name as printed, pages. */
  counts: Record<string, number>;
  swapTotalKib?: number;
  swapFreeKib?: number;
  ramPages?: number;
  reservedPages?: number;
  /** The memory cgroup that was full. */
  memcg?: LoggedGroup;
  tasks: LoggedTask[];
  victim?: LoggedVictim;
}

const MAX_REPORTS = 100;

/** Larger blocks than any kernel has. */
const MAX_ORDER = 20;

const FAILURE =
  /^(?<task>.{1,64}?): page allocation failure[.:] order:(?<order>\d+), mode:(?<mask>0x[0-9a-f]{1,8})(?:\((?<names>[A-Z0-9_|]*)\))?(?<rest>.*)$/;
const OOM =
  /^(?<task>.{1,64}?) invoked oom-killer: gfp_mask=(?<mask>0x[0-9a-f]{1,8})(?:\((?<names>[A-Z0-9_|]*)\))?(?<rest>.*? order=(?<order>\d+).*)$/;

/**
 * Every report in a log, in order; other lines are passed over.
 * @param release the kernel's, where the log does not tell
 * Layouts from 2.6.32 on. @kernel mm/page_alloc.c warn_alloc(), lib/show_mem.c show_free_areas(), mm/oom_kill.c dump_header()
 */
export function parseKernelLog(
  text: string,
  source = 'log',
  release?: string,
): Parsed<LogReport[]> {
  const problems = new ProblemList(source);
  const lines = logLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const reports: LogReport[] = [];
  let reader: ReportReader | undefined;
  for (const line of lines) {
    if (problems.full) break;
    const report = beginning(line, problems);
    if (!report) {
      reader?.read(line);
      continue;
    }
    if (reports.length === MAX_REPORTS) {
      problems.add({
        code: 'limit-exceeded',
        message: `there are more than ${MAX_REPORTS} reports`,
        line: line.line,
        expected: `at most ${MAX_REPORTS} in one log`,
      });
      break;
    }
    reports.push(report);
    reader = new ReportReader(report, problems);
  }
  for (const report of reports) settleRelease(report, release);
  if (reports.length === 0 && !problems.full) {
    problems.add({
      code: 'no-report',
      message: 'no report of a failed allocation or of the OOM killer was found',
      expected:
        'a line with "page allocation failure" or "invoked oom-killer", and what follows it',
      found: `${lines.length} other lines`,
    });
  }
  return problems.outcome(reports);
}

function beginning({ text, line }: LogLine, problems: ProblemList): LogReport | undefined {
  const failure = FAILURE.exec(text);
  const found = failure ?? OOM.exec(text);
  if (!found) return undefined;
  const { task = '', order = '', mask = '0x0', names, rest = '' } = found.groups ?? {};
  return {
    kind: failure ? 'allocation-failure' : 'oom',
    line,
    task,
    order: readCount(order, 'the order', line, problems, MAX_ORDER) ?? 0,
    gfp: decodeGfp(mask, names, undefined),
    ...policyOf(rest, problems),
    zones: [],
    nodeUses: new Map(),
    pools: [],
    counts: emptyCounts(),
    tasks: [],
  };
}

/** The numbers of flags mean different things from kernel to kernel, and its release comes after them. */
function settleRelease(report: LogReport, release: string | undefined): void {
  if (report.release === undefined && release !== undefined) report.release = release;
  if (report.gfp.flags.length > 0) return;
  report.gfp = decodeGfp(report.gfp.mask, undefined, report.release);
}
