import { RECLAIM_DISTANCE } from './constants';
import { buildZonelists } from './zonelist';

const node = (nodeId: number, hasCpus = true, hasMemory = true) => ({ nodeId, hasCpus, hasMemory });
const orders = (nodes: ReturnType<typeof node>[], distances: number[][]) =>
  Object.fromEntries(buildZonelists(nodes, distances).map(({ nodeId, order }) => [nodeId, order]));

describe('zonelists (T8)', () => {
  const distances = [
    [10, 16, 32, 33],
    [16, 10, 25, 32],
    [32, 25, 10, 16],
    [33, 32, 16, 10],
  ];

  it('the four-node host of the seed: by distance', () => {
    expect(
      orders(
        [0, 1, 2, 3].map((id) => node(id)),
        distances,
      ),
    ).toEqual({
      0: [0, 1, 2, 3],
      1: [1, 0, 2, 3],
      2: [2, 3, 1, 0],
      3: [3, 2, 1, 0],
    });
  });

  it('its pairs at 32 and 33 exceed the reclaim distance', () => {
    const far = distances.flatMap((row, i) =>
      row.flatMap((distance, j) => (distance > RECLAIM_DISTANCE ? [`${i}-${j}`] : [])),
    );
    expect(far).toEqual(['0-2', '0-3', '1-3', '2-0', '3-0', '3-1']);
  });

  it('equidistant nodes are rotated', () => {
    const flat = [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) => (i === j ? 10 : 20)));
    expect(
      orders(
        [0, 1, 2, 3].map((id) => node(id)),
        flat,
      ),
    ).toEqual({
      0: [0, 1, 2, 3],
      1: [1, 2, 3, 0],
      2: [2, 3, 0, 1],
      3: [3, 0, 1, 2],
    });
  });

  it('a node without CPUs wins a tie', () => {
    const flat = [
      [10, 20, 20],
      [20, 10, 20],
      [20, 20, 10],
    ];
    expect(orders([node(0), node(1), node(2, false)], flat)[0]).toEqual([0, 2, 1]);
  });

  it('a node without memory heads only its own list', () => {
    expect(
      orders(
        [node(0), node(1, true, false)],
        [
          [10, 20],
          [20, 10],
        ],
      ),
    ).toEqual({
      0: [0],
      1: [1, 0],
    });
  });

  it('sparse node numbers stay node numbers', () => {
    expect(
      orders(
        [node(8), node(0)],
        [
          [10, 20],
          [20, 10],
        ],
      ),
    ).toEqual({ 0: [0, 8], 8: [8, 0] });
  });
});
