import { productionMachine } from '../test/production-machine';
import { alloc, lab } from '../test/reference/lab';
import type { MachineConfig } from '../test/machine';
import { allocZones, policyNodemask } from './alloc-zones';
import { ZONE_DMA32, ZONE_MOVABLE, ZONE_NORMAL } from './constants';
import { allocContext, type AllocContext } from './page-alloc';
import type { MemoryPolicy } from './types';

/** Three nodes of 700 pages; the last has nothing but a Movable zone. */
function machine(): { config: MachineConfig; k: ReturnType<typeof productionMachine>['k'] } {
  const config = lab([700, 700, 700], 30);
  config.nodes[2]!.zones[0]!.index = 3;
  return { config, k: productionMachine(config).k };
}

const bindTo = (...nodes: number[]): MemoryPolicy => ({ mode: 'bind', nodes });

describe('policyNodemask()', () => {
  const { k } = machine();

  it('binds requests from the highest ordinary zone up', () => {
    expect(policyNodemask(k, bindTo(1), undefined, ZONE_MOVABLE)).toEqual(new Set([1]));
    expect(policyNodemask(k, bindTo(1), undefined, ZONE_NORMAL)).toEqual(new Set([1]));
    expect(policyNodemask(k, bindTo(1), undefined, ZONE_DMA32)).toBeNull();
  });

  it('binds only movable requests to nodes with nothing but Movable', () => {
    expect(policyNodemask(k, bindTo(2), undefined, ZONE_MOVABLE)).toEqual(new Set([2]));
    expect(policyNodemask(k, bindTo(2), undefined, ZONE_NORMAL)).toBeNull();
    expect(policyNodemask(k, bindTo(1, 2), undefined, ZONE_NORMAL)).toEqual(new Set([1, 2]));
  });

  it('takes a bind outside of the cpuset for none', () => {
    expect(policyNodemask(k, bindTo(1), [0], ZONE_MOVABLE)).toBeNull();
    expect(policyNodemask(k, bindTo(0, 1), [0], ZONE_MOVABLE)).toEqual(new Set([0, 1]));
  });
});

describe('allocZones()', () => {
  const { k } = machine();

  /** Node numbers of a request from CPU 0. */
  function nodes(values: Partial<AllocContext>): Record<string, number | number[] | undefined> {
    const ac = allocContext({ cpu: 0, preferred: k.nodes[0]!, ...values });
    const { allowed, preferred, named, slow } = allocZones(k, ac);
    const ids = (zones: typeof named): number[] => zones.map((zone) => zone.node.id);
    return {
      allowed: ids(allowed),
      preferred: preferred?.node.id,
      named: ids(named),
      slow: ids(slow),
    };
  }

  it('keeps user memory within the cpuset, which is its mask in the fast path', () => {
    expect(nodes({ cpusetMems: new Set([1]) })).toEqual({
      allowed: [1],
      preferred: 1,
      named: [0, 1, 2],
      slow: [1],
    });
  });

  it('goes by the first node of the policy where there is one, allowed or not', () => {
    expect(nodes({ cpusetMems: new Set([1]), nodemask: new Set([0, 1]) })).toEqual({
      allowed: [1],
      preferred: 0,
      named: [0, 1],
      slow: [1],
    });
  });

  it('lets kernel memory leave the cpuset, not its class', () => {
    const kernel = { hardwall: false, classIndex: ZONE_NORMAL };
    expect(nodes({ cpusetMems: new Set([1]), ...kernel })).toEqual({
      allowed: [1],
      preferred: 1,
      named: [0, 1],
      slow: [0, 1],
    });
  });
});

describe('a task on node 0 in a cpuset of node 1', () => {
  const { config } = machine();
  const mems = [1];

  /** Free pages of each zone, and hit, miss, foreign of nodes 0 and 1. */
  function after(kind: 'kernel' | 'anon', count: number): { free: number[]; numa: number[][] } {
    const production = productionMachine(config);
    production.run(alloc(kind, count, { mems, owner: kind === 'anon' ? 1 : 2 }));
    const { zones, nodes } = production.picture();
    const numa = nodes.slice(0, 2).map(({ numastat }) => numastat.slice(0, 3));
    return { free: zones.map(({ free }) => free), numa };
  }

  // min 10, low 12 of 700 pages: the fast path serves 688.
  it('gets kernel memory from its CPU’s node where the fast path fails', () => {
    expect(after('kernel', 700)).toEqual({
      free: [688, 12, 700],
      numa: [
        [12, 0, 0],
        [688, 0, 0],
      ],
    });
  });

  it('stays with user memory, which the slow path counts as missed on its CPU’s node', () => {
    expect(after('anon', 700)).toEqual({
      free: [700, 10, 700],
      numa: [
        [0, 0, 2],
        [688, 2, 0],
      ],
    });
  });
});
