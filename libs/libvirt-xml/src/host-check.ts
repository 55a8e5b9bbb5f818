/** Checks of a domain's sets against the host that is to run it, as libvirt does at start. */
import { formatSet } from './bitmap';
import type { ProblemCode } from './codes';
import type { DomainView, HostPlacement, XmlProblem } from './types';

/** Every nodeset and CPU set of the view that the host cannot satisfy. */
export function checkHost(view: DomainView, host: HostPlacement): XmlProblem[] {
  const problems: XmlProblem[] = [];
  const refuse = (code: ProblemCode, path: string, message: string, detail: Detail): void => {
    const place = view.positions?.[path] ?? { line: 1, column: 1 };
    problems.push({ code, path, message, ...place, ...detail });
  };
  if (host.memoryNodes.length === 0) {
    const message = 'the host has no node with memory';
    refuse('unusable-host', '/', message, { expected: 'at least one node with memory' });
    return problems;
  }
  for (const { path, ids } of nodesets(view)) {
    const missing = ids.filter((id) => !host.memoryNodes.includes(id));
    if (missing.length === 0) continue;
    const known = host.nodes.some(({ nodeId }) => nodeId === missing[0]);
    const why = known ? 'has no memory' : 'does not exist on this host';
    refuse('unknown-host-node', path, `host node ${missing[0]} ${why}`, {
      expected: `nodes out of ${formatSet(host.memoryNodes)}`,
      found: formatSet(ids),
    });
  }
  const cpus = host.nodes.flatMap((node) => node.cpus);
  if (cpus.length > 0) checkCpus(view, new Set(cpus), refuse);
  return problems;
}

interface Detail {
  expected?: string;
  found?: string;
}

/** The kernel ignores CPUs that are not there, but a set without any that is there cannot be applied. */
function checkCpus(
  view: DomainView,
  hostCpus: Set<number>,
  refuse: (code: ProblemCode, path: string, message: string, detail: Detail) => void,
): void {
  for (const { path, ids } of cpusets(view)) {
    if (ids.some((id) => hostCpus.has(id))) continue;
    refuse('unknown-host-cpu', path, 'the host has none of these CPUs', {
      expected: `CPUs out of ${formatSet([...hostCpus])}`,
      found: formatSet(ids),
    });
  }
}

/** Paths as the reader remembered them: an index appears only where siblings share the name. */
function rooted(view: DomainView, path: string): string {
  const status = `/domstatus${path}`;
  return view.positions?.[status] === undefined ? path : status;
}

function indexed(view: DomainView, before: string, ordinal: number, after: string): string {
  const numbered = rooted(view, `${before}[${ordinal}]${after}`);
  return view.positions?.[numbered] === undefined ? rooted(view, `${before}${after}`) : numbered;
}

function nodesets(view: DomainView): { path: string; ids: number[] }[] {
  const found: { path: string; ids: number[] }[] = [];
  const { memory, memnodes } = view.numatune;
  if (memory?.nodeset) {
    found.push({
      path: indexed(view, '/domain/numatune/memory', 1, '/@nodeset'),
      ids: memory.nodeset,
    });
  }
  memnodes.forEach(({ nodeset }, index) => {
    const path = indexed(view, '/domain/numatune/memnode', index + 1, '/@nodeset');
    found.push({ path, ids: nodeset });
  });
  view.memoryDevices.forEach(({ nodemask }, index) => {
    if (nodemask === null) return;
    const path = indexed(view, '/domain/devices/memory', index + 1, '/source/nodemask');
    found.push({ path, ids: nodemask });
  });
  if (view.numadNodeset !== undefined) {
    found.push({ path: '/domstatus/numad/@nodeset', ids: view.numadNodeset });
  }
  return found;
}

function cpusets(view: DomainView): { path: string; ids: number[] }[] {
  const found: { path: string; ids: number[] }[] = [];
  const { cpuset } = view.vcpu;
  if (cpuset !== null) {
    found.push({ path: indexed(view, '/domain/vcpu', 1, '/@cpuset'), ids: cpuset });
  }
  view.cputune.vcpupin.forEach((pin, index) => {
    const path = indexed(view, '/domain/cputune/vcpupin', index + 1, '/@cpuset');
    found.push({ path, ids: pin.cpuset });
  });
  return found;
}
