/** What follows the first line of a report: counts, zones, free blocks, tasks, the victim. */
import type { ProblemList } from '../errors';
import { parseIdList } from '../parse/lists';
import { emptyCounts, MAX_NODES, readCount, readNodeId, words } from '../parse/text';
import type { LogLine } from './log-lines';
import type { LoggedTask, LoggedZone, LogReport } from './log-report';

const MAX_ZONES = 4096;
const MAX_TASKS = 100_000;
const MAX_POOL = 2 ** 40;
const PAGE_KIB = 4;
const PAGE_BYTES = 4096;
const BYTES_PER_KIB = 1024;

const ZONE_LINE = /^Node (\d{1,6}) ([A-Z][A-Za-z0-9]{1,15}) free:(\d+)kB(.*)$/;
const BLOCKS_LINE = /^Node (\d{1,6}) ([A-Z][A-Za-z0-9]{1,15}): (\d.*?)(?: = (\d+)kB)?$/;
const NODE_LINE = /^Node (\d{1,6}) (active_anon:.*)$/;
const POOL_LINE =
  /^Node (\d{1,6}) hugepages_total=(\d+) hugepages_free=(\d+) hugepages_surp=(\d+) hugepages_size=(\d+)kB$/;
const RELEASE = /\b(\d+\.\d+\.\d+[\w.+~-]*) #\d/;

/** Reads the lines of one report, in the order in which the kernel prints them. */
export class ReportReader {
  private zone: LoggedZone | undefined;
  private columns: string[] | undefined;

  constructor(
    private readonly report: LogReport,
    private readonly problems: ProblemList,
  ) {}

  /** A line that says nothing that is known is passed over. */
  read(line: LogLine): void {
    const { report } = this;
    const { text } = line;
    if (this.columns && this.readTask(line)) return;
    if (this.readZone(line) || this.readReserve(line) || this.readBlocks(line)) return;
    if (this.readNode(line) || this.readPool(line) || this.readGroupStats(line)) return;
    if (/^\[ *pid *\]/.test(text)) {
      this.columns = words(text.replace(/^\[ *pid *\]/, 'pid'));
      return;
    }
    if (/^(?:Mem-Info|Hardware name|Call Trace)/.test(text)) return;
    if (/^(?:CPU: \d+|Pid: \d+)/.test(text)) {
      const release = RELEASE.exec(text)?.[1];
      if (release !== undefined) report.release = release;
      return;
    }
    if (
      /^(?:active_anon|active_file|unevictable|slab_|mapped|free|kernel_misc|sec_pagetables)[^ ]*:\d/.test(
        text,
      )
    ) {
      this.readCounts(line);
      return;
    }
    this.readTotals(line);
    if (text.startsWith('oom-kill:')) {
      const constraint = /^oom-kill:constraint=(CONSTRAINT_[A-Z_]+)/.exec(text)?.[1];
      if (constraint !== undefined) report.constraint = constraint;
      Object.assign(report, policyOf(text, this.problems));
    }
    const killed = /Kill(?:ed)? process (\d{1,10}),? (?:UID \d+,? )?\(([^)]{0,64})\)/.exec(text);
    if (killed && !report.victim) {
      const pid = readCount(killed[1] ?? '', 'the process number', line.line, this.problems);
      report.victim = { pid: pid ?? 0, name: killed[2] ?? '', line: line.line };
    }
  }

  private readZone({ text, line }: LogLine): boolean {
    const match = ZONE_LINE.exec(text);
    if (!match) return false;
    const nodeId = readNodeId(match[1] ?? '', line, this.problems);
    if (nodeId === null) return true;
    const { zones } = this.report;
    if (zones.length === MAX_ZONES) {
      this.problems.add({
        code: 'limit-exceeded',
        message: `the report has more than ${MAX_ZONES} zones`,
        line,
        expected: `at most ${MAX_ZONES} zones`,
      });
      return true;
    }
    const uses = this.readUses(`free:${match[3]}kB${match[4]}`, line);
    const pages = (name: string): number | undefined => uses[name];
    const needed = (name: string): number => {
      const found = pages(name);
      if (found !== undefined) return found;
      this.problems.add({
        code: 'missing-field',
        message: `the zone has no ${name}`,
        line,
        expected: `${name}:0kB`,
        found: text,
      });
      return 0;
    };
    const presentPages = needed('present');
    this.zone = {
      nodeId,
      name: match[2] ?? '',
      freePages: needed('free'),
      minPages: needed('min'),
      lowPages: needed('low'),
      highPages: needed('high'),
      boostPages: pages('boost') ?? 0,
      highatomicPages: pages('reserved_highatomic') ?? 0,
      presentPages,
      managedPages: pages('managed') ?? presentPages,
      filePages: (pages('active_file') ?? 0) + (pages('inactive_file') ?? 0),
      anonPages: (pages('active_anon') ?? 0) + (pages('inactive_anon') ?? 0),
      reservePages: [],
      freeBlocks: [],
      blockTypes: [],
      uses,
    };
    zones.push(this.zone);
    return true;
  }

  /** Sizes by name as a line of a zone or node has them, pages. */
  private readUses(text: string, line: number): Record<string, number> {
    const uses = emptyCounts();
    for (const [, name = '', printed = ''] of text.matchAll(/([a-z_()]{2,40}): ?(\d+)[kK]B/g)) {
      const kib = readCount(printed, name, line, this.problems);
      uses[name] = Math.floor((kib ?? 0) / PAGE_KIB);
    }
    return uses;
  }

  private readNode({ text, line }: LogLine): boolean {
    const match = NODE_LINE.exec(text);
    if (!match) return false;
    const nodeId = readNodeId(match[1] ?? '', line, this.problems);
    if (nodeId !== null) this.report.nodeUses.set(nodeId, this.readUses(match[2] ?? '', line));
    return true;
  }

  private readPool({ text, line }: LogLine): boolean {
    const match = POOL_LINE.exec(text);
    if (!match) return false;
    const count = (at: number): number =>
      readCount(match[at] ?? '', 'the pool', line, this.problems, MAX_POOL) ?? 0;
    const nodeId = readNodeId(match[1] ?? '', line, this.problems);
    const { pools } = this.report;
    if (nodeId === null || pools.length === MAX_ZONES) return true;
    const [totalPages, freePages] = [count(2), count(3)];
    pools.push({
      ...{ nodeId, sizeKib: count(5), totalPages },
      ...{ freePages: Math.min(freePages, totalPages), surplusPages: count(4) },
    });
    return true;
  }

  /** Belongs to the zone printed before it. */
  private readReserve({ text, line }: LogLine): boolean {
    if (!text.startsWith('lowmem_reserve[]:')) return false;
    const list = words(text.slice('lowmem_reserve[]:'.length));
    if (this.zone) {
      this.zone.reservePages = list.map(
        (word) => readCount(word, 'the reserve', line, this.problems) ?? 0,
      );
    }
    return true;
  }

  private readBlocks({ text, line }: LogLine): boolean {
    const match = BLOCKS_LINE.exec(text);
    if (!match) return false;
    const zone = this.report.zones.find(
      ({ nodeId, name }) => nodeId === Number(match[1]) && name === match[2],
    );
    if (!zone) return true;
    for (const block of (match[3] ?? '').matchAll(/(\d+)\*(\d+)kB(?: \(([A-Z]+)\))?/g)) {
      const count = readCount(block[1] ?? '', 'the number of blocks', line, this.problems) ?? 0;
      const order = Math.log2(Number(block[2]) / PAGE_KIB);
      if (!Number.isInteger(order) || order !== zone.freeBlocks.length) {
        this.problems.add({
          code: 'unexpected-line',
          message: `blocks of ${block[2]} kB do not follow those of ${PAGE_KIB * 2 ** (zone.freeBlocks.length - 1)} kB`,
          line,
          expected: `${PAGE_KIB * 2 ** zone.freeBlocks.length}kB next`,
          found: text,
        });
        return true;
      }
      zone.freeBlocks.push(count);
      zone.blockTypes.push(block[3] ?? '');
    }
    return true;
  }

  private readCounts({ text, line }: LogLine): void {
    for (const [, name = '', value = ''] of text.matchAll(/([a-z_()]+):(\d+)(?![\dk])/g)) {
      this.report.counts[name] = readCount(value, name, line, this.problems) ?? 0;
    }
  }

  private readTotals({ text, line }: LogLine): void {
    const { report, problems } = this;
    const number = (pattern: RegExp, what: string): number | undefined => {
      const digits = pattern.exec(text)?.[1];
      return digits === undefined ? undefined : (readCount(digits, what, line, problems) ?? 0);
    };
    report.swapTotalKib = number(/^Total swap = (\d+)kB/, 'total swap') ?? report.swapTotalKib;
    report.swapFreeKib = number(/^Free swap +=? ?(\d+)kB/, 'free swap') ?? report.swapFreeKib;
    report.ramPages = number(/^(\d+) pages RAM/, 'pages of RAM') ?? report.ramPages;
    report.reservedPages = number(/^(\d+) pages reserved/, 'pages') ?? report.reservedPages;
    const group = /^(?:Task in .* )?memory: usage (\d+)kB, limit (\d+)kB/.exec(text);
    if (group) {
      const [, usage = '', limit = ''] = group;
      report.memcg = {
        usageKib: readCount(usage, 'the usage', line, problems) ?? 0,
        limitKib: readCount(limit, 'the limit', line, problems) ?? 0,
        stats: emptyCounts(),
      };
    }
  }

  /** Lines of memory.stat follow their heading; before 5.2 they stood in it, in KB. */
  private readGroupStats({ text, line }: LogLine): boolean {
    const { memcg } = this.report;
    if (memcg === undefined) return false;
    const heading = /^Memory cgroup stats for ([^ :]{1,4096}):(.*)$/.exec(text);
    if (heading !== null) {
      memcg.path = heading[1];
      for (const [, name = '', kb = ''] of (heading[2] ?? '').matchAll(/([a-z_]{1,40}):(\d+)KB/g)) {
        memcg.stats[name] = (readCount(kb, name, line, this.problems) ?? 0) * BYTES_PER_KIB;
      }
      return true;
    }
    const stat = /^([a-z][a-z_0-9]{1,60}) (\d+)$/.exec(text);
    if (memcg.path === undefined || stat === null) return false;
    const [, name = '', count = ''] = stat;
    memcg.stats[name] = readCount(count, name, line, this.problems) ?? 0;
    return true;
  }

  /** @returns false for a line that is no row of the table, which ends it */
  private readTask({ text, line }: LogLine): boolean {
    const match = /^\[ *(\d{1,10}) *\] +(\d.*)$/.exec(text);
    const columns = this.columns ?? [];
    if (!match) {
      this.columns = undefined;
      return false;
    }
    const values = [match[1] ?? '', ...words(match[2] ?? '')];
    const cell = (name: string): number | undefined => {
      const at = columns.indexOf(name);
      return at < 0 ? undefined : (readCell(values[at] ?? '', name, line, this.problems) ?? 0);
    };
    if (this.report.tasks.length === MAX_TASKS) return true;
    const bytes = cell('pgtables_bytes');
    const tables = (cell('nr_ptes') ?? 0) + (cell('nr_pmds') ?? 0);
    const task: LoggedTask = {
      pid: cell('pid') ?? 0,
      // A name may have spaces.
      name: values.slice(columns.length - 1).join(' '),
      rssPages: cell('rss') ?? 0,
      swapPages: cell('swapents') ?? 0,
      pageTablePages: bytes === undefined ? tables : Math.floor(bytes / PAGE_BYTES),
      oomScoreAdj: cell('oom_score_adj') ?? 0,
    };
    this.report.tasks.push(task);
    return true;
  }
}

/** oom_score_adj may be negative. */
function readCell(text: string, name: string, line: number, problems: ProblemList): number | null {
  const negative = name === 'oom_score_adj' && text.startsWith('-');
  const value = readCount(negative ? text.slice(1) : text, name, line, problems);
  return value === null || !negative ? value : -value;
}

/** What a report says of nodes, in its first line or, of an OOM report since 4.19, in a later one. */
export function policyOf(
  text: string,
  problems: ProblemList,
): Pick<LogReport, 'nodemask' | 'memsAllowed'> {
  const nodemask = /nodemask=(\(null\)|\d[\d,-]*)/.exec(text)?.[1];
  const mems = /mems_allowed=(\d[\d,-]*)/.exec(text)?.[1];
  const nodes = (list: string): number[] => {
    // What follows in the line is joined by a comma as well.
    const parsed = parseIdList(list.replace(/,$/, ''), problems.source, MAX_NODES - 1);
    if (parsed.ok) return parsed.value;
    parsed.problems.forEach((problem) => problems.add({ ...problem, code: 'bad-cpu-list' }));
    return [];
  };
  return {
    ...(nodemask === undefined ? {} : { nodemask: nodemask === '(null)' ? null : nodes(nodemask) }),
    ...(mems === undefined ? {} : { memsAllowed: nodes(mems) }),
  };
}
