import { guestStep, makeHost } from '../test/host';
import { replay } from './replay';
import type { MemoryPolicy, ReplayResult, ReplayStep } from './types';

const ON0: MemoryPolicy = { mode: 'bind', nodes: [0] };

/** One node of 128 MiB whose guests get huge pages, with swap of so many pages. */
function run(swapPages: number, steps: ReplayStep[]): ReplayResult {
  const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages: 32_768 }] }]);
  host.thp = { enabled: 'always', defrag: 'never' };
  host.swap = { totalPages: swapPages, freePages: swapPages };
  return replay({ host, runningGuests: [], steps, seed: 1, verify: true });
}

describe('a huge page that goes to swap', () => {
  const steps: ReplayStep[] = [guestStep('g', 20_480, ON0), guestStep('h', 12_000, ON0)];

  it('goes whole where swap has 512 slots for it', () => {
    const { vmstat, swapUsedPages } = run(8192, steps).steps[1]!.snapshot;
    expect(vmstat.thp_swpout).toBeGreaterThan(0);
    expect(vmstat.pswpout).toBe(vmstat.thp_swpout! * 512);
    expect(vmstat.thp_swpout_fallback ?? 0).toBe(0);
    expect(swapUsedPages).toBe(vmstat.pswpout);
  });

  it('is split where it has fewer, and fills them page by page', () => {
    const { vmstat } = run(700, steps).steps[1]!.snapshot;
    expect(vmstat.thp_swpout).toBe(1);
    expect(vmstat.thp_split_page).toBeGreaterThan(0);
    expect(vmstat.thp_split_page).toBe(vmstat.thp_swpout_fallback);
    // All slots: 512 for the whole one, the rest for pages of the next.
    expect(vmstat.pswpout).toBe(700);
  });
});
