import { join } from 'node:path';
import { answersOf, compare } from './answers';
import type { RecordedCase } from './case-file';
import { readCases, runCase } from './fidelity';

const FOLDER = join(__dirname, '../../../../test/fixtures/kernel');
/** Largest distance from the kernel's own range that a guest's pages on a node may have, in % of its size. */
const PLACEMENT_PERCENT = 5;

const cases = readCases(FOLDER);
const find = (id: string): RecordedCase => cases.find((recorded) => recorded.id.startsWith(id))!;

/** Pages of a guest on a node after the last step. */
function finalPages(id: string): (guest: string, node: number) => number {
  const run = runCase(find(id));
  const last = Math.max(...run.observables.map(({ step }) => step));
  return (guest, node) =>
    Number(
      run.observables.find((o) => o.step === last && o.key === `guest.${guest}.node${node}`)
        ?.simulated,
    );
}

describe('recorded kernel cases', () => {
  it('are all here', () => {
    expect(cases).toHaveLength(27);
  });

  it.each(cases.map((recorded) => [recorded.id, recorded] as const))(
    '%s: marks, kills and placement as in the kernel',
    (_, recorded) => {
      const run = runCase(recorded, true);
      const { layoutRight, killsRight, worstPlacementPercent, worst } = compare(
        answersOf(recorded)!,
        run.observables,
      );
      expect({ layoutRight, killsRight }).toEqual({ layoutRight: true, killsRight: true });
      expect({ within: worstPlacementPercent <= PLACEMENT_PERCENT, worst }).toEqual({
        within: true,
        worst,
      });
    },
  );

  it.each(cases.map((recorded) => [recorded.id, recorded] as const))(
    '%s: zonelists as the kernel printed them at boot',
    (_, recorded) => {
      const log = (recorded.boot as unknown as { log: string[] }).log;
      const printed = log.flatMap((line) => {
        const match = /Fallback order for Node (\d+): ([\d ]+)/.exec(line);
        return match ? [[`fallback.${match[1]}`, match[2]!.trim()]] : [];
      });
      const simulated = runCase(recorded)
        .observables.filter(({ key }) => key.startsWith('fallback.'))
        .map(({ key, simulated: order }) => [key, order]);
      expect(printed.length).toBeGreaterThan(0);
      expect(simulated).toEqual(printed);
    },
  );

  it('the example host: preferred guests end up remote, then local at the cost of the cache, then local by strict', () => {
    const zrm0 = finalPages('I05');
    expect(zrm0('web1', 0)).toBeGreaterThan(200_000);
    expect([zrm0('web2', 0), zrm0('job1', 0)]).toEqual([0, 0]);
    const zrm1 = finalPages('I06');
    expect([zrm1('web1', 0), zrm1('web2', 0), zrm1('job1', 0)]).toEqual([262144, 262144, 196608]);
    const strict = finalPages('I07');
    expect([strict('web1', 0), strict('web2', 0), strict('job1', 0)]).toEqual([
      262144, 262144, 196608,
    ]);
  });

  it('cache left on the example host: none to speak of under zone reclaim, a quarter million pages under strict', () => {
    const cacheLeft = (id: string): number => {
      const run = runCase(find(id));
      const last = run.observables.filter(({ key }) => key === 'node.0.nr_inactive_file').at(-1)!;
      return Number(last.simulated);
    };
    expect(cacheLeft('I06')).toBeGreaterThan(8_000);
    expect(cacheLeft('I06')).toBeLessThan(12_500);
    expect(cacheLeft('I07')).toBeGreaterThan(240_000);
    expect(cacheLeft('I07')).toBeLessThan(270_000);
  });

  it('a replay is the same every time', () => {
    const twice = [1, 2].map(() => JSON.stringify(runCase(find('I05')).observables));
    expect(twice[0]).toBe(twice[1]);
  });
});
