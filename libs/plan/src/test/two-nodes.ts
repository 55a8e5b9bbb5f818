/** Two nodes of 512 MiB and two CPUs each, as `numactl -H` prints them; 480 MiB of each free. */
const NUMACTL = `available: 2 nodes (0-1)
node 0 cpus: 0 1
node 0 size: 512 MB
node 0 free: 480 MB
node 1 cpus: 2 3
node 1 size: 512 MB
node 1 free: 480 MB
node distances:
node   0   1
  0:  10  21
  1:  21  10
`;

/** A small host of two nodes, as a plan describes one. */
export const twoNodes = (version = '6.1.0') => ({ facts: { numactlHardware: NUMACTL, version } });
