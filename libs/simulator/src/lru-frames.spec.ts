import fc from 'fast-check';
import { makeHost } from '../test/host';
import { PAGEBLOCK_PAGES } from './buddy';
import { buildKernel } from './kernel';
import { lruList, newRun, type Lru, type Run } from './lru';
import { LruFrames } from './lru-frames';
import { newMapping, type Mapping } from './page-map';
import type { Zone } from './zone';

/** More than a piece that is found by search has. */
const BLOCKS = 48;
const OFFSETS_MAX = BLOCKS * PAGEBLOCK_PAGES;

function emptyZone(): { zone: Zone; owner: Mapping } {
  const pages = BLOCKS * PAGEBLOCK_PAGES;
  const host = makeHost([{ cpus: 1, zones: [{ name: 'Normal', pages }] }], { usedShare: 1 });
  const k = buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
  return { zone: k.zones[0]!, owner: newMapping('anon', 'pages', 1, false) };
}

/** Frames that no page stands at, in stretches; taken from the front. */
class Room {
  private next: number;

  constructor(private readonly zone: Zone) {
    this.next = zone.buddy.firstFrame;
  }

  /** @returns the first of so many frames, or undefined where no more are left */
  take(pages: number, huge: boolean): number | undefined {
    const unit = huge ? PAGEBLOCK_PAGES : 1;
    const first = Math.ceil(this.next / unit) * unit;
    if (first + pages > this.zone.buddy.frames) return undefined;
    this.next = first + pages;
    return first;
  }
}

type Act =
  | { act: 'push'; pages: number; huge: boolean; down: boolean; active: boolean }
  | { act: 'pushOldest'; pages: number }
  | { act: 'cut'; run: number; from: number; pages: number }
  | { act: 'cutPicked'; run: number; every: number }
  | { act: 'take'; pages: number }
  | { act: 'back'; active: boolean }
  | { act: 'isolate'; frame: number; pages: number }
  | { act: 'hold' };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    act: fc.constant('push' as const),
    pages: fc.oneof(
      fc.integer({ min: 1, max: 1500 }),
      fc.constant(20 * PAGEBLOCK_PAGES),
      fc.constantFrom(1, 2, 3).map((blocks) => blocks * PAGEBLOCK_PAGES),
    ),
    huge: fc.boolean(),
    down: fc.boolean(),
    active: fc.boolean(),
  }),
  fc.record({ act: fc.constant('pushOldest' as const), pages: fc.integer({ min: 1, max: 700 }) }),
  fc.record({
    act: fc.constant('cut' as const),
    run: fc.nat(20),
    from: fc.nat(2000),
    pages: fc.integer({ min: 1, max: 600 }),
  }),
  fc.record({
    act: fc.constant('cutPicked' as const),
    run: fc.nat(20),
    every: fc.integer({ min: 2, max: 40 }),
  }),
  fc.record({ act: fc.constant('take' as const), pages: fc.integer({ min: 1, max: 64 }) }),
  fc.record({ act: fc.constant('back' as const), active: fc.boolean() }),
  fc.record({
    act: fc.constant('isolate' as const),
    frame: fc.nat(BLOCKS * PAGEBLOCK_PAGES),
    pages: fc.integer({ min: 1, max: 32 }),
  }),
  fc.record({ act: fc.constant('hold' as const) }),
);

/** One zone whose lists change as a property says. */
class Lists {
  readonly zone: Zone;
  private readonly owner: Mapping;
  private readonly room: Room;
  private offset = 0;
  private held: LruFrames | undefined;
  /** Off the lists, to be put back. */
  private readonly off: Run[] = [];

  constructor() {
    const { zone, owner } = emptyZone();
    this.zone = zone;
    this.owner = owner;
    this.room = new Room(zone);
  }

  do(one: Act): void {
    switch (one.act) {
      case 'push':
        return this.push(one.pages, one.huge, one.down, one.active);
      case 'pushOldest': {
        const run = this.made(one.pages, false, false);
        if (run) this.list(run, false).pushOldest(run);
        return;
      }
      case 'cut': {
        const run = this.run(one.run);
        if (!run?.list) return;
        const from = run.offset + one.from;
        this.keep(run.list.cut(run, from, from + one.pages));
        return;
      }
      case 'cutPicked': {
        const run = this.run(one.run);
        const picks = (offset: number): boolean => offset % one.every === 0;
        run?.list?.cutPicked(run, 0, OFFSETS_MAX, picks, (part) => this.keep(part));
        return;
      }
      case 'take':
        return this.keep(this.runs()[0]?.list?.take(one.pages));
      case 'back': {
        const run = this.off.shift();
        if (run) this.list(run, one.active).push(run);
        return;
      }
      case 'isolate':
        return this.isolate(one.frame, one.pages);
      case 'hold':
        if (this.held) this.held.release();
        this.held = this.held ? undefined : LruFrames.hold(this.zone);
    }
  }

  private push(pages: number, huge: boolean, down: boolean, active: boolean): void {
    const whole = huge ? Math.ceil(pages / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES : pages;
    const run = this.made(whole, huge, down);
    if (run) this.list(run, active).push(run);
  }

  /** As compaction takes pages off and puts them back. */
  private isolate(frame: number, pages: number): void {
    const lru = this.held;
    const at = Math.max(frame, this.zone.buddy.firstFrame);
    const run = lru?.at(at);
    if (!lru || !run || run.huge) return;
    const inBlock = PAGEBLOCK_PAGES - (at % PAGEBLOCK_PAGES);
    const { run: part, list } = lru.isolate(at, lru.together(at, Math.min(pages, inBlock)));
    if (part.pages === 1) lru.push(list, part);
    else this.keep(part);
  }

  private made(pages: number, huge: boolean, down: boolean): Run | undefined {
    const frame = this.room.take(pages, huge);
    if (frame === undefined) return undefined;
    const back = pages - (huge ? PAGEBLOCK_PAGES : 1);
    const { zone, owner, offset } = this;
    this.offset += pages;
    const step = down ? -1 : 1;
    return newRun({ owner, zone, pages, huge, step, frame: down ? frame + back : frame, offset });
  }

  private keep(part: Run | undefined): void {
    if (part) this.off.push(part);
  }

  private list(run: Run, active: boolean): Lru {
    return lruList(this.zone.node, run, active);
  }

  private run(number: number): Run | undefined {
    const runs = this.runs();
    return runs[number % Math.max(runs.length, 1)];
  }

  private runs(): Run[] {
    return this.zone.node.lists.flatMap((list) => list.runs());
  }
}

test('what is kept from one compaction to the next is what stands there, whatever others have done meanwhile', () => {
  let [kept, all] = [0, 0];
  fc.assert(
    fc.property(fc.array(act, { minLength: 5, maxLength: 60 }), (acts) => {
      const lists = new Lists();
      const { zone } = lists;
      LruFrames.hold(zone).release();
      for (const one of acts) {
        lists.do(one);
        all += 1;
        if (zone.lruFrames) kept += 1;
        expect(LruFrames.wrongFrame(zone)).toBeUndefined();
      }
    }),
    { numRuns: 200 },
  );
  // Not made anew every time.
  expect(kept / all).toBeGreaterThan(0.5);
});

test('every eighth frame is told as looking at each one tells it', () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 5, maxLength: 40 }), (acts) => {
      const lists = new Lists();
      acts.forEach((one) => lists.do(one));
      const { zone } = lists;
      const lru = LruFrames.hold(zone);
      for (let block = zone.buddy.firstFrame >>> 9; block < zone.buddy.frames >>> 9; block += 1) {
        const start = block * PAGEBLOCK_PAGES;
        const [from, end] = [start + (block % 7), start + PAGEBLOCK_PAGES - (block % 5)];
        lru.resume();
        const told = lru.standsAt(from, end, 8);
        let found = false;
        for (let frame = from; frame < end; frame += 8) found ||= lru.at(frame) !== undefined;
        expect([block, told]).toEqual([block, found]);
        // The same from what was loaded.
        expect(lru.standsAt(from, end, 8)).toBe(found);
      }
      lru.release();
    }),
    { numRuns: 60 },
  );
});

test('pages that nobody told of are found by the check', () => {
  const lists = new Lists();
  const { zone } = lists;
  lists.do({ act: 'push', pages: 100, huge: false, down: false, active: false });
  LruFrames.hold(zone).release();
  const deaf = zone.lruFrames;
  zone.lruFrames = undefined;
  lists.do({ act: 'push', pages: 700, huge: false, down: false, active: true });
  zone.lruFrames = deaf;
  expect(LruFrames.wrongFrame(zone)).toBe(zone.buddy.firstFrame + 100);
});

test('what has changed for the most part is not kept', () => {
  const lists = new Lists();
  const { zone } = lists;
  LruFrames.hold(zone).release();
  for (let i = 0; i < 3000 && zone.lruFrames; i += 1) {
    lists.do({ act: 'push', pages: 3, huge: false, down: i % 2 === 0, active: i % 3 === 0 });
  }
  expect(zone.lruFrames).toBeUndefined();
  const held = LruFrames.hold(zone);
  for (let i = 0; i < 3000; i += 1) {
    lists.do({ act: 'push', pages: 3, huge: false, down: i % 2 === 0, active: i % 3 === 0 });
  }
  // Somebody reads it.
  expect(zone.lruFrames).toBe(held);
  held.release();
  expect(zone.lruFrames).toBeUndefined();
});
