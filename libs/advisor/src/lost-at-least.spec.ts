import { replay } from '@zonewise/simulator';
import { withChange } from './change';
import { compileReplay } from './compile';
import { scoreOf } from './objective';
import { condense } from './outcome';
import { rivals } from './rivals';
import type { SimulationRequest } from './types';
import { host, planned, running } from '../test/builders';
import { lostAtLeast } from './lost-at-least';

/** Planned guests of these sizes on two nodes of 256 MiB, half of the second one page cache. */
function plan(sizesMib: number[], swapMib = 0): SimulationRequest {
  const built = host([{ mib: 256 }, { mib: 256, cacheMib: 128 }]);
  const swap = { totalPages: swapMib * 256, freePages: swapMib * 256 };
  return {
    host: { ...built, swap },
    guests: sizesMib.map((mib, i) => planned(`g${i}`, mib, i % 2)),
    demand: {},
    seed: 1,
  };
}

describe('guests that every configuration loses', () => {
  test.each([
    ['nobody where all fit', plan([200, 200]), 0],
    ['one where one is too many', plan([200, 200, 200]), 1],
    ['the largest first, so that they are few', plan([300, 100, 100, 100]), 1],
    ['two where one does not spare enough', plan([200, 200, 200, 200]), 2],
    ['nobody where the rest goes to swap', plan([200, 200, 200], 128), 0],
  ])('are %s', (_, request, lost) => {
    expect(lostAtLeast(request)).toBe(lost);
  });

  test('may be running ones, whose memory is on lists already', () => {
    const beside = plan([200, 100]);
    expect(lostAtLeast(beside)).toBe(0);
    const own = host([{ mib: 256, anonMib: 250 }, { mib: 256 }]);
    const guests = [running('old', 250, 0, { 0: 250 }), ...beside.guests];
    expect(lostAtLeast({ ...beside, host: own, guests })).toBe(1);
  });

  test('are none where memory comes back or is plugged in', () => {
    const full = plan([200, 200, 200]);
    const events = [{ event: 'stop' as const, guest: 'g0' }];
    expect(lostAtLeast({ ...full, demand: { events } })).toBe(0);
    const hotplug = [{ action: 'online' as const, node: 0, startMib: 65536, mib: 128 }];
    expect(lostAtLeast({ ...full, demand: { hotplug } })).toBe(0);
    const later = [{ event: 'boot' as const, guest: 'g2' }];
    expect(lostAtLeast({ ...full, demand: { events: later } })).toBe(1);
  });

  test('are lost with every rival', () => {
    const request = plan([180, 170, 160, 150]);
    const least = lostAtLeast(request);
    expect(least).toBe(1);
    const lost = rivals(request).map(({ change }) => {
      const asked = withChange(request, change);
      return scoreOf(condense(asked, replay(compileReplay(asked).input))).kills;
    });
    expect(lost.length).toBeGreaterThan(6);
    expect(Math.min(...lost)).toBe(least);
  });
});
