import { homeNodes } from '../placement';
import { forAll, type RivalRule } from './rule';

/** Every guest keeps its nodes and is bound to them: what a nodeset without a mode means. */
export const strictAtHome: RivalRule = {
  name: 'strict-at-home',
  title: 'strict on the nodes that each guest has today',
  source: 'libvirt, Domain XML format, "NUMA Node Tuning": mode defaults to strict',
  choose: (input) =>
    forAll(input, ({ spec }) => ({ mode: 'strict', nodeset: homeNodes(spec, input.host) })),
};
