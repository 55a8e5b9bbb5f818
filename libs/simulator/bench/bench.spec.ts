import { productionMachine } from '../test/production-machine';
import { compactBench, comparePhases, comparePlan, hugetlbPool, type Result } from './benches';
import { main, table } from './main';
import { fillHoles, fillZone, freeEveryOther, freeZone, oneZone } from './machines';
import { largestFootprints, pictureHash } from './measure';

const ONCE = { production: 1, reference: 1 };

describe('the measurements of the core, small', () => {
  it('leave both machines alike after filling and emptying a zone', () => {
    const pages = 8192;
    const phases = [
      { name: 'fill', ops: fillZone(pages) },
      { name: 'holes', ops: freeEveryOther(pages) },
      { name: 'fill again', ops: fillHoles(pages) },
      { name: 'free', ops: freeZone(pages) },
    ];
    const results = comparePhases(oneZone(pages), phases, {}, ONCE);
    // 99 of 100 pages; half of them; 49 of 100; what every-other left.
    expect(results.map(({ params }) => params['pages'])).toEqual([8110, 4055, 4014, 4055]);
    for (const { stateHash, referenceHash } of results) expect(stateHash).toBe(referenceHash);
  });

  it('leave both machines alike after the plan', () => {
    const { stateHash, referenceHash, params } = comparePlan(0.25, ONCE);
    expect(stateHash).toBe(referenceHash);
    // Cache 60 %, guests some 38.5 %, a quarter of these freed and started again: more than the whole memory.
    expect(Number(params['pages'])).toBeGreaterThan(65_536);
  });

  it('leave both machines alike after a pool of huge pages grew, was used and given back', () => {
    const results = hugetlbPool(0.0625, ONCE).run();
    // 16,384 pages: a quarter on each node is cache; of 32 huge pages 24 are asked for, 16 mapped (answered with 1), touched, freed.
    expect(results[0]!.params['pages']).toBe(8192);
    expect(results.slice(2).map(({ params }) => params['pages'])).toEqual([17, 16]);
    for (const { stateHash, referenceHash } of results) expect(stateHash).toBe(referenceHash);
  });

  it('leave both machines alike after compacting a zone of which a random half is free', () => {
    const [{ params, stateHash, referenceHash }] = compactBench(1 / 32, ONCE).run() as [Result];
    expect(stateHash).toBe(referenceHash);
    // Of some 4,050 pages left of 8,110 those in the lower half move up.
    expect(params['pages']).toBeGreaterThan(1800);
    expect(params['pages']).toBeLessThan(2100);
  });

  it('tell states apart by their hash', () => {
    const [one, other] = [productionMachine(oneZone(4096)), productionMachine(oneZone(4096))];
    expect(pictureHash(one.picture())).toBe(pictureHash(other.picture()));
    one.run(fillZone(1024)[0]!);
    expect(pictureHash(one.picture())).not.toBe(pictureHash(other.picture()));
  });

  it('count a few scattered runs where every other page is free', () => {
    const pages = 8192;
    const machine = productionMachine(oneZone(pages));
    const full = largestFootprints(machine, fillZone(pages));
    const holes = largestFootprints(machine, freeEveryOther(pages));
    expect(full.largest.runs).toBeLessThan(10);
    expect(full.uniform).toEqual(full.largest);
    // The first page, then 8,109 places, 4,096 to a run, and a bit for each.
    expect(holes.largest.runs).toBe(3);
    expect(holes.largest.placesBytes).toBeGreaterThan(8110 / 8);
    expect(holes.largest.placesBytes).toBeLessThan(2 * (4096 / 8 + 300));
    // The second began with the full zone; nothing is uniform after the first page was freed.
    expect(holes.uniform).toEqual(full.largest);
    expect(largestFootprints(machine, fillHoles(pages)).uniform).toBeNull();
  });

  it('print a line for each measurement, with both hashes where they differ', () => {
    const result = {
      ...{ name: 'plan-1TiB', params: { pages: 1000 }, ms: 1, wallMs: 2, nsPerPage: 1000 },
      ...{
        referenceRatio: 2,
        referenceNsPerPage: 2000,
        bytesPerGib: 2048,
        uniformBytesPerGib: 1024,
      },
      ...{ freeListBytesPerGib: 512, footprints: null },
      ...{ stateHash: 'aa', referenceHash: 'bb' },
    };
    expect(table([result]).split('\n')[1]).toBe(
      '  plan-1TiB  1,000  1.00  1,000.000            2,000.0   2.00              1.0           2.0                 0.5  aa, reference bb',
    );
    expect(table([{ ...result, referenceHash: 'aa' }])).toContain('aa =');
  });

  it('refuse a group that does not exist', () => {
    const printed: string[] = [];
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
    try {
      expect(main(['--only', 'zones'])).toBe(2);
    } finally {
      write.mockRestore();
    }
    expect(printed.join('')).toContain("--only is 'zones'");
  });
});
