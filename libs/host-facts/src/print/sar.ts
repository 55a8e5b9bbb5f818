import type { HostModel } from '@zonewise/simulator';
import { fixed2, left, right, textOf } from './layout';

/** What is needed of each moment of a replay. */
export interface PagingMoment {
  timeNs: number;
  /** Events since the start of the replay. */
  vmstat: Partial<Record<string, number>>;
}

const COLUMNS = [
  'pgpgin/s',
  'pgpgout/s',
  'fault/s',
  'majflt/s',
  'pgfree/s',
  'pgscank/s',
  'pgscand/s',
  'pgsteal/s',
  '%vmeff',
];
const WIDTH = 9;
const NS_PER_SECOND = 1e9;
const DAY_SECONDS = 86_400;

/**
 * `sar -B` (sysstat 12): one line of rates per step and their average. pgpgin and pgpgout are KiB, all
 * others pages or events, per second of virtual time; a step that took no time has rates of 0.
 * The clock is the replay's: it starts on 1 January 1970 at 00:00:00.
 * @param before the state before the first step
 * @param after the states after each step, in order
 * @differs pages stolen are counted once; sar adds the kernel's counts by reclaimer and by page type, which
 * name every page twice
 */
export function printSarB(
  host: HostModel,
  onlineCpus: number,
  before: PagingMoment,
  after: readonly PagingMoment[],
): string {
  const rows = after.map((moment, i) => {
    const previous = after[i - 1] ?? before;
    return left(clock(moment.timeNs), 11) + rates(previous, moment);
  });
  const last = after.at(-1);
  return textOf([
    `Linux ${host.kernelRelease ?? '6.1'} (zonewise) \t01/01/70 \t_x86_64_\t(${onlineCpus} CPU)`,
    '',
    left(clock(before.timeNs), 11) + COLUMNS.map((name) => ` ${right(name, WIDTH)}`).join(''),
    ...rows,
    ...(last === undefined ? [] : [left('Average:', 11) + rates(before, last)]),
  ]);
}

function clock(timeNs: number): string {
  const seconds = Math.floor(timeNs / NS_PER_SECOND) % DAY_SECONDS;
  const two = (value: number): string => String(value).padStart(2, '0');
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map(two)
    .join(':');
}

function rates(from: PagingMoment, to: PagingMoment): string {
  const seconds = (to.timeNs - from.timeNs) / NS_PER_SECOND;
  const delta = (...names: string[]): number =>
    names.reduce((sum, name) => sum + (to.vmstat[name] ?? 0) - (from.vmstat[name] ?? 0), 0);
  const rate = (...names: string[]): number => (seconds > 0 ? delta(...names) / seconds : 0);
  const scanned = delta('pgscan_kswapd', 'pgscan_direct');
  const stolen = delta('pgsteal_kswapd', 'pgsteal_direct');
  const values = [
    rate('pgpgin'),
    rate('pgpgout'),
    rate('pgfault'),
    rate('pgmajfault'),
    rate('pgfree'),
    rate('pgscan_kswapd'),
    rate('pgscan_direct'),
    rate('pgsteal_kswapd', 'pgsteal_direct'),
    scanned > 0 ? (stolen / scanned) * 100 : 0,
  ];
  return values.map((value) => ` ${right(fixed2(value), WIDTH)}`).join('');
}
