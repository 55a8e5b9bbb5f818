/** What the recordings of each kernel but 6.1 are held to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../version';
import { documentBlocks } from '../document';
import { compareCases, runCase, type FidelityRun } from '../fidelity';
import { ownCases, readCases } from '../read-cases';
import type { Kind } from '../tolerances';

/** H and J are about mechanisms that these kernels were not held to yet: hugetlb pools, memory cgroups. */
const MODELLED_GROUPS = 'LABCDEFGI';
/** Cases whose every page is recounted after every step. */
const RECOUNTED = ['A04', 'C03', 'E06', 'I02'];

/** Floors of one kernel's recordings, in `test/fixtures/kernel-<name>`. */
export interface KernelFloors {
  kernel: string;
  /** Cases in the folder, and those of the modelled groups. */
  recorded: number;
  replayed: number;
  /** Share of counted values inside the kernel's range, in percent, that must be kept; see its part of docs/FIDELITY.md. */
  floorPercent: Partial<Record<Kind, number>>;
}

/**
 * Declares the tests that replay the recordings of a kernel once and hold the model to what it has reached.
 * @param further more tests on that run
 */
export function holdToFloors(
  { kernel, recorded, replayed, floorPercent }: KernelFloors,
  further: (run: () => FidelityRun) => void = () => undefined,
): void {
  describe(`kernel cases recorded on ${kernel}`, () => {
    const cases = [...readCases(`${ownCases()}-${kernel}`)];
    let run: FidelityRun;

    beforeAll(() => {
      run = compareCases(cases, { groups: MODELLED_GROUPS });
    }, 120_000);

    it('are all here, and are replayed as what they are', () => {
      expect([cases.length, run.cases.length, run.skipped]).toEqual([recorded, replayed, []]);
      expect(run.kernels).toEqual([kernel]);
    });

    it.each(Object.entries(floorPercent))('%s: at least %d %% right', (kind, floor) => {
      const { inside, total } = run.summary![kind as Kind]!;
      expect((100 * inside) / total).toBeGreaterThanOrEqual(floor);
    });

    it(`are summed up in docs/FIDELITY.md (renew it with --cases test/fixtures/kernel-${kernel})`, () => {
      const document = readFileSync(join(packageRoot(), 'docs', 'FIDELITY.md'), 'utf8');
      const [begin, end] = [`<!-- summary ${kernel} -->\n`, `\n<!-- /summary ${kernel} -->`];
      const from = document.indexOf(begin) + begin.length;
      expect(document.slice(from, document.indexOf(end))).toBe(
        documentBlocks(run)[`summary ${kernel}`],
      );
    });

    it.each(RECOUNTED)('%s: every page is accounted for after every step', (id) => {
      const one = cases.find((recording) => recording.id.startsWith(id))!;
      expect(() => runCase(one, true)).not.toThrow();
    });

    further(() => run);
  });
}
