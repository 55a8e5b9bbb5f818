/** Replays every case recorded on Linux 6.12 once and holds the model to what it has reached. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../version';
import { bootsTable } from './report';
import { tallyBoots } from './score';
import { holdToFloors } from './test/hold-to-floors';

holdToFloors(
  {
    kernel: '6.12',
    recorded: 29,
    replayed: 26,
    // numa: in A01 kswapd starts on the edge of a mark in another step; C03 and C04 lie just outside two boots that differ by half.
    floorPercent: { layout: 81, oom: 100, placement: 78, numa: 87, levels: 73, reclaim: 73 },
  },
  (run) => {
    it('docs/FIDELITY.md says how far the two boots of a case agree', () => {
      const document = readFileSync(join(packageRoot(), 'docs', 'FIDELITY.md'), 'utf8');
      const table = bootsTable(tallyBoots(run().cases.flatMap(({ observables }) => observables)));
      expect(document).toContain(`\`\`\`text\n${table}\n\`\`\``);
    });

    it('the size of idle lists is right to the page in the layout cases, second after second', () => {
      const layout = run().cases.filter(({ id }) => id.startsWith('L') && !id.startsWith('L06'));
      const sizes = layout.flatMap(({ observables }) =>
        observables.filter(({ key, counts }) => counts === true && key.endsWith('.pcp_high')),
      );
      expect(sizes.length).toBeGreaterThan(30);
      expect(sizes.filter(({ inside }) => inside !== true)).toEqual([]);
    });
  },
);
