import * as fc from 'fast-check';
import type { Machine, MachineOp, MachinePicture, MachinePolicy } from '../machine';
import { tapePicture } from '../tape';
import { productionMachine } from '../production-machine';
import { MUTATIONS, referenceMachine } from '../reference';
import { alloc, free, lab } from '../reference/lab';
import { fuzzCase } from './arbitrary';
import type { FuzzCase } from './arbitrary';
import { firstDifference, report, runMachines } from './compare';
import { Coverage } from './coverage';
import { newRun, runBoth } from './harness';
import { findMutants } from './mutants';

describe('the reference', () => {
  it('keeps every page in one place and every count true', () => {
    const coverage = new Coverage();
    fc.assert(
      fc.property(fuzzCase(60, 100), ({ config, ops }) => {
        const machine = referenceMachine(config);
        machine.verify();
        const found = runMachines(config, ops, machine, referenceMachine(config), (op, done) => {
          machine.verify();
          coverage.addOp(op, done);
        });
        expect(found).toBeNull();
        coverage.addMachine(config);
        coverage.addEvents(machine.events);
      }),
      { seed: 206, numRuns: 40, endOnFailure: true },
    );
    // A run that never came under pressure would prove little.
    expect(coverage.missing()).toEqual([]);
  });
});

describe('the simulator', () => {
  it('agrees with the reference after every operation', () => {
    const run = newRun();
    fc.assert(
      fc.property(fuzzCase(100, 150), (given) => {
        const found = runBoth(productionMachine, given, run);
        if (found !== null) {
          throw new Error(report(found, 'simulator', 'reference'));
        }
      }),
      { seed: 12, numRuns: 48, endOnFailure: true },
    );
    expect(run.coverage.missing()).toEqual([]);
  });
});

describe('planted errors', () => {
  /** Pages that are touched between two looks are activated; random operations seldom time it so. */
  function touchedTwice(): FuzzCase {
    const config = lab([2048], 20, { swappiness: 200 });
    config.swapPages = 1000;
    const reclaim: MachineOp = { op: 'reclaim', cpu: 0, policy: { mode: 'default', nodes: [] } };
    const touch: MachineOp = { op: 'touch', owner: 1, from: 0, count: 2048 };
    // What the first call wrote and did not free serves the next ones.
    const looks = Array.from({ length: 8 }, () => [reclaim, touch]).flat();
    return { config, ops: [alloc('anon', 1500), ...looks] };
  }

  /** Of two nodes at the same distance only a full third one shows which comes first. */
  function threeNodes(): FuzzCase {
    return { config: lab([700, 700, 700], 30), ops: [alloc('kernel', 1000)] };
  }

  /** Of a full pageblock exactly half is freed before another type needs it. */
  function halfABlock(): FuzzCase {
    const full = [alloc('anon', 4000), alloc('kernel', 90, { owner: 2 })];
    const half: MachineOp[] = [free(512, 256), { op: 'drain' }];
    return { config: lab([4096], 0), ops: [...full, ...half, alloc('kernel', 9, { owner: 3 })] };
  }

  /** An atomic block reserves a pageblock, which a failing request gets back. */
  function reserveAndFail(): FuzzCase {
    const atomic = alloc('atomic', 1, { order: 1, owner: 2 });
    return {
      config: lab([4096], 1024),
      ops: [alloc('kernel', 2816), atomic, alloc('kernel', 1280)],
    };
  }

  /** Of a full zone only blocks below order 4 of another type are free. */
  function smallBlocks(): FuzzCase {
    const freed: MachineOp[] = [free(16, 8), free(520, 4), { op: 'drain' }];
    const ops = [alloc('kernel', 4096), ...freed, alloc('anon', 1, { owner: 2 })];
    return { config: lab([4096], 0), ops };
  }

  const bindTo = (node: number): MachinePolicy => ({ mode: 'bind', nodes: [node] });

  /** Kernel memory bound to a node that has nothing but a Movable zone comes from another. */
  function boundToMovable(): FuzzCase {
    const config = lab([700, 700], 20);
    config.nodes[1]!.zones[0]!.index = 3;
    const bound = { policy: bindTo(1) };
    return { config, ops: [alloc('kernel', 3, bound)] };
  }

  /** An atomic request under a bind that finds its node full goes elsewhere. */
  function boundAndAtomic(): FuzzCase {
    const bound = { policy: bindTo(0) };
    const config = lab([700, 700], 20);
    return {
      config,
      ops: [alloc('kernel', 700, bound), alloc('atomic', 100, { owner: 2, ...bound })],
    };
  }

  /** Kernel memory that its cpuset's node has no more above its low mark. */
  function outOfCpuset(): FuzzCase {
    return { config: lab([700, 700], 20), ops: [alloc('kernel', 720, { mems: [1] })] };
  }

  /** A node full of page cache is reclaimed before the next one is asked. */
  function nodeOfCache(): FuzzCase {
    const sysctl = { zone_reclaim_mode: 1, min_unmapped_ratio: 0 };
    return { config: lab([2048, 2048], 40, sysctl), ops: [alloc('file', 2300)] };
  }

  /** Of both kinds of pages some are scanned; fewer than a batch of page cache are reclaimed before enough is. */
  function nodeOfBoth(): FuzzCase {
    const config = lab([4096, 4096], 40, { zone_reclaim_mode: 7, min_unmapped_ratio: 0 });
    config.swapPages = 4000;
    const activate: MachineOp = { op: 'access', owner: 1, from: 0, count: 750 };
    return { config, ops: [alloc('file', 1450), activate, alloc('anon', 2800, { owner: 2 })] };
  }

  /** While kswapd works off a boost, a block of 1024 pages is asked for. */
  function askedMeanwhile(): FuzzCase {
    const config = lab([3072], 20, { watermark_boost_factor: 40_000 });
    config.nodes[0]!.cpus.push(1);
    const stealing = [alloc('anon', 1), alloc('kernel', 1, { owner: 2, type: 2 })];
    const more = [alloc('atomic', 1, { owner: 3 }), alloc('kernel', 1, { owner: 4, order: 10 })];
    return { config, ops: [...stealing, ...more, { op: 'settle' }] };
  }

  const ANYONE: MachinePolicy = { mode: 'default', nodes: [] };
  const poolOf = (count: number): MachineOp => {
    return { op: 'hugepages', count, node: null, policy: ANYONE };
  };
  const task = { cpu: 0, policy: ANYONE, mems: null };

  /** A pool grows over both nodes; one task reserves all but a page, one has no reserve, and the pool shrinks. */
  function reservedPool(): FuzzCase {
    const reserved: MachineOp = { op: 'mapHuge', mapping: 0, ...task, pages: 3, reserve: true };
    const other: MachineOp = { op: 'mapHuge', mapping: 1, ...task, pages: 2, reserve: false };
    const touch: MachineOp = { op: 'touchHuge', mapping: 1, ...task, from: 0, count: 2 };
    return {
      config: lab([8192, 8192], 20),
      ops: [poolOf(4), reserved, other, touch, poolOf(0)],
    };
  }

  /** Pages in use of a pool that was shrunk leave it when their task ends. */
  function shrunkPool(): FuzzCase {
    const map: MachineOp = { op: 'mapHuge', mapping: 0, ...task, pages: 3, reserve: true };
    const touch: MachineOp = { op: 'touchHuge', mapping: 0, ...task, from: 0, count: 3 };
    const end: MachineOp = { op: 'unmapHuge', mapping: 0, cpu: 0 };
    return { config: lab([8192, 8192], 20), ops: [poolOf(4), map, touch, poolOf(0), end] };
  }

  const COMPACTION = { compactScanNs: 10, migrateNs: 1500, firstCompactCheckNs: 512_000_000 };

  /** Of a full zone pages here and there are free: large blocks are made by moving, by the task and by kcompactd. */
  function scatteredZone(): FuzzCase {
    const config = { ...lab([8192], 20), compaction: COMPACTION };
    const holes: MachineOp[] = [
      { op: 'scatter', owner: 1, cpu: 0, from: 0, count: 8000, seed: 7, percent: 50 },
      { op: 'drain' },
    ];
    const blocks = [9, 4, 5, 9, 6, 10].map((order, i) =>
      alloc('kernel', 2, { owner: 2 + i, order, type: 1 }),
    );
    return { config, ops: [alloc('anon', 8000), ...holes, ...blocks, { op: 'settle' }] };
  }

  /** The same of locked pages, which compaction leaves alone until the setting lets it. */
  function scatteredLocked(): FuzzCase {
    const { config, ops } = scatteredZone();
    config.sysctl.compact_unevictable_allowed = 0;
    const allow: MachineOp = { op: 'sysctl', name: 'compact_unevictable_allowed', value: 1 };
    const compact: MachineOp = { op: 'compact', cpu: 0, node: null };
    return { config, ops: [alloc('locked', 8000), ...ops.slice(1), compact, allow, compact] };
  }

  /** All that is free are blocks of half the order wanted: an index of 484, no matter for compaction. */
  function halfBlocks(): FuzzCase {
    const config = { ...lab([1024], 0), compaction: COMPACTION };
    const eights: MachineOp[] = [
      free(0, 1008, { every: 16, keep: 8 }),
      { op: 'drain' },
      alloc('kernel', 1, { owner: 2, order: 4, type: 1 }),
    ];
    return { config, ops: [alloc('anon', 1024), ...eights] };
  }

  /** A block of movable pages goes: they move to the other node. */
  function blockGoes(): FuzzCase {
    const config = { ...lab([4096, 4096], 20), compaction: COMPACTION };
    const offline: MachineOp = { op: 'offline', node: 0, block: 0, count: 1 };
    return { config, ops: [alloc('anon', 1000), offline] };
  }

  /** kcompactd holds free pages of the block that goes, while it looks through locked pages which it leaves alone. */
  function heldPages(): FuzzCase {
    const compaction = { ...COMPACTION, migrateNs: 100 };
    const settings = { compaction_proactiveness: 90, compact_unevictable_allowed: 0 };
    const config = { ...lab([8192, 8192], 20, settings), compaction };
    config.nodes[0]!.zones[0]!.index = 3;
    [config.nodes[0]!.cpus, config.nodes[1]!.cpus] = [[0, 1], [2]];
    const policy = bindTo(0);
    const few = (owner: number, from: number, count: number, every: number): MachineOp =>
      free(from, count, { owner, every, keep: 1 });
    const ops: MachineOp[] = [
      alloc('anon', 512, { policy }),
      alloc('locked', 5632, { owner: 2, policy }),
      alloc('anon', 1856, { owner: 3, policy }),
      ...[few(1, 0, 512, 16), few(3, 0, 1024, 2), few(3, 1024, 832, 256)],
      { op: 'drain' },
      // 8 us after it began.
      { op: 'idle', ns: 504_008_000 },
      { op: 'offline', node: 0, block: 7, count: 1 },
    ];
    return { config, ops };
  }

  /** A huge page above the pool's size moves to the other node. */
  function surplusMoves(): FuzzCase {
    const config = { ...lab([4096, 4096], 20), compaction: COMPACTION };
    const map: MachineOp = { op: 'mapHuge', mapping: 0, ...task, pages: 1, reserve: false };
    const touch: MachineOp = { op: 'touchHuge', mapping: 0, ...task, from: 0, count: 1 };
    const offline: MachineOp = { op: 'offline', node: 0, block: 0, count: 1 };
    return { config, ops: [{ op: 'overcommit', count: 1 }, map, touch, offline] };
  }

  /** The only memory of the second of four nodes comes and goes; its CPU asks the others. */
  function emptiedNode(): FuzzCase {
    const config = { ...lab([1024, 1024, 1024, 1024], 20), compaction: COMPACTION };
    config.nodes[1]!.zones = [];
    const block = { node: 1, block: 0, count: 1 };
    const online: MachineOp = { op: 'online', ...block, memmap: false };
    return { config, ops: [online, { op: 'offline', ...block }, alloc('kernel', 1, { cpu: 1 })] };
  }

  /** A node's score of 77 lies between the marks of a proactiveness of 30. */
  function betweenScores(): FuzzCase {
    const config = { ...lab([4096], 20), compaction: COMPACTION };
    config.sysctl.compaction_proactiveness = 30;
    const holes = [free(0, 512), free(512, 3488, { every: 2, keep: 1 })];
    const wait: MachineOp[] = [{ op: 'drain' }, { op: 'idle', ns: 600_000_000 }];
    return { config, ops: [alloc('anon', 4000), ...holes, ...wait] };
  }

  /** Random machines on which every shortage is first met by reclaim of the node. */
  function withNodeReclaim({ config, ops }: FuzzCase): FuzzCase {
    const sysctl = { ...config.sysctl, zone_reclaim_mode: 7, min_unmapped_ratio: 0 };
    return { config: { ...config, sysctl, swapPages: 4000 }, ops };
  }

  it('are all found', () => {
    const planned = [
      touchedTwice(),
      threeNodes(),
      halfABlock(),
      reserveAndFail(),
      smallBlocks(),
      boundToMovable(),
      boundAndAtomic(),
      outOfCpuset(),
      nodeOfCache(),
      nodeOfBoth(),
      askedMeanwhile(),
      reservedPool(),
      shrunkPool(),
      scatteredZone(),
      scatteredLocked(),
      halfBlocks(),
      blockGoes(),
      heldPages(),
      surplusMoves(),
      emptiedNode(),
      betweenScores(),
    ];
    const random = fc.sample(fuzzCase(40, 40), { seed: 42, numRuns: 24 });
    const found = findMutants([...planned, ...random, ...random.map(withNodeReclaim)]);
    const missed = MUTATIONS.filter((mutation) => !found.has(mutation));
    expect({ missed }).toEqual({ missed: [] });
  });
});

describe('the comparison', () => {
  const config = lab([4096], 20);
  const ops: MachineOp[] = [alloc('file', 100), alloc('kernel', 3, { order: 2 }), free(10, 50)];

  /** A machine whose pictures, and unless told otherwise tapes, are altered from its second operation on. */
  function altered(alter: (picture: MachinePicture) => void, trueTape = false): Machine {
    const machine = referenceMachine(config);
    let runs = 0;
    const picture = (): MachinePicture => {
      const made = machine.picture();
      if (runs >= 2) {
        alter(made);
      }
      return made;
    };
    return {
      run: (op) => {
        runs++;
        return machine.run(op);
      },
      picture,
      record: (tape) => (trueTape ? machine.record(tape) : tapePicture(picture(), tape)),
    };
  }

  it.each<[string, (picture: MachinePicture) => void]>([
    ['timeNs', (picture) => picture.timeNs++],
    ['vmstat.pgfree', (picture) => (picture.vmstat['pgfree'] = 1)],
    ['zones[0].pcps[0].freeFactor', (picture) => (picture.zones[0]!.pcps[0]!.freeFactor = 9)],
    ['zones[0].lists[10][1][0]', (picture) => picture.zones[0]!.lists[10]![1]!.reverse()],
    ['nodes[0].lru[2][99]', (picture) => picture.nodes[0]!.lru[2]!.pop()],
    ['nodes[0].kswapdNextNs', (picture) => (picture.nodes[0]!.kswapdNextNs = 5)],
    ['owners[0].frames[17]', (picture) => (picture.owners[0]!.frames[17] = -1)],
    ['flags[3][1]', (picture) => (picture.flags[3]![1] = 3)],
  ])('sees a picture that is wrong at %s', (path, alter) => {
    const found = runMachines(config, ops, altered(alter), referenceMachine(config));
    expect(found).toMatchObject({ path, operation: 1, ops: ops.slice(0, 2) });
  });

  it('sees another answer and a thrown error', () => {
    const machine = referenceMachine(config);
    const wrong: Machine = { ...machine, run: (op) => ({ done: machine.run(op).done + 1 }) };
    expect(runMachines(config, ops, wrong, referenceMachine(config))).toMatchObject({
      path: 'answer.done',
      left: 101,
      right: 100,
      operation: 0,
    });
    const broken: Machine = {
      ...referenceMachine(config),
      run: () => {
        throw new RangeError('no such CPU');
      },
    };
    const found = runMachines(config, ops, broken, referenceMachine(config));
    expect(found?.path).toBe('answer.error');
    expect(String(found?.left)).toContain('no such CPU');
  });

  it('sees a machine that has lost count', () => {
    const lost: Machine = {
      ...referenceMachine(config),
      verify: () => {
        throw new Error('pages add up to 4095, managed 4096');
      },
    };
    const found = runMachines(config, [], lost, referenceMachine(config));
    expect(found?.path).toBe('recount');
    expect(JSON.stringify(found?.left)).toContain('managed 4096');
  });

  it('leaves out owners without pages, whose order means nothing', () => {
    const withEmpty = altered((picture) => picture.owners.unshift({ owner: 9, frames: [] }));
    expect(runMachines(config, ops, withEmpty, referenceMachine(config))).toBeNull();
  });

  it('holds the tapes to the pictures in the end', () => {
    const machine = altered((picture) => picture.nodes[0]!.anonCost++, true);
    expect(runMachines(config, ops, machine, referenceMachine(config))).toMatchObject({
      path: 'nodes[0].anonCost',
      operation: ops.length - 1,
    });
  });

  it('writes a difference so that it can be pasted as a test', () => {
    const wrong = altered((picture) => picture.timeNs++);
    const found = runMachines(config, ops, wrong, referenceMachine(config));
    const lines = found === null ? [] : report(found, 'simulator', 'reference').split('\n');
    expect(lines[0]).toBe(
      'after operation 1: timeNs is 103001 in the simulator, 103000 in the reference',
    );
    expect(lines.slice(-3)).toEqual([
      `  ${JSON.stringify(ops[0])},`,
      `  ${JSON.stringify(ops[1])},`,
      '];',
    ]);
  });

  it('finds the first of several differences, and none where there is none', () => {
    expect(firstDifference({ a: [1, { b: 2 }], c: 3 }, { a: [1, { b: 4 }], c: 5 })).toEqual({
      path: 'a[1].b',
      left: 2,
      right: 4,
    });
    expect(firstDifference([1, 2], [1])).toEqual({ path: '[1]', left: 2, right: undefined });
    expect(firstDifference({ a: Infinity }, { a: Infinity })).toBeNull();
  });
});
