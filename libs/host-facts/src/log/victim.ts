/** Who was killed and why that one: the OOM killer's points, from its own table. */
import type { LoggedTask, LogReport } from './log-report';

export interface RankedTask {
  pid: number;
  name: string;
  /** What it holds plus what its oom_score_adj adds, pages. */
  points: number;
}

export interface VictimVerdict {
  pid: number;
  name: string;
  /** Of the tasks in the table, 1 is first; null when it is not in the table. */
  rank: number | null;
  /** The table's first tasks by points, ten at most. */
  ranking: RankedTask[];
  explanation: string;
}

const OOM_SCORE_ADJ_MIN = -1000;
const SHOWN = 10;
const PAGE_KIB = 4;

/** @returns null where nothing was killed, as in a report of a failed allocation */
export function judgeVictim(report: LogReport): VictimVerdict | null {
  const { victim, tasks } = report;
  if (!victim) return null;
  const totalPages = totalPagesOf(report);
  const ranking = tasks
    .filter(({ oomScoreAdj }) => oomScoreAdj !== OOM_SCORE_ADJ_MIN)
    .map((task) => ({ pid: task.pid, name: task.name, points: oomBadness(task, totalPages) }))
    // Of equals the one that the walk finds last is killed. @kernel oom_evaluate_task()
    .reverse()
    .sort((a, b) => b.points - a.points);
  const at = ranking.findIndex(({ pid }) => pid === victim.pid);
  return {
    pid: victim.pid,
    name: victim.name,
    rank: at < 0 ? null : at + 1,
    ranking: ranking.slice(0, SHOWN),
    explanation: explain(at, ranking, tasks.length),
  };
}

function explain(at: number, ranking: RankedTask[], tasks: number): string {
  const first = ranking[at];
  if (first === undefined)
    return 'the table of tasks does not have it: the log is cut, or a child was killed in its place';
  const kib = first.points * PAGE_KIB;
  if (at === 0) {
    return `most points of ${tasks} tasks that could be killed: ${first.points} (${kib} KiB in memory, swap and page tables, with its oom_score_adj)`;
  }
  return `${at} of ${tasks} tasks have more points by the printed table: they were exempt, or the task that asked is killed in place of searching (vm.oom_kill_allocating_task)`;
}

/**
 * Memory that oom_score_adj is a share of, pages.
 * @kernel mm/oom_kill.c constrained_alloc()
 */
function totalPagesOf({
  constraint,
  memcg,
  zones,
  nodemask,
  memsAllowed,
  ...report
}: LogReport): number {
  if (memcg) return Math.floor(memcg.limitKib / PAGE_KIB);
  const swapPages = Math.floor((report.swapTotalKib ?? 0) / PAGE_KIB);
  const bound =
    constraint === 'CONSTRAINT_MEMORY_POLICY'
      ? nodemask
      : constraint === 'CONSTRAINT_CPUSET'
        ? memsAllowed
        : undefined;
  const among = zones.filter(({ nodeId }) => !bound || bound.includes(nodeId));
  const present = among.reduce((sum, zone) => sum + zone.presentPages, 0);
  if (bound || report.ramPages === undefined) return present + swapPages;
  return report.ramPages - (report.reservedPages ?? 0) + swapPages;
}

/** @kernel mm/oom_kill.c oom_badness() since 2.6.36 */
function oomBadness(task: LoggedTask, totalPages: number): number {
  const held = task.rssPages + task.swapPages + task.pageTablePages;
  return held + task.oomScoreAdj * Math.floor(totalPages / 1000);
}
