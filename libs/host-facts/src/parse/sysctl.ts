import type { HostSysctls, SysctlName } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import { readCount, splitLines, unexpectedLine } from './text';

export interface SysctlFacts {
  values: Partial<HostSysctls>;
  /** dirty_bytes and dirty_background_bytes where not zero: they replace the ratios. */
  dirtyBytes?: number;
  dirtyBackgroundBytes?: number;
  /** numa_zonelist_order of kernels before 4.14, where it says Zone. */
  zoneOrder: boolean;
}

/** Largest value the kernel accepts (kernel/sysctl.c and mm/ of 6.1). */
const LIMITS: Record<Exclude<SysctlName, 'lowmem_reserve_ratio'>, number> = {
  min_free_kbytes: 2 ** 31 - 1,
  watermark_scale_factor: 3000,
  watermark_boost_factor: 2 ** 31 - 1,
  zone_reclaim_mode: 2 ** 31 - 1,
  min_unmapped_ratio: 100,
  min_slab_ratio: 100,
  swappiness: 200,
  percpu_pagelist_high_fraction: 2 ** 31 - 1,
  dirty_ratio: 100,
  dirty_background_ratio: 100,
  dirty_writeback_centisecs: 2 ** 31 - 1,
  compaction_proactiveness: 100,
  compact_unevictable_allowed: 1,
  extfrag_threshold: 1000,
};
const MOST_RATIOS = 5;

/**
 * Parses `sysctl -a` (`vm.swappiness = 60`), sysctl.d files and bare `swappiness=60` lines.
 * Settings outside vm. and unknown ones are passed over; a later line wins, as in `sysctl -p`.
 */
export function parseSysctl(text: string, source = 'sysctl'): Parsed<SysctlFacts> {
  const problems = new ProblemList(source);
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const facts: SysctlFacts = { values: {}, zoneOrder: false };
  let assignments = 0;
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const body = line.trim();
    if (body === '' || /^[#;]/.test(body) || body.startsWith('sysctl:')) continue;
    const equals = body.indexOf('=');
    if (equals > 0) {
      assignments += 1;
      assign(facts, body.slice(0, equals), body.slice(equals + 1).trim(), index + 1, problems);
    } else if (assignments === 0) {
      // Later on such a line continues a value of several lines (sunrpc.transports).
      unexpectedLine(line, index + 1, 'vm.swappiness = 60', problems);
    }
  }
  return problems.outcome(facts);
}

function assign(
  facts: SysctlFacts,
  key: string,
  value: string,
  n: number,
  problems: ProblemList,
): void {
  const name = settingName(key);
  if (name === null) return;
  if (name === 'lowmem_reserve_ratio') {
    facts.values.lowmem_reserve_ratio = readRatios(value, n, problems);
  } else if (name === 'dirty_bytes' || name === 'dirty_background_bytes') {
    const bytes = readCount(value, name, n, problems) ?? 0;
    facts[name === 'dirty_bytes' ? 'dirtyBytes' : 'dirtyBackgroundBytes'] = bytes || undefined;
  } else if (name === 'numa_zonelist_order') {
    facts.zoneOrder = /^zone$/i.test(value);
  } else if (isScalar(name)) {
    const count = readCount(value, name, n, problems, LIMITS[name]);
    if (count !== null) facts.values[name] = count;
  }
}

function isScalar(name: string): name is keyof typeof LIMITS {
  return Object.hasOwn(LIMITS, name);
}

/** The name below vm., or `null` for a setting of another group. */
function settingName(key: string): string | null {
  const name = key
    .trim()
    .replace(/^-/, '')
    .replace(/^vm[./]/, '');
  return /[./]/.test(name) ? null : name;
}

function readRatios(value: string, n: number, problems: ProblemList): number[] | undefined {
  const list: number[] = [];
  for (const word of value.split(/\s+/)) {
    const ratio = readCount(word, 'lowmem_reserve_ratio', n, problems, 2 ** 31 - 1);
    if (ratio === null) return undefined;
    list.push(ratio);
  }
  if (list.length > MOST_RATIOS) {
    problems.add({
      code: 'out-of-range',
      message: `lowmem_reserve_ratio has ${list.length} values`,
      line: n,
      expected: `at most ${MOST_RATIOS} values, one per zone`,
      found: value,
    });
  }
  return list;
}
