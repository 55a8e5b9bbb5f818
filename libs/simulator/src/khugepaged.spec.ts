import { guestStep, makeHost } from '../test/host';
import { replay } from './replay';
import type { HostModel, MemoryPolicy, ReplayResult, ReplayStep, Snapshot } from './types';

const ON0: MemoryPolicy = { mode: 'bind', nodes: [0] };
const HUGE = 512;

function hostOf(nodes: number, distance = 20): HostModel {
  const shape = { cpus: 1, zones: [{ name: 'Normal' as const, pages: 32_768 }] };
  return makeHost(new Array<typeof shape>(nodes).fill(shape), { distance });
}

/** Guests come while there are no huge pages; then they are allowed, and time passes. */
function run(host: HostModel, before: ReplayStep[], seconds: number): ReplayResult {
  const wait: ReplayStep = {
    ...{ op: 'touch', name: 'g', cell: 0, offsetPages: 0, access: 'read' },
    ...{ pages: 10 * seconds, ratePagesPerSecond: 10 },
  };
  const steps: ReplayStep[] = [...before, { op: 'thp', enabled: 'always' }, wait];
  return replay({ host, runningGuests: [], steps, seed: 1, verify: true });
}

const last = ({ steps }: ReplayResult): Snapshot => steps.at(-1)!.snapshot;

describe('khugepaged', () => {
  const guest = guestStep('g', 16 * HUGE, ON0);

  it('makes eight huge pages each time it wakes, first 10 s after huge pages are allowed', () => {
    const collapsed = [9, 11, 21].map((seconds) => {
      const { guests, vmstat } = last(run(hostOf(1), [guest], seconds));
      expect(guests[0]!.pagesByNode).toEqual([{ nodeId: 0, pages: 16 * HUGE }]);
      return [vmstat.thp_collapse_alloc ?? 0, guests[0]!.hugePages];
    });
    expect(collapsed).toEqual([
      [0, 0],
      [8, 8],
      [16, 16],
    ]);
  });

  it('fills the holes of what it collapses, and leaves alone what has no page', () => {
    const few = { ...guest, touchPages: [HUGE + 100] } as ReplayStep;
    const { guests, vmstat } = last(run(hostOf(1), [few], 11));
    expect(vmstat.thp_collapse_alloc).toBe(2);
    expect(guests[0]!.pagesByNode).toEqual([{ nodeId: 0, pages: 2 * HUGE }]);
  });

  it('follows its settings: how long it sleeps, how much it looks at, how many holes it fills', () => {
    const boot = { scanSleepMs: 10_000, allocSleepMs: 60_000, pagesToScan: 4096, maxPtesNone: 511 };
    const few = { ...guest, touchPages: [HUGE + 100] } as ReplayStep;
    const collapsed = (values: Partial<typeof boot>, step = guest): number => {
      const host = hostOf(1);
      host.thp.khugepaged = { ...boot, ...values };
      return last(run(host, [step], 11)).vmstat.thp_collapse_alloc ?? 0;
    };
    expect(collapsed({})).toBe(8);
    expect(collapsed({ scanSleepMs: 5000 })).toBe(16);
    expect(collapsed({ scanSleepMs: 600_000 })).toBe(0);
    expect(collapsed({ pagesToScan: 1024 })).toBe(2);
    // 412 of the second 2 MiB are holes.
    expect(collapsed({ maxPtesNone: 412 }, few)).toBe(2);
    expect(collapsed({ maxPtesNone: 411 }, few)).toBe(1);
  });

  it('takes the first node where several have as many pages, unless they are too far apart', () => {
    const both = guestStep('g', HUGE, { mode: 'interleave', nodes: [0, 1] });
    expect(last(run(hostOf(2), [both], 11)).guests[0]!.pagesByNode).toEqual([
      { nodeId: 0, pages: HUGE },
      { nodeId: 1, pages: 0 },
    ]);
    const far = hostOf(2, 40);
    far.sysctl.zone_reclaim_mode = 1;
    expect(last(run(far, [both], 11)).guests[0]!.pagesByNode).toEqual([
      { nodeId: 0, pages: HUGE / 2 },
      { nodeId: 1, pages: HUGE / 2 },
    ]);
  });

  it('tries twice where there is no huge page, and rests a minute in between', () => {
    const rest = guestStep('h', 22_400, ON0, { pinned: true });
    const failed = [11, 79, 82].map((seconds) => {
      const { vmstat } = last(run(hostOf(1), [guest, rest], seconds));
      return vmstat.thp_collapse_alloc_failed ?? 0;
    });
    expect(failed).toEqual([2, 2, 4]);
  });

  it('does nothing where nobody may have huge pages', () => {
    const no = guestStep('g', 16 * HUGE, ON0, { thp: 'nohuge' });
    expect(last(run(hostOf(1), [no], 21)).vmstat.thp_collapse_alloc ?? 0).toBe(0);
  });
});
