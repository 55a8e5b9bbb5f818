/** Which CPUs a process runs on: a decree, but for what the scheduler does with the first process's children. */
import type { Cpu, GuestState, KernelState } from './kernel-state';

/** One region of a guest. */
export interface RegionTarget {
  guest: GuestState;
  index: number;
}

/**
 * One CPU per node that a region's threads run on; guests take a node's CPUs in turn. A process that the first
 * one starts, which runs on the first CPU, leaves it that CPU where its node has another.
 * @param turn guests that were there before
 * @kernel kernel/sched/fair.c find_idlest_cpu()
 */
export function cpusOf(
  k: KernelState,
  cpuNodes: number[],
  turn: number,
  forked: boolean,
): number[] {
  const positions = cpuNodes.flatMap((id) => {
    const own = k.cpus.filter((cpu) => cpu.node.id === id);
    const idle = own.filter(({ position }) => position > 0);
    const choice = forked && idle.length > 0 ? idle : own;
    return choice.length > 0 ? [choice[turn % choice.length]!.position] : [];
  });
  return positions.length > 0 ? positions : [0];
}

/**
 * Regions that touch memory at the same time: whose CPU is taken goes to one of its node that nobody uses, and stays there.
 * @returns the CPUs in use
 * @kernel kernel/sched/fair.c select_idle_sibling(), newidle_balance()
 */
export function spreadOverCpus(k: KernelState, targets: RegionTarget[]): number[] {
  const used = new Set<number>();
  const crowded: RegionTarget[] = [];
  for (const target of targets) {
    const cpu = firstCpu(target);
    if (used.has(cpu)) crowded.push(target);
    used.add(cpu);
  }
  for (const { guest, index } of crowded) {
    const positions = guest.cpuPositions[index]!;
    const idle = idleBeside(k, positions[0]!, used);
    if (idle === undefined) continue;
    guest.cpuPositions[index] = [idle.position, ...positions.slice(1)];
    used.add(idle.position);
  }
  return [...used];
}

function firstCpu({ guest, index }: RegionTarget): number {
  return guest.cpuPositions[index]![0]!;
}

function idleBeside(k: KernelState, position: number, used: ReadonlySet<number>): Cpu | undefined {
  const { node } = k.cpus[position]!;
  return k.cpus.find((cpu) => cpu.node === node && !used.has(cpu.position));
}
