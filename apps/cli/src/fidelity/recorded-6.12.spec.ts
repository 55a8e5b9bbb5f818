/** Replays every case recorded on Linux 6.12 once and holds the model to what it has reached. */
import { holdToFloors } from './test/hold-to-floors';

holdToFloors(
  {
    kernel: '6.12',
    recorded: 29,
    replayed: 26,
    // numa: A13 and C01 start kswapd on the edge of a mark, where the recorded boots did not.
    floorPercent: { layout: 75, oom: 100, placement: 70, numa: 85, levels: 64, reclaim: 70 },
  },
  (run) => {
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
