import { replay } from '@zonewise/simulator';
import { host, planned, region, running } from '../test/builders';
import { advise } from './advise';
import { NO_CHANGE, withChange } from './change';
import { placedGuest } from './compile';
import { Evaluator } from './evaluator';
import { matchingPins, matchingPinsText, unheldGuests } from './matching-pins';
import { judgeOf } from './objective';
import { operationGroups } from './operations';
import type { AdviceRequest, Change, GuestSpec, NumatuneValue, Operation } from './types';
import { vcpuShares } from './vcpu-load';

const PIN = '/domain/vcpu/@cpuset';

/** A planned guest without numatune, of one or more cells, that nothing pins. */
const unpinned = (name: string, mib = 64, cells = [0]): GuestSpec => {
  const spec = planned(name, mib, 0, { numatune: { mode: 'none', nodeset: [] } });
  const regions = cells.map((cell) =>
    region(mib / cells.length, 0, {
      ...{ cell, cpuNodes: [0, 1], policy: { mode: 'default', nodes: [] }, policyScope: 'task' },
    }),
  );
  return { ...spec, cpusPinned: false, guest: { ...spec.guest, regions } } as GuestSpec;
};

const request = (guests: GuestSpec[], over: Partial<AdviceRequest> = {}): AdviceRequest => ({
  ...{ host: host([{ mib: 1024 }, { mib: 1024 }]), guests, demand: {}, seed: 1, ...over },
});

const numatune = (setting: NumatuneValue, rest: Partial<Change> = {}): Change => ({
  ...{ ...NO_CHANGE, numatune: { a: setting }, ...rest },
});

const pinsOf = (of: AdviceRequest, change: Change) => Object.fromEntries(matchingPins(of, change));

const operationsOf = (of: AdviceRequest, change: Change): Operation[] => {
  const evaluator = new Evaluator(of, replay, 1);
  const groups = operationGroups(evaluator, evaluator.evaluate(change), judgeOf(of.host));
  return groups.flatMap(({ operations }) => operations);
};

const ON_1 = { mode: 'preferred' as const, nodeset: [1] };

describe('matching pins', () => {
  const a = request([unpinned('a')]);

  test('go where the replay has the vCPUs: they make it true of a guest that may run everywhere', () => {
    for (const mode of ['strict', 'restrictive', 'preferred'] as const) {
      const change = numatune({ mode, nodeset: [1] });
      const pinning = pinsOf(a, change);
      expect(pinning).toEqual({ a: { nodes: [1] } });
      // The same guest with <vcpu cpuset='all CPUs'>: its vCPUs follow no numatune.
      const everywhere = request([{ ...unpinned('a'), cpusPinned: true }]);
      const outcomeOf = (of: AdviceRequest, one: Change) =>
        new Evaluator(of, replay, 1).evaluate(one).candidate.outcome;
      const advised = outcomeOf(a, change);
      expect(advised.remoteCost).toBe(0);
      expect(outcomeOf(everywhere, change).remoteCost).toBeCloseTo(0.55);
      expect(outcomeOf(everywhere, { ...change, pinning })).toEqual(advised);
    }
  });

  test('are operations beside the numatune, with what they are for', () => {
    const operations = operationsOf(a, numatune(ON_1));
    expect(operations.map(({ path }) => path)).toEqual(['/domain/numatune', PIN]);
    expect(operations[1]).toEqual({
      ...{ action: 'replace', resourceType: 'domain', resource: 'a', path: PIN },
      ...{ value: { nodes: [1] }, previousValue: null, requiresRestart: false },
      reason:
        "The replay takes a's vCPUs to run on node 1, where its numatune has its memory; " +
        'without a pin the scheduler may run them on any node.',
    });
    // No other change of its kind: nothing was replayed without the pin.
    const cached = operationsOf(a, numatune(ON_1, { diskCache: { a: 'none' } }));
    expect(cached.map(({ reason }) => reason).join()).not.toContain('of its kind');
  });

  test('are per cell where cells have nodes of their own', () => {
    const memnodes = [0, 1].map((cellid) => ({
      ...{ cellid, mode: 'strict' as const, nodeset: [1 - cellid] },
    }));
    const two = request([unpinned('a', 64, [0, 1])]);
    const change = numatune({ mode: 'strict', nodeset: [0, 1], memnodes });
    const cells = [
      { cellid: 0, nodes: [1] },
      { cellid: 1, nodes: [0] },
    ];
    expect(pinsOf(two, change)).toEqual({ a: { nodes: [0, 1], cells } });
    const pin = operationsOf(two, change).find(({ path }) => path === PIN);
    expect(pin?.reason).toContain('on node 1 (cell 0) and node 0 (cell 1), ');
  });

  test('leave memory devices with nodes of their own out', () => {
    const spec = { ...unpinned('a', 64, [0, 1]), ownNodesCells: [1] };
    expect(pinsOf(request([spec]), numatune(ON_1))).toEqual({ a: { nodes: [1] } });
  });

  test('are not given to whom the change or the document pins, who runs, or who may run everywhere', () => {
    const pinned = numatune(ON_1, { pinning: { a: { nodes: [0] } } });
    expect(pinsOf(a, pinned)).toEqual({});
    expect(operationsOf(a, pinned).filter(({ path }) => path === PIN)).toHaveLength(1);
    expect(pinsOf(request([planned('a', 64, 0)]), numatune(ON_1))).toEqual({});
    const runs = { ...running('a', 64, 0, { 0: 64 }), cpusPinned: false };
    expect(pinsOf(request([runs]), numatune(ON_1))).toEqual({});
    for (const setting of [
      { mode: 'interleave' as const, nodeset: [0, 1] },
      { mode: 'preferred' as const, nodeset: [0, 1] },
      { mode: 'strict' as const, nodeset: [0, 1] },
    ]) {
      expect(pinsOf(a, numatune(setting))).toEqual({});
      expect(unheldGuests(a, numatune(setting))).toEqual([]);
    }
  });

  test('name no forbidden node', () => {
    const options = { constraints: { forbiddenNodes: [1] } };
    const kept = request([unpinned('a')], { options });
    expect(pinsOf(kept, numatune(ON_1))).toEqual({});
    expect(unheldGuests(kept, numatune(ON_1))).toEqual(['a']);
  });

  test('are part of the advice, which says so', () => {
    const full = host([
      { mib: 512, anonMib: 440 },
      { mib: 512, anonMib: 40 },
    ]);
    const content = advise(request([unpinned('a', 128)], { host: full }));
    const operations = content.content.operationGroups.flatMap((group) => group.operations);
    expect(content.evidence.advised.numatune.a?.nodeset).toEqual([1]);
    expect(operations).toContainEqual(
      expect.objectContaining({ resource: 'a', path: PIN, value: { nodes: [1] } }),
    );
    expect(content.description).toContain(
      ' The vCPUs of a are pinned to the nodes of its numatune.',
    );
    expect(content.evidence.risks.map(({ code }) => code)).not.toContain('vcpus-not-pinned');
  });
});

test('a guest that stays, and that nothing holds where it is taken to run, is a risk', () => {
  const near: GuestSpec = {
    ...planned('near', 64, 0),
    ...{ cpusPinned: false, assumptions: [{ code: 'unpinned-near-memory', message: '' }] },
  };
  const of = request([near, planned('pinned', 64, 0), unpinned('everywhere')]);
  expect(unheldGuests(of, NO_CHANGE)).toEqual(['near']);
  const pinning = { near: { nodes: [0] } };
  expect(unheldGuests(of, { ...NO_CHANGE, pinning })).toEqual([]);
  // An override is today's setting.
  expect(unheldGuests({ ...of, numatune: { everywhere: ON_1 } }, NO_CHANGE)).toEqual([
    ...['near', 'everywhere'],
  ]);
  const content = advise(request([near]));
  expect(content.evidence.risks).toContainEqual({
    ...{ kind: 'mechanism', code: 'vcpus-not-pinned' },
    message:
      'Nothing pins the vCPUs of near: the replay takes them to run on the nodes of their memory, ' +
      'and the scheduler may run them on any node.',
  });
});

describe('a guest that pins some of its vCPUs only', () => {
  /** Three of its four vCPUs follow its numatune or run everywhere, and one is on node 0. */
  const partly = (over: Partial<GuestSpec> = {}): GuestSpec =>
    ({
      ...unpinned('a'),
      vcpus: 4,
      partlyPinned: {
        unpinnedVcpus: 3,
        cells: [
          { cell: 0, pinned: { vcpus: 1, nodes: [0] }, unpinned: { vcpus: 3, nodes: [0, 1] } },
        ],
      },
      ...over,
    }) as GuestSpec;

  test('gets pins for the others, where the replay has them', () => {
    const a = request([partly()]);
    const change = numatune({ mode: 'strict', nodeset: [1] });
    expect(pinsOf(a, change)).toEqual({ a: { nodes: [1] } });
    expect(matchingPinsText(a, change)).toBe(
      ' The vCPUs of a (3 of its 4 vCPUs) are pinned to the nodes of its numatune.',
    );
    expect(placedGuest(withChange(a, change), 'a').regions[0]?.cpuNodes).toEqual([0, 1]);
    const pinning = { a: { nodes: [1] } };
    expect(placedGuest(withChange(a, { ...NO_CHANGE, pinning }), 'a').regions[0]?.cpuNodes).toEqual(
      [0, 1],
    );
  });

  test('counts its pinned vCPUs where they stay', () => {
    const a = request([partly()]);
    const change = numatune({ mode: 'strict', nodeset: [1] });
    expect(vcpuShares(withChange(a, change), partly())).toEqual([1, 3]);
  });

  test('keeps the pins of a cell that has no other vCPUs', () => {
    const spec = {
      ...partly(),
      ...{ guest: unpinned('a', 64, [0, 1]).guest },
      partlyPinned: {
        unpinnedVcpus: 2,
        cells: [
          { cell: 0, pinned: { vcpus: 2, nodes: [0] }, unpinned: { vcpus: 0, nodes: [] } },
          { cell: 1, pinned: { vcpus: 0, nodes: [] }, unpinned: { vcpus: 2, nodes: [0, 1] } },
        ],
      },
    } as GuestSpec;
    const a = request([spec]);
    const change = numatune({ mode: 'strict', nodeset: [1] });
    const { regions } = placedGuest(withChange(a, change), 'a');
    expect(regions.map(({ cpuNodes }) => cpuNodes)).toEqual([[0], [1]]);
    expect(pinsOf(a, change)).toEqual({ a: { nodes: [1] } });
  });

  test('is a risk where the others are taken to run near its memory, which says how many they are', () => {
    const near = partly({ assumptions: [{ code: 'unpinned-near-memory', message: '' }] });
    near.partlyPinned!.cells[0]!.unpinned.nodes = [0];
    near.guest.regions[0]!.cpuNodes = [0];
    const of = request([near]);
    const risks = advise(of).evidence.risks;
    expect(risks.find(({ code }) => code === 'vcpus-not-pinned')?.message).toMatch(
      /^Nothing pins the vCPUs of a \(3 of its 4 vCPUs\): /,
    );
  });
});
