/** `<vcpu>`, `<vcpus>`, `<iothreads>`, `<cputune>`: how many threads there are and where they run. */
import type { XmlElement } from './tree';
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { DomainView } from './types';

const SCHEDULERS = ['batch', 'idle', 'fifo', 'rr'] as const;
const REAL_TIME = ['fifo', 'rr'];
/** Far above any machine type's limit; keeps hostile counts from becoming loops. */
const MAX_VCPUS = 65536;
/** QEMU_MAX_VCPUS_WITHOUT_EIM. */
const MAX_VCPUS_WITHOUT_EIM = 255;

/** Reads `<vcpu>` (virDomainVcpuParse): count 1 when absent, cpuset ignored with placement auto. */
export function readVcpu(reader: Reader, domain: XmlElement): DomainView['vcpu'] {
  const element = first(domain, 'vcpu');
  if (element === null) return { count: 1, current: 1, placement: 'static', cpuset: null };
  const count = reader.uintText(element, 1, MAX_VCPUS) ?? 1;
  const placement = reader.word(element, 'placement', ['static', 'auto'] as const) ?? 'static';
  const current = reader.uint(element, 'current', 1, MAX_VCPUS) ?? count;
  // Single vCPUs say themselves which of them are there at start.
  const listed = all(domain, 'vcpus', 'vcpu').length > 0;
  if (current > count && !listed) {
    const message = 'more vCPUs at start than the maximum';
    const detail = { expected: `at most ${count}`, found: `${current}` };
    reader.problem('current-vcpus-exceed-maximum', element, 'current', message, detail);
  }
  const cpuset = placement === 'auto' ? null : reader.set(element, 'cpuset');
  if (cpuset !== null) reader.remember(element, 'cpuset');
  return { count, current, placement, cpuset };
}

/** Reads `<vcpus>`; where it is given, it says how many vCPUs there are at start. */
export function readVcpus(
  reader: Reader,
  domain: XmlElement,
  vcpu: DomainView['vcpu'],
): DomainView['vcpus'] {
  const vcpus: DomainView['vcpus'] = [];
  for (const element of all(domain, 'vcpus', 'vcpu')) {
    const given = reader.required(element, 'id');
    const id = given === null ? null : reader.uint(element, 'id');
    const enabled = reader.required(element, 'enabled') && reader.yesNo(element, 'enabled');
    const hotpluggable = reader.yesNo(element, 'hotpluggable');
    const order = reader.uint(element, 'order');
    if (id === null) continue;
    if (id >= vcpu.count) {
      const message = `there is no vCPU ${id}`;
      const detail = { expected: `0 to ${vcpu.count - 1}`, found: `${id}` };
      reader.problem('unknown-vcpu', element, 'id', message, detail);
    }
    if (enabled === false && hotpluggable === false) {
      const message = `vCPU ${id} is offline and could never be plugged`;
      const detail = { expected: 'yes', found: 'no' };
      reader.problem('vcpu-not-hotpluggable', element, 'hotpluggable', message, detail);
    }
    vcpus.push({ id, enabled: enabled === true, hotpluggable, order });
  }
  if (vcpus.length > 0)
    vcpu.current = new Set(vcpus.filter((at) => at.enabled).map(({ id }) => id)).size;
  return vcpus;
}

/** What QEMU's machine demands of the counts (qemuValidateDomainVCpuTopology). */
export function checkVcpuCounts(
  reader: Reader,
  domain: XmlElement,
  vcpu: DomainView['vcpu'],
): void {
  const at = first(domain, 'vcpu') ?? domain;
  if (vcpu.current === 0) {
    const message = 'a guest has at least one vCPU at start';
    reader.problem('invalid-number', at, null, message, { expected: 'at least 1', found: '0' });
  }
  checkTopology(reader, domain, vcpu);
  const type = first(domain, 'os', 'type');
  const arch = type === null ? '' : (attributeOf(type, 'arch') ?? '');
  const machine = type === null ? '' : (attributeOf(type, 'machine') ?? '');
  if (!/^(x86_64|i686)$/.test(arch) || machine === '' || /^(pc-)?q35/.test(machine)) return;
  if (vcpu.count <= MAX_VCPUS_WITHOUT_EIM) return;
  const message = `more than ${MAX_VCPUS_WITHOUT_EIM} vCPUs need a machine of type q35`;
  reader.problem('too-many-vcpus', at, null, message, {
    expected: `at most ${MAX_VCPUS_WITHOUT_EIM}`,
    found: `${vcpu.count}`,
  });
}

function checkTopology(reader: Reader, domain: XmlElement, vcpu: DomainView['vcpu']): void {
  const topology = first(domain, 'cpu', 'topology');
  if (topology === null) return;
  const one = (name: string): number => reader.uint(topology, name, 1) ?? 1;
  for (const name of ['sockets', 'cores', 'threads']) reader.required(topology, name);
  const threads = one('threads');
  const product = one('sockets') * one('dies') * one('clusters') * one('cores') * threads;
  if (product !== vcpu.count) {
    const message = "the CPU topology doesn't match the maximum vCPU count";
    const detail = { expected: `${vcpu.count} vCPUs`, found: `${product}` };
    reader.problem('vcpu-topology-mismatch', topology, null, message, detail);
  }
  const type = first(domain, 'os', 'type');
  const machine = type === null ? '' : (attributeOf(type, 'machine') ?? '');
  const granularity = machine.startsWith('pseries') ? threads : 1;
  if (vcpu.current % granularity !== 0) {
    const at = first(domain, 'vcpu') ?? topology;
    const message = `vCPUs of a pseries machine come in groups of ${granularity} threads`;
    const detail = { expected: `a multiple of ${granularity}`, found: `${vcpu.current}` };
    reader.problem('vcpu-granularity', at, null, message, detail);
  }
}

/** Reads the pins of `<cputune>` and refuses what libvirt refuses about them. */
export function readCputune(
  reader: Reader,
  domain: XmlElement,
  vcpuCount: number,
  iothreads: ReadonlySet<number>,
): DomainView['cputune'] {
  const vcpupin: DomainView['cputune']['vcpupin'] = [];
  const pinnedVcpus = new Set<number>();
  for (const element of all(domain, 'cputune', 'vcpupin')) {
    const beyond = Number(attributeOf(element, 'vcpu') ?? NaN) >= vcpuCount;
    if (beyond && reader.uint(element, 'vcpu') !== null) {
      // libvirt looks at nothing else of such a pin.
      reader.warn('pin-of-missing-vcpu', element, 'vcpu', 'there is no such vCPU');
      continue;
    }
    const pin = readPin(reader, element, 'vcpu', pinnedVcpus);
    if (pin !== null) vcpupin.push({ vcpu: pin.id, cpuset: pin.cpuset });
  }
  const iothreadpin: DomainView['cputune']['iothreadpin'] = [];
  const pinnedIothreads = new Set<number>();
  for (const element of all(domain, 'cputune', 'iothreadpin')) {
    const pin = readPin(reader, element, 'iothread', pinnedIothreads);
    if (pin === null) continue;
    checkIothread(reader, element, 'iothread', pin.id, iothreads);
    iothreadpin.push({ iothread: pin.id, cpuset: pin.cpuset });
  }
  const emulatorpin = readEmulatorpin(reader, domain);
  checkSchedulers(reader, domain, vcpuCount, iothreads);
  return { vcpupin, emulatorpin, iothreadpin };
}

function readPin(
  reader: Reader,
  element: XmlElement,
  idName: 'vcpu' | 'iothread',
  seen: Set<number>,
): { id: number; cpuset: number[] } | null {
  const given = reader.required(element, idName);
  const id = given === null ? null : reader.uint(element, idName);
  const cpusetText = reader.required(element, 'cpuset');
  const cpuset = cpusetText === null ? null : reader.set(element, 'cpuset');
  if (cpuset !== null) reader.remember(element, 'cpuset');
  if (id !== null && seen.has(id)) {
    const message = `a second <${element.name}> for ${idName} ${id}`;
    reader.problem('duplicate-pin', element, idName, message);
  }
  if (id !== null) seen.add(id);
  return id === null || cpuset === null ? null : { id, cpuset };
}

function readEmulatorpin(reader: Reader, domain: XmlElement): number[] | null {
  const [element, ...extra] = all(domain, 'cputune', 'emulatorpin');
  extra.forEach((at) => {
    reader.problem('duplicate-pin', at, null, 'only one <emulatorpin> is allowed');
  });
  if (element === undefined || reader.required(element, 'cpuset') === null) return null;
  return reader.set(element, 'cpuset');
}

/** Ids of the I/O threads: those listed, then the lowest free ones up to `<iothreads>`. */
export function readIothreads(reader: Reader, domain: XmlElement): Set<number> {
  const element = first(domain, 'iothreads');
  const empty = element === null || element.text === '';
  const count = empty ? 0 : (reader.uintText(element, 0, MAX_VCPUS) ?? 0);
  const ids = new Set<number>();
  for (const listed of all(domain, 'iothreadids', 'iothread')) {
    const given = reader.required(listed, 'id');
    const id = given === null ? null : reader.uint(listed, 'id', 1);
    if (id === null) continue;
    if (ids.has(id)) {
      const message = `a second I/O thread ${id}`;
      reader.problem('duplicate-iothread', listed, 'id', message, { found: `${id}` });
    }
    ids.add(id);
  }
  for (let id = 1; ids.size < count; id += 1) ids.add(id);
  return ids;
}

function checkIothread(
  reader: Reader,
  element: XmlElement,
  attribute: string,
  id: number,
  known: ReadonlySet<number>,
): void {
  if (known.has(id)) return;
  const message = `there is no I/O thread ${id}`;
  const shown = [...known].slice(0, 16).join(', ');
  const expected = known.size === 0 ? 'no I/O threads are defined' : `one of ${shown}`;
  reader.problem('unknown-iothread', element, attribute, message, { expected, found: `${id}` });
}

function checkSchedulers(
  reader: Reader,
  domain: XmlElement,
  vcpuCount: number,
  iothreads: ReadonlySet<number>,
): void {
  checkScheduled(reader, all(domain, 'cputune', 'vcpusched'), 'vcpus', (element, id) => {
    if (id < vcpuCount) return;
    const message = `there is no vCPU ${id}`;
    const detail = { expected: `0 to ${vcpuCount - 1}`, found: `${id}` };
    reader.problem('unknown-vcpu', element, 'vcpus', message, detail);
  });
  checkScheduled(reader, all(domain, 'cputune', 'iothreadsched'), 'iothreads', (element, id) => {
    checkIothread(reader, element, 'iothreads', id, iothreads);
  });
  const [emulator, ...extra] = all(domain, 'cputune', 'emulatorsched');
  if (emulator !== undefined) readScheduler(reader, emulator);
  for (const at of extra) {
    reader.problem('overlapping-scheduler', at, null, 'only one <emulatorsched> is allowed');
  }
}

/** Policy and priority (virDomainSchedulerParseCommonAttrs). */
function readScheduler(reader: Reader, element: XmlElement): void {
  const policy = reader.required(element, 'scheduler');
  if (policy !== null) reader.word(element, 'scheduler', SCHEDULERS);
  if (!REAL_TIME.includes(policy ?? '')) return;
  const priority = reader.required(element, 'priority');
  if (priority === null || /^\s*[-+]?[0-9]{1,9}$/.test(priority)) return;
  const message = 'the priority of a scheduler is a number';
  reader.problem('invalid-number', element, 'priority', message, { found: priority });
}

function checkScheduled(
  reader: Reader,
  elements: XmlElement[],
  attribute: string,
  checkId: (element: XmlElement, id: number) => void,
): void {
  const taken = new Set<number>();
  for (const element of elements) {
    readScheduler(reader, element);
    const given = reader.required(element, attribute);
    const ids = given === null ? [] : (reader.set(element, attribute) ?? []);
    for (const id of ids) checkId(element, id);
    const twice = ids.find((id) => taken.has(id));
    if (twice !== undefined) {
      const message = `${attribute} of <${element.name}> must not overlap: ${twice} has a scheduler already`;
      reader.problem('overlapping-scheduler', element, attribute, message);
    }
    ids.forEach((id) => taken.add(id));
  }
}
