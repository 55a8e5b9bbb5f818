import type { MachineConfig, MachinePicture, ZonePicture } from '../machine';
import { alloc, free, lab, nodeBase } from './lab';
import { referenceMachine } from './index';

const BASE = nodeBase(0);
/** 1 ns for each page looked at, 1000 for each page moved. */
const COMPACTION = { compactScanNs: 1, migrateNs: 1000, firstCompactCheckNs: 512_000_000 };

function compacting(pages: number, sysctl: Partial<MachineConfig['sysctl']> = {}): MachineConfig {
  return { ...lab([pages], 0, sysctl), compaction: COMPACTION };
}

function zone(picture: MachinePicture): ZonePicture {
  return picture.zones[0] as ZonePicture;
}

describe('compaction in the reference', () => {
  it('moves the pages of the lowest pageblock to the free pages of the highest, from their ends', () => {
    const machine = referenceMachine(compacting(2048));
    machine.run(alloc('anon', 2048));
    // 8 pages stay at the start; the first 8 of the last pageblock become free.
    machine.run(free(8, 504));
    machine.run(free(1536, 8));
    machine.run({ op: 'drain' });
    const before = machine.picture();
    expect(machine.run({ op: 'compact', cpu: 0, node: null })).toEqual({ done: 8 });
    const picture = machine.picture();
    // The highest page moves first, to the highest page of the block that was taken.
    const moved = Array.from({ length: 8 }, (_, i) => BASE + 1536 + i);
    expect(picture.owners[0]?.frames.slice(0, 8)).toEqual(moved);
    // Before them stand the 32 pages that were taken in vain after them.
    expect(picture.nodes[0]?.lru[0]?.slice(32, 40)).toEqual(moved);
    // Next are 32 pages of the second pageblock, for which the two above it have nothing left.
    expect(picture.vmstat).toMatchObject({
      pgmigrate_success: 8,
      pgmigrate_fail: 1,
      compact_isolated: 8 + 8 + 32,
      // 8 pages and the 6 free blocks behind them, then 32 pages.
      compact_migrate_scanned: 8 + 6 + 32,
      // A free block of 8, what is left of its pageblock in vain, then every second page of the one below.
      compact_free_scanned: 8 + 504 + 256,
    });
    expect(picture.timeNs - before.timeNs).toBe(8 * 1000 + 46 + 768);
    expect(zone(picture).skip).toEqual([0, 0, 1, 1]);
  });

  it('leaves an aligned block at its first page that cannot move while the request waits for little', () => {
    const machine = referenceMachine(compacting(2048));
    machine.run(alloc('anon', 4));
    machine.run(alloc('kernel', 1, { owner: 2, type: 1 }));
    machine.run(alloc('anon', 2043, { owner: 3 }));
    // Of the second pageblock every other page: room to move to, and nothing larger.
    machine.run(free(512 - 5, 512, { owner: 3, every: 2, keep: 1 }));
    machine.run({ op: 'drain' });
    machine.run(alloc('kernel', 1, { owner: 4, order: 4, type: 1 }));
    const picture = machine.picture();
    // Page 4 is the kernel's: pages 0 to 3 are back where they were.
    expect(picture.owners[0]?.frames).toEqual([0, 1, 2, 3].map((page) => BASE + page));
    // The 256 free pages take those of 16 blocks, 16 to 271. What became free last is served first.
    expect(picture.vmstat).toMatchObject({
      pgmigrate_success: 256,
      compact_stall: 1,
      compact_success: 1,
    });
    expect(picture.owners[3]?.frames).toEqual([BASE + 256]);
  });

  it('is left out after a failure, twice as long after each', () => {
    const machine = referenceMachine(compacting(1024));
    machine.run(alloc('kernel', 1024));
    machine.run(free(0, 1024, { every: 2, keep: 1 }));
    machine.run({ op: 'drain' });
    const shifts = Array.from({ length: 8 }, () => {
      machine.run(alloc('kernel', 1, { owner: 2, order: 4, type: 1 }));
      const { deferShift, considered } = zone(machine.picture()).compaction;
      return [deferShift, considered];
    });
    // Each request asks twice, first in passing, then with patience; only the latter counts as a failure.
    expect(shifts).toEqual([
      [1, 0],
      [2, 0],
      [2, 2],
      [3, 0],
      [3, 2],
      [3, 4],
      [3, 6],
      [4, 0],
    ]);
  });

  it.each([
    { proactiveness: 30, passes: false },
    { proactiveness: 40, passes: true },
  ])(
    'begins by itself where the score passes 110 - $proactiveness',
    ({ proactiveness, passes }) => {
      const machine = referenceMachine(
        compacting(4096, { compaction_proactiveness: proactiveness }),
      );
      machine.run(alloc('anon', 4000));
      machine.run(free(0, 512));
      machine.run(free(512, 3488, { every: 2, keep: 1 }));
      machine.run({ op: 'drain' });
      machine.run({ op: 'idle', ns: 520_000_000 });
      // Free are 512 + 1744 + 96 pages, of which 512 are whole: 78 of 100, and 77 of the node's 4096 + 1 pages.
      expect((machine.picture().vmstat['pgmigrate_success'] ?? 0) > 0).toBe(passes);
    },
  );
});
