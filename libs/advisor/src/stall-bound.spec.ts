import { replay } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { compileReplay } from './compile';
import { judgeOf, scoreOf, stallBudgetNs, stallLimitNs } from './objective';
import { condense } from './outcome';
import { NO_BOUND, gaveUp, replayLimits, stallToBeat } from './stall-bound';
import type { Outcome, SimulationRequest } from './types';

const one = host([{ mib: 1024 }]);
const judge = judgeOf(one);
const BUDGET_NS = stallBudgetNs(262144);
const guest = (over: Partial<Outcome['guests'][number]> = {}): Outcome['guests'][number] => ({
  ...{ name: 'a', state: 'planned', mode: 'none', nodeset: [], memoryPages: 262144 },
  ...{ pagesByNode: [], remoteShare: 0, remoteCost: 0, oomKilled: false, stallNs: 0, swapPages: 0 },
  ...over,
});
const outcome = (over: Partial<Outcome> = {}): Outcome => ({
  ...{ guests: [], nodes: [], oomKills: [], failedStarts: [], remoteShare: 0, remoteCost: 0 },
  ...{ headroomShare: 0.5, stallNs: 0, directReclaimedPages: 0, nodeReclaimedPages: 0 },
  ...{ kswapdReclaimedPages: 0, swappedOutPages: 0, cacheLostPages: 0, stateHash: '' },
  ...over,
});

test('waiting can only be beaten by less of it where nothing that counts more is left to gain', () => {
  const guests = [guest({ stallNs: BUDGET_NS + 3e9 })];
  const most = 3e9 + judge.tolerance['stall-excess'];
  expect(stallToBeat(outcome({ guests }), judge)).toEqual({ ...NO_BOUND, excessNs: most });
  expect(stallToBeat(outcome({ guests, remoteCost: 1 }), judge).excessNs).toBe(most);
  expect(stallToBeat(outcome({ guests, swappedOutPages: 1e5 }), judge)).toEqual(NO_BOUND);
  expect(stallToBeat(outcome({ guests: [guest({ oomKilled: true })] }), judge)).toEqual(NO_BOUND);
  const locality = judgeOf(one, { profile: 'locality' });
  expect(stallToBeat(outcome({ guests, remoteCost: 1 }), locality)).toEqual(NO_BOUND);
  expect(stallToBeat(outcome({ guests }), judgeOf(one, { profile: 'density' }))).toEqual(NO_BOUND);
  const latency = judgeOf(one, { profile: 'latency' });
  expect(stallToBeat(outcome({ stallNs: 2e9 }), latency).stallNs).toBe(2e9 + judge.tolerance.stall);
  const weighed = judgeOf(one, { weights: { stall: 1 } });
  expect(stallToBeat(outcome({ guests }), weighed)).toEqual(NO_BOUND);
});

describe('a bound', () => {
  // Node 0 is full of page cache that strict guests have to reclaim.
  const request: SimulationRequest = {
    host: host([{ mib: 512, cacheMib: 450 }, { mib: 512 }]),
    guests: [planned('a', 128, 0), planned('b', 192, 0)],
    numatune: {
      a: { mode: 'strict', nodeset: [0] },
      b: { mode: 'strict', nodeset: [0] },
    },
    // Node reclaim makes them wait for it.
    sysctl: { zone_reclaim_mode: 1 },
    demand: {},
    seed: 1,
  };
  const { input } = compileReplay(request);
  const whole = condense(request, replay({ ...input, ...replayLimits(request, NO_BOUND) }));

  test('is none where nothing was found yet: guests wait as long as anybody would', () => {
    expect(replayLimits(request, NO_BOUND)).toEqual({
      stallLimitNs: stallLimitNs((128 + 192) * 256),
    });
    expect(whole.stallNs).toBeGreaterThan(0);
  });

  test('of miniatures shrinks with them; budgets are those of their guests', () => {
    expect(replayLimits(request, { stallNs: 8e6, excessNs: 4e6 }, 4)).toEqual({
      stallLimitNs: 2e6,
      stallExcess: {
        limitNs: 1e6,
        budgetNs: { a: stallBudgetNs(128 * 256), b: stallBudgetNs(192 * 256) },
      },
    });
  });

  test('ends the replay of whoever waits longer beyond the budgets, and of nobody else', () => {
    // Budgets small enough that these guests exceed them: what is left of each guest's own waiting.
    const waited = Object.fromEntries(whole.guests.map(({ name, stallNs }) => [name, stallNs]));
    const budgetNs = { a: waited['a']! / 2, b: waited['b']! / 2 };
    const excess = budgetNs.a + budgetNs.b;
    const limited = (limitNs: number) => ({
      ...input,
      ...replayLimits(request, NO_BOUND),
      stallExcess: { budgetNs, limitNs },
    });
    const within = replay(limited(excess * (1 + 1e-9)));
    expect([condense(request, within), gaveUp(request, within)]).toEqual([whole, false]);
    const beyond = replay(limited(excess / 2));
    expect([beyond.steps.at(-1)?.status, gaveUp(request, beyond)]).toEqual(['stalled', true]);
    expect(scoreOf(condense(request, beyond)).kills).toBeGreaterThan(0);
    const last = beyond.steps.at(-1)?.snapshot.guests ?? [];
    const sofar = last.reduce(
      (sum, { name, stallNs }) =>
        sum + Math.max(0, stallNs - budgetNs[name as keyof typeof budgetNs]),
      0,
    );
    expect(sofar).toBeGreaterThan(excess / 2);
    expect(sofar).toBeLessThan(excess);
  });

  test('that is no time is refused', () => {
    const refused = (limitNs: number, ns: number) => () =>
      replay({ ...input, stallExcess: { limitNs, budgetNs: { a: ns } } });
    expect(refused(NaN, 1)).toThrow('stallExcess.limitNs');
    expect(refused(1, -1)).toThrow('stallExcess.budgetNs.a');
  });
});
