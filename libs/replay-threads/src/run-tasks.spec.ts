import { inPlace, preparePlan, type PlanDocument } from '@zonewise/plan';
import { replayThreads } from './run-tasks';

const numactl = (freeMib: number): string => `available: 2 nodes (0-1)
node 0 cpus: 0 1
node 0 size: 512 MB
node 0 free: ${freeMib} MB
node 1 cpus: 2 3
node 1 size: 512 MB
node 1 free: 480 MB
node distances:
node   0   1
  0:  10  21
  1:  21  10
`;

/** Nine hosts that differ, the last of which cannot be replayed. */
function plan(): PlanDocument {
  const names = Array.from({ length: 9 }, (_, i) => `kvm${i}`);
  return {
    hosts: names.map((name, i) => ({
      name,
      path: `/hosts/${i}`,
      host: { facts: { numactlHardware: numactl(400 + i), version: '6.1.0' } },
    })),
    guests: names.map((_, i) => ({ name: `g${i}`, flavour: 'small', path: `/guests/${i}` })),
    flavours: { small: { memoryMib: 64 } },
    assignments: Object.fromEntries(names.map((name, i) => [name, [`g${i}`]])),
  };
}

it('answers the same in threads as in one, in the order of the tasks', async () => {
  const prepared = inPlace(preparePlan(plan()));
  if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
  const { tasks } = prepared.value;
  expect(tasks).toHaveLength(9);
  const last = tasks[8]!;
  tasks[8] = { ...last, request: { ...last.request, hardwareProfile: 'none' } };
  const seen: number[] = [];
  const threads = replayThreads(2);
  const inThreads = await threads.run(tasks, (done) => seen.push(done));
  // The threads serve a second time.
  expect(await threads.run(tasks, () => undefined)).toEqual(inThreads);
  await threads.close();
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(inThreads).toEqual(await replayThreads(1).run(tasks, () => undefined));
  expect(inThreads.map(({ ok }) => ok)).toEqual([...Array<boolean>(8).fill(true), false]);
});
