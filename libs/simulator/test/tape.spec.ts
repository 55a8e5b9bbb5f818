import * as fc from 'fast-check';
import { fuzzCase } from './fuzz/arbitrary';
import { runMachines } from './fuzz/compare';
import type { Machine, MachineOp, MachinePicture } from './machine';
import { productionMachine } from './production-machine';
import { referenceMachine } from './reference';
import { alloc, free, lab } from './reference/lab';
import { Tape, tapePicture } from './tape';

function tapeOf(picture: MachinePicture): Tape {
  const tape = new Tape();
  tapePicture(picture, tape);
  return tape;
}

function recorded(machine: Machine): Tape {
  const tape = new Tape();
  machine.record(tape);
  return tape;
}

/** Calls `alter` for every number and every word of a tree, with a function that changes it and one that undoes it. */
function eachLeaf(
  tree: unknown,
  path: string,
  alter: (path: string, change: () => void, undo: () => void) => void,
): void {
  if (typeof tree !== 'object' || tree === null) return;
  const fields = tree as Record<string, unknown>;
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'number' || typeof value === 'string') {
      const other = typeof value === 'number' ? (value === Infinity ? 0 : value + 1) : 'running';
      alter(
        `${path}.${key}`,
        () => (fields[key] = other),
        () => (fields[key] = value),
      );
    } else eachLeaf(value, `${path}.${key}`, alter);
  }
}

describe('a tape', () => {
  const ops: MachineOp[] = [
    alloc('kernel', 40, { owner: 3 }),
    alloc('anon', 20),
    { op: 'touch', owner: 1, from: 3, count: 4 },
    alloc('file', 90, { owner: 2 }),
    { op: 'access', owner: 2, from: 3, count: 4 },
    { op: 'access', owner: 2, from: 3, count: 2 },
    free(2, 3),
    { op: 'hugepages', count: 2, node: null, policy: { mode: 'default', nodes: [] } },
    {
      op: 'mapHuge',
      mapping: 7,
      ...{ cpu: 0, policy: { mode: 'default', nodes: [] }, mems: null },
      ...{ pages: 1, reserve: true },
    },
    {
      op: 'touchHuge',
      mapping: 7,
      ...{ cpu: 0, policy: { mode: 'default', nodes: [] }, mems: null },
      ...{ from: 0, count: 1 },
    },
  ];

  it('holds every number and every word of a picture', () => {
    const machine = referenceMachine(lab([600, 2048], 20));
    for (const op of ops) machine.run(op);
    const picture = machine.picture();
    expect(picture.hugetlb.nodes[1]).toMatchObject({ total: 2, free: [expect.any(Number)] });
    const tape = tapeOf(picture);
    const unseen: string[] = [];
    let leaves = 0;
    eachLeaf(picture, 'picture', (path, change, undo) => {
      leaves += 1;
      change();
      if (tapeOf(picture).equals(tape)) unseen.push(path);
      undo();
    });
    expect(unseen).toEqual([]);
    expect(leaves).toBeGreaterThan(300);
    expect(tapeOf(picture).equals(tape)).toBe(true);
  });

  it('tells lists apart that hold the same pages', () => {
    const machine = referenceMachine(lab([600], 20));
    machine.run(alloc('anon', 5));
    const picture = machine.picture();
    const tape = tapeOf(picture);
    const { lru } = picture.nodes[0]!;
    [lru[0], lru[1]] = [lru[1]!, lru[0]!];
    expect(tapeOf(picture).equals(tape)).toBe(false);
  });

  it('is written by both machines as from their pictures', () => {
    fc.assert(
      fc.property(fuzzCase(20, 30), ({ config, ops: planned }) => {
        const production = productionMachine(config);
        const reference = referenceMachine(config);
        const found = runMachines(config, planned, production, reference, (_, __, state) => {
          expect(tapeOf(production.picture()).equals(state)).toBe(true);
          expect(tapeOf(reference.picture()).equals(state)).toBe(true);
          expect(recorded(production).equals(state)).toBe(true);
        });
        expect(found).toBeNull();
      }),
      { seed: 11, numRuns: 10 },
    );
  });

  it('hashes its front alone where only that is asked for', () => {
    const [a, b] = [new Tape(), new Tape()];
    a.addAll([1, 2, 3]);
    b.addAll([1, 2, 4]);
    expect(a.hash(7, 2)).toBe(b.hash(7, 2));
    expect(a.hash(7)).not.toBe(b.hash(7));
    expect(a.hash(7)).not.toBe(a.hash(8));
  });

  it('counts counters by name, and those at 0 as absent', () => {
    const [a, b, c] = [new Tape(), new Tape(), new Tape()];
    a.addCounters([
      ['pgfree', 3],
      ['pgscan', 0],
    ]);
    b.addCounters([['pgfree', 3]]);
    c.addCounters([['pgscan', 3]]);
    expect(a.equals(b)).toBe(true);
    expect(a.equals(c)).toBe(false);
  });
});
