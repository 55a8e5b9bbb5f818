/**
 * Every code that the library can answer, in closed lists; errors.md explains each (tested to be equal).
 */
export const PROBLEM_CODES = [
  // the document itself
  'document-too-large',
  'nesting-too-deep',
  'too-many-elements',
  'too-many-attributes',
  'too-many-problems',
  'xml-doctype',
  'xml-entity',
  'xml-multiple-roots',
  'xml-syntax',
  'wrong-root',
  'missing-domain',
  // values
  'missing-attribute',
  'missing-element',
  'invalid-number',
  'invalid-value',
  'invalid-size',
  'unknown-unit',
  'size-overflow',
  'invalid-set',
  'empty-set',
  // domain
  'unknown-domain-type',
  'invalid-name',
  'invalid-uuid',
  'missing-memory',
  'max-memory-too-small',
  'slots-without-max-memory',
  'memory-hotplug-without-cells',
  'memory-devices-exceed-memory',
  // vCPUs
  'current-vcpus-exceed-maximum',
  'vcpu-topology-mismatch',
  'vcpu-granularity',
  'duplicate-pin',
  'unknown-iothread',
  'overlapping-scheduler',
  // guest cells
  'duplicate-cell',
  'cell-id-gap',
  'cell-cpu-overlap',
  'cell-cpu-beyond-vcpus',
  'unknown-cell',
  'invalid-distance',
  'duplicate-cell-cache',
  'initiator-without-cpus',
  // memory backing
  'hugepages-without-size',
  'hugepages-two-defaults',
  'hugepages-overlap',
  'hugepages-unknown-cell',
  'hugepages-conflict',
  // numatune
  'multiple-numatune',
  'unknown-numatune-mode',
  'unknown-numatune-placement',
  'missing-nodeset',
  'memnode-without-cells',
  'memnode-with-auto-placement',
  'duplicate-memnode',
  'restrictive-mismatch',
  // devices
  'unknown-memory-model',
  'unknown-cache-mode',
  'pci-root-with-node',
  // placement on a host
  'unknown-host-node',
  'unknown-host-cpu',
  'not-a-qemu-domain',
  'unusable-host',
  // capabilities
  'duplicate-node',
  'duplicate-distance',
  // editing
  'invalid-change',
  'change-not-applicable',
] as const;
export type ProblemCode = (typeof PROBLEM_CODES)[number];

export const WARNING_CODES = [
  'memory-sum-mismatch',
  'cell-cpus-filled',
  'current-memory-above-total',
  'ignored-memory-element',
  'ignored-nodeset',
  'implicit-auto-placement',
  'preferred-many-nodes',
  'restrictive-memnode-alone',
  'pin-of-missing-vcpu',
  'not-a-qemu-domain-type',
] as const;
export type WarningCode = (typeof WARNING_CODES)[number];

export const ASSUMPTION_CODES = [
  'memory-backend-policy',
  'cpuset-mems',
  'numad-advice-unknown',
  'numad-advice-recorded',
  'default-policy',
  'strict-affinity',
  'unpinned-near-memory',
  'unpinned-everywhere',
  'pinned-cpus-missing',
  'host-cpus-unknown',
  'thp-madvised',
  'shmem-without-thp',
  'file-backed-ram',
  'hugepages-pool',
  'memory-pinned',
  'balloon-counted-in-full',
  'memory-device-region',
  'memory-device-not-counted',
  'qemu-overhead',
  'disk-cache-share',
  'disk-cache-bypassed',
] as const;
export type AssumptionCode = (typeof ASSUMPTION_CODES)[number];
