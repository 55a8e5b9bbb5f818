/** The files that apply a recommendation and take it back, made from its content and the documents. Pure. */
import { NUMATUNE_PATH, PIN_PATH, rollbackSysctlFile, sysctlFile } from '@zonewise/advisor';
import type {
  BackingValue,
  DiskCacheMode,
  NumatuneValue,
  PinningValue,
  RecommendationContent,
} from '@zonewise/advisor';
import { parseDomain, patchDomain, unifiedDiff, unpinnedVcpus } from '@zonewise/libvirt-xml';
import type { DomainChange, NumatuneChange } from '@zonewise/libvirt-xml';
import type { HostModel } from '@zonewise/simulator';
import {
  changesSysctl,
  domainOperations,
  SYSCTL_FILE,
  SYSCTL_ROLLBACK_FILE,
  sysfsOperations,
  TMPFILES_FILE,
  type AdviceFile,
} from './advice-operations';
import { adviceScripts, cpusOf } from './advice-scripts';

/** A domain document as it was when advice was asked for; advice is written into a copy of it. */
export interface DomainDocument {
  name: string;
  xml: string;
}

/** A document could not be changed as advised; a defect of ours, since it was read before. */
export class AdviceFileError extends Error {}

/** What the operations on a domain change in its document. */
function domainChange(
  content: RecommendationContent,
  { name, xml }: DomainDocument,
  host: HostModel,
): DomainChange {
  const change: DomainChange = {};
  for (const { path, value } of domainOperations(content, name)) {
    if (path === NUMATUNE_PATH) change.numatune = numatuneChange(value as NumatuneValue);
    else if (path === PIN_PATH) {
      Object.assign(change, pinningChange(value as PinningValue, xml, host));
    } else if (path === '/domain/memoryBacking') {
      change.memoryBacking = { hugepages: hugepages(value as BackingValue) };
    } else if (path === '/domain/devices/disk/driver/@cache') {
      change.disks = cachedDisks(xml).map((target) => ({ target, cache: value as DiskCacheMode }));
    } else throw new AdviceFileError(`Nobody knows how to write ${path} into ${name}.`);
  }
  return change;
}

/**
 * The CPU set of all vCPUs, and pins where that set does not decide: a vCPU or an emulator that is pinned elsewhere today
 * follows, and so do vCPUs of cells with nodes of their own. Pins to CPUs that the advice allows stay as they are, and so do
 * those of a domain that pins some of its vCPUs only: the others have the CPU set. Those of I/O threads stay, which decide
 * about no memory.
 */
function pinningChange(
  { nodes, cells = [] }: PinningValue,
  xml: string,
  host: HostModel,
): Pick<DomainChange, 'vcpu' | 'cputune'> {
  const cpuset = cpusOf(host, [...nodes, ...cells.flatMap((cell) => cell.nodes)]);
  const parsed = parseDomain(xml);
  if (!parsed.ok) return { vcpu: { cpuset } };
  const { vcpu, cputune, cells: guestCells } = parsed.value;
  const keepsPins = unpinnedVcpus(parsed.value).length > 0;
  const isIn = (pin: number[], allowed: number[]): boolean =>
    pin.every((cpu) => allowed.includes(cpu));
  const vcpupin = Array.from({ length: vcpu.count }, (_, id) => id).flatMap((id) => {
    const cell = cells.find(({ cellid }) =>
      guestCells.some((one) => one.id === cellid && one.cpus.includes(id)),
    );
    const wanted = cell === undefined ? cpuset : cpusOf(host, cell.nodes);
    const own = cputune.vcpupin.find((one) => one.vcpu === id)?.cpuset;
    const stays = (own !== undefined && keepsPins) || isIn(own ?? cpuset, wanted);
    return stays ? [] : [{ vcpu: id, cpuset: wanted }];
  });
  const follows = cputune.emulatorpin !== null && !isIn(cputune.emulatorpin, cpuset);
  const change = {
    ...(vcpupin.length > 0 && { vcpupin }),
    ...(follows && { emulatorpin: cpuset }),
  };
  return { vcpu: { cpuset }, ...(Object.keys(change).length > 0 && { cputune: change }) };
}

/**
 * Without `memnodes` the replay gave every cell the domain's own setting: a <memnode> left in the document would
 * place its cell elsewhere.
 */
function numatuneChange({ mode, nodeset, memnodes = [] }: NumatuneValue): NumatuneChange {
  if (mode === 'none') return { memory: null, memnodes: [] };
  const cells = memnodes.flatMap((memnode) =>
    memnode.mode === 'none' ? [] : [{ ...memnode, mode: memnode.mode }],
  );
  return { memory: { mode, nodeset }, memnodes: cells };
}

/** QEMU asks for transparent huge pages by itself: only pools stand in a document. */
function hugepages(backing: BackingValue): { sizeKib: number; nodeset: null }[] | null {
  return typeof backing === 'number' ? [{ sizeKib: backing, nodeset: null }] : null;
}

/** Disks that go through the host's page cache today. */
function cachedDisks(xml: string): string[] {
  const parsed = parseDomain(xml);
  if (!parsed.ok) return [];
  return parsed.value.disks
    .filter(({ usesHostPageCache }) => usesHostPageCache)
    .map(({ target }) => target);
}

function domainFiles(document: DomainDocument, change: DomainChange): AdviceFile[] {
  const { name, xml } = document;
  const patched = patchDomain(xml, change);
  if (!patched.ok) {
    const reasons = patched.problems.map((problem) => problem.message).join('; ');
    throw new AdviceFileError(`The advice cannot be written into ${name}: ${reasons}`);
  }
  const common = { domain: name };
  return [
    {
      ...common,
      name: `${name}.xml`,
      mediaType: 'application/xml',
      purpose: 'apply',
      text: patched.value.xml,
    },
    {
      ...common,
      name: `${name}.diff`,
      mediaType: 'text/x-diff',
      purpose: 'diff',
      text: unifiedDiff(`${name}.xml`, xml, patched.value.xml),
    },
    {
      ...common,
      name: `${name}.rollback.xml`,
      mediaType: 'application/xml',
      purpose: 'rollback',
      text: xml,
    },
  ];
}

/** Two files of one name (domains `a` and `a.rollback`) are told apart by a number. */
function distinct(files: AdviceFile[]): AdviceFile[] {
  const taken = new Set<string>();
  return files.map((file) => {
    let name = file.name;
    for (let n = 2; taken.has(name); n += 1) name = file.name.replace(/(\.[a-z]+)$/, `~${n}$1`);
    taken.add(name);
    return { ...file, name };
  });
}

/** For /etc/tmpfiles.d: systemd-tmpfiles writes the files below /sys again at every boot. */
function tmpfilesFile(content: RecommendationContent): string {
  const lines = sysfsOperations(content).flatMap(({ path, value, reason }) => [
    `# ${reason.replace(/\s+/g, ' ')}`,
    `w ${path} - - - - ${String(value)}`,
  ]);
  return ['# Huge pages as advised by Zonewise', ...lines, ''].join('\n');
}

/**
 * `DOMAIN.xml` (the document with nothing changed but what is advised), `DOMAIN.diff`, `DOMAIN.rollback.xml`
 * (the document as it was), `90-zonewise.conf` for /etc/sysctl.d and `rollback.conf`, `zonewise-tmpfiles.conf` for
 * /etc/tmpfiles.d; `apply.sh` and `rollback.sh`, which install all of it and take it back, `start.sh` where the order of
 * starts changes, and `apply-live.sh` with the ways to move what running guests hold elsewhere. Only what changes has files:
 * advice to leave everything has none but `apply-live.sh`.
 *
 * @param host as the advice was computed for it
 *
 * @throws AdviceFileError when a document cannot be changed as advised
 */
export function adviceFiles(
  content: RecommendationContent,
  documents: DomainDocument[],
  host: HostModel,
): AdviceFile[] {
  const changed = documents.filter(({ name }) => domainOperations(content, name).length > 0);
  const files = distinct(
    changed.flatMap((document) => domainFiles(document, domainChange(content, document, host))),
  );
  const named = new Map(
    changed.map(({ name }) => {
      const nameOf = (purpose: AdviceFile['purpose']): string =>
        files.find((file) => file.domain === name && file.purpose === purpose)?.name ?? '';
      return [name, { apply: nameOf('apply'), rollback: nameOf('rollback') }];
    }),
  );
  const common = { mediaType: 'text/plain' };
  if (changesSysctl(content)) {
    const text = sysctlFile(content, host.sysctl);
    files.push({ ...common, name: SYSCTL_FILE, purpose: 'apply', text });
    const earlier = rollbackSysctlFile(content);
    files.push({ ...common, name: SYSCTL_ROLLBACK_FILE, purpose: 'rollback', text: earlier });
  }
  if (sysfsOperations(content).length > 0) {
    files.push({ ...common, name: TMPFILES_FILE, purpose: 'apply', text: tmpfilesFile(content) });
  }
  return [...files, ...adviceScripts({ content, files: named })];
}
