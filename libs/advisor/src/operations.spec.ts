import { replay } from '@zonewise/simulator';
import type { RegionSpec } from '@zonewise/simulator';
import { host, planned, region } from '../test/builders';
import { NO_CHANGE } from './change';
import { Evaluator } from './evaluator';
import { changeText, settingText } from './explain';
import { judgeOf } from './objective';
import { operationGroups } from './operations';
import type { AdviceRequest, GuestSpec, NumatuneValue, Operation } from './types';

const memnode = (cellid: number, node: number) => ({
  ...{ cellid, mode: 'strict' as const, nodeset: [node] },
});
const cells = (...nodes: number[]): NumatuneValue => ({
  ...{ mode: 'strict', nodeset: [0, 1] },
  memnodes: nodes.map((node, cellid) => memnode(cellid, node)),
});

/** A guest of two cells, pinned to node 0, with `<memory mode='strict' nodeset='0-1'/>` and these policies of its cells. */
const big = (...policies: Partial<RegionSpec>[]): GuestSpec => {
  const regions = policies.map((over, cell) =>
    region(64, 0, { cell, cpusetMems: [0, 1], ...over }),
  );
  const numatune = { mode: 'strict' as const, nodeset: [0, 1] };
  const spec = planned('big', 128, 0, { numatune });
  return { ...spec, guest: { ...spec.guest, regions } } as GuestSpec;
};
const bound = (node: number): Partial<RegionSpec> => ({ policy: { mode: 'bind', nodes: [node] } });

const numatuneOf = (
  spec: GuestSpec,
  setting: NumatuneValue,
  over: Partial<AdviceRequest> = {},
): Operation | undefined => {
  const machine = host([{ mib: 512 }, { mib: 512 }]);
  const request = { host: machine, guests: [spec], demand: {}, seed: 1, ...over };
  const evaluator = new Evaluator(request, replay, 1);
  const advised = evaluator.evaluate({ ...NO_CHANGE, numatune: { big: setting } });
  return operationGroups(evaluator, advised, judgeOf(machine))
    .flatMap(({ operations }) => operations)
    .find(({ path }) => path === '/domain/numatune');
};

test('a change of one cell is told by cell, before and after', () => {
  const operation = numatuneOf(big(bound(0), bound(0)), cells(0, 1));
  expect(operation?.previousValue).toEqual(cells(0, 0));
  expect(operation?.value).toEqual(cells(0, 1));
  expect(operation?.reason).toMatch(
    /^strict on node 0 \(cell 0\) and node 1 \(cell 1\) leaves 64 MiB of big's 128 MiB remote \(with strict on node 0 \(cells 0-1\): 0 MiB\)/,
  );
});

test('what is written for cells with nodes of their own is told, too', () => {
  const operation = numatuneOf(big(bound(0), bound(1)), { mode: 'preferred', nodeset: [0, 1] });
  expect(operation?.reason).toMatch(
    /^preferred on node 0 \(cell 0\) and node 1 \(cell 1\) leaves .* \(with strict on node 0 \(cell 0\) and node 1 \(cell 1\): /,
  );
});

test('cells of other modes than the whole, and cells without numatune, are told with theirs', () => {
  const other = { policy: { mode: 'preferred' as const, nodes: [1] } };
  const none = { policy: { mode: 'default' as const, nodes: [] } };
  const whole = { mode: 'interleave' as const, nodeset: [0, 1] };
  const before = (spec: GuestSpec) => numatuneOf(spec, whole)?.previousValue as NumatuneValue;
  expect(settingText(before(big(bound(0), other)))).toBe(
    'strict on node 0 (cell 0) and preferred on node 1 (cell 1)',
  );
  expect(settingText(before(big(bound(0), none)))).toBe(
    'strict on node 0 (cell 0) and no numatune (cell 1)',
  );
});

test('a setting that is the same for all cells has none', () => {
  const both = { policy: { mode: 'bind' as const, nodes: [0, 1] } };
  const setting = { mode: 'strict' as const, nodeset: [1] };
  expect(numatuneOf(big(both, both), setting)?.previousValue).toEqual({
    ...{ mode: 'strict', nodeset: [0, 1] },
  });
  // An override counts as today's setting.
  const numatune = { big: cells(1, 0) };
  const overridden = numatuneOf(big(both, both), setting, { numatune });
  expect(overridden?.previousValue).toEqual(cells(1, 0));
});

test('a change in words names the cells of numatune and of pins', () => {
  const pinning = {
    big: {
      nodes: [0, 1],
      cells: [
        { cellid: 0, nodes: [1] },
        { cellid: 1, nodes: [0] },
      ],
    },
  };
  expect(changeText({ ...NO_CHANGE, numatune: { big: cells(1, 0) }, pinning })).toBe(
    'big strict on node 1 (cell 0) and node 0 (cell 1), big pinned to node 1 (cell 0) and node 0 (cell 1)',
  );
});
