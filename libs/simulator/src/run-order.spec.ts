import fc from 'fast-check';
import { frameAt, plainRun, type Run } from './lru-run';
import type { Mapping } from './page-map';
import { ascending } from './run-order';
import type { Zone } from './zone';

const ZONES = [{ index: 0 }, { index: 1 }] as unknown as Zone[];
const OWNER = {} as Mapping;

interface Shape {
  zone: number;
  offset: number;
  pages: number;
  stride: number;
  step: 1 | -1;
}
const shape: fc.Arbitrary<Shape> = fc.record({
  zone: fc.nat(1),
  offset: fc.nat(60),
  pages: fc.integer({ min: 1, max: 20 }),
  stride: fc.integer({ min: 1, max: 4 }),
  step: fc.constantFrom(1 as const, -1 as const),
});

/** Runs of which no two have an owner's page in common, by their first page. */
function partsOf(shapes: Shape[]): Run[] {
  const taken = new Set<number>();
  return shapes
    .flatMap(({ zone, offset, pages, stride, step }, i) => {
      const offsets = Array.from({ length: pages }, (_, page) => offset + page * stride);
      if (offsets.some((each) => taken.has(each))) return [];
      for (const each of offsets) taken.add(each);
      return [plainRun(OWNER, ZONES[zone]!, pages, 1000 * (i + 1), step, offset, stride)];
    })
    .sort((a, b) => a.offset - b.offset);
}

/** Each page as its offset, frame and zone. */
function pagesOf(runs: Iterable<Run>): [offset: number, frame: number, zone: Zone][] {
  return [...runs].flatMap((run) =>
    Array.from({ length: run.pages }, (_, i): [number, number, Zone] => [
      run.offset + i * run.stride,
      frameAt(run, i),
      run.zone,
    ]),
  );
}

test('parts that interlock are handed out page after page by offset, each zone gets its own in order', () => {
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 12 }), (shapes) => {
      const parts = partsOf(shapes);
      const found = pagesOf(ascending(parts, ({ zone }) => zone));
      const sorted = pagesOf(parts).sort(([a], [b]) => a - b);
      for (const zone of ZONES) {
        const own = (pages: typeof found): typeof found => pages.filter(([, , at]) => at === zone);
        expect(own(found)).toEqual(own(sorted));
      }
    }),
  );
});

test('a page between two of a long run costs two cuts, not a run for every page', () => {
  const long = plainRun(OWNER, ZONES[0]!, 1_000_000, 5000, 1, 0, 2);
  const between = plainRun(OWNER, ZONES[0]!, 1, 7, 1, 777, 1);
  const runs = [...ascending([long, between], ({ zone }) => zone)];
  expect(runs.map(({ offset, pages }) => [offset, pages])).toEqual([
    [0, 389],
    [777, 1],
    [778, 999_611],
  ]);
});

test('a run that goes down begins with its last page where it interlocks with others', () => {
  const down = plainRun(OWNER, ZONES[0]!, 4, 100, 1, 9, -2);
  const up = plainRun(OWNER, ZONES[0]!, 6, 7, 1, 0, 2);
  const runs = [...ascending([up, down], ({ zone }) => zone)];
  expect(pagesOf(runs).map(([offset]) => offset)).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(pagesOf(runs).filter(([offset]) => offset % 2 === 1)).toEqual([
    [3, 103, ZONES[0]],
    [5, 102, ZONES[0]],
    [7, 101, ZONES[0]],
    [9, 100, ZONES[0]],
  ]);
});
