import { forAll, type RivalRule } from './rule';

/**
 * No `<numatune>`: every page comes from where the touching vCPU runs, and the vCPUs run where the scheduler
 * puts them unless the document pins them.
 */
export const libvirtDefault: RivalRule = {
  name: 'libvirt-default',
  title: "libvirt's default: no numatune",
  source: 'libvirt, Domain XML format, "NUMA Node Tuning": the element is optional',
  choose: (input) => forAll(input, () => ({ mode: 'none', nodeset: [] })),
};
