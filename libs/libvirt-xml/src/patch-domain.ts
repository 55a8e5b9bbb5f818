/** Writes an advised placement into a domain document, and nothing else. */
import { SET_LIMIT, formatSet, sameSet } from './bitmap';
import { readDomain } from './domain';
import type { ReadDomain } from './domain';
import { applyEdits, insertChildren, insertSibling, quoteOf, setAttribute } from './edits';
import type { Edit } from './edits';
import { cputuneEdits, saysCputune } from './patch-cputune';
import { memoryBackingEdits, saysMemoryBacking } from './patch-memory-backing';
import {
  BEFORE_NUMATUNE,
  checkNumatune,
  confirmPatch,
  numatuneEdits,
  saysNumatune,
} from './patch-numatune';
import { all, attributeOf, findAttribute, first } from './reader';
import type { XmlElement } from './tree';
import type { DomainChange, DomainView, ParseOutcome, XmlProblem } from './types';

const BEFORE_VCPU = BEFORE_NUMATUNE.slice(BEFORE_NUMATUNE.indexOf('memoryBacking'));
/** What native I/O goes together with (qemuValidateDomainDeviceDefDiskFrontend...). */
const NATIVE_IO_CACHES = ['none', 'directsync'];

/**
 * Edits a domain in place: numatune, memoryBacking, the vCPUs' CPU set, pins and the cache mode of disks. Every
 * byte outside the edited values stays as it is, and a change to what is already there changes nothing.
 *
 * @returns the new text, already read back and found to say what was asked; or problems: those of the
 * document, `invalid-change` (the change itself breaks libvirt's rules) or `change-not-applicable`
 */
export function patchDomain(xml: string, change: DomainChange): ParseOutcome<{ xml: string }> {
  const read = readDomain(xml);
  if (!read.ok) return read;
  const invalid = checkChange(read.value, change);
  if (invalid.length > 0) return { ok: false, problems: invalid };
  const steps: ((at: ReadDomain) => Edit[])[] = [];
  const { numatune, memoryBacking, vcpu, cputune, disks } = change;
  // libvirt's rules hold for the whole: the steps are not looked at one by one, but the last.
  if (disks !== undefined) steps.push((at) => diskEdits(at, disks));
  if (numatune !== undefined) steps.push((at) => numatuneEdits(at, numatune));
  if (cputune !== undefined) steps.push((at) => cputuneEdits(at, cputune));
  if (vcpu !== undefined) steps.push((at) => vcpuEdits(at, vcpu.cpuset));
  if (memoryBacking !== undefined) steps.push((at) => memoryBackingEdits(at, memoryBacking));
  const patched = applyEdits(
    xml,
    steps.reverse().flatMap((step) => step(read.value)),
  );
  if (patched === xml) return { ok: true, value: { xml } };
  return confirmPatch(patched, '/domain', (view) => says(view, change));
}

function says(view: DomainView, change: DomainChange): boolean {
  const { numatune, memoryBacking, vcpu, cputune, disks } = change;
  if (numatune !== undefined && !saysNumatune(view, numatune)) return false;
  if (memoryBacking !== undefined && !saysMemoryBacking(view.memoryBacking, memoryBacking)) {
    return false;
  }
  if (vcpu !== undefined && !sameCpuset(view.vcpu.cpuset, vcpu.cpuset)) return false;
  if (cputune !== undefined && !saysCputune(view, cputune)) return false;
  return (disks ?? []).every(
    ({ target, cache }) => view.disks.find((disk) => disk.target === target)?.cache === cache,
  );
}

function sameCpuset(have: number[] | null, want: number[] | null): boolean {
  return have === null || want === null ? have === want : sameSet(have, want);
}

function checkChange({ domain, view }: ReadDomain, change: DomainChange): XmlProblem[] {
  const problems = change.numatune === undefined ? [] : checkNumatune(change.numatune, view);
  const refuse = (path: string, message: string, expected: string, found: string): void => {
    problems.push({
      code: 'invalid-change',
      path,
      message,
      line: 1,
      column: 1,
      expected,
      found,
    });
  };
  const sets = [
    { path: '/domain/vcpu/@cpuset', ids: change.vcpu?.cpuset ?? null },
    { path: '/domain/cputune/emulatorpin/@cpuset', ids: change.cputune?.emulatorpin ?? null },
    ...(change.cputune?.vcpupin ?? []).map(({ cpuset }) => ({
      path: '/domain/cputune/vcpupin/@cpuset',
      ids: cpuset,
    })),
    ...(change.memoryBacking?.hugepages ?? []).map(({ nodeset }) => ({
      path: '/domain/memoryBacking/hugepages/page/@nodeset',
      ids: nodeset,
    })),
  ];
  for (const { path, ids } of sets) {
    const valid = ids?.every((id) => Number.isInteger(id) && id >= 0 && id < SET_LIMIT) ?? true;
    if (valid && ids?.length !== 0) continue;
    refuse(path, 'not a set', `ids 0 to ${SET_LIMIT - 1}`, (ids ?? []).slice(0, 16).join(','));
  }
  for (const { vcpu } of change.cputune?.vcpupin ?? []) {
    if (Number.isInteger(vcpu) && vcpu >= 0 && vcpu < view.vcpu.count) continue;
    const path = '/domain/cputune/vcpupin/@vcpu';
    refuse(path, 'there is no such vCPU', `0 to ${view.vcpu.count - 1}`, String(vcpu));
  }
  for (const { target, cache } of change.disks ?? []) {
    const disk = diskOf(domain, target);
    if (disk === null) {
      const known = view.disks.map((each) => each.target).join(', ');
      refuse('/domain/devices/disk/target/@dev', 'there is no such disk', known, target);
      continue;
    }
    const driver = first(disk, 'driver');
    const native = driver !== null && attributeOf(driver, 'io') === 'native';
    if (!native || NATIVE_IO_CACHES.includes(cache ?? '')) continue;
    const message = "a disk with io='native' bypasses the host's page cache";
    const path = '/domain/devices/disk/driver/@cache';
    refuse(path, message, NATIVE_IO_CACHES.join(' | '), cache ?? 'no mode');
  }
  return problems;
}

function diskOf(domain: XmlElement, target: string): XmlElement | null {
  const named = (disk: XmlElement): boolean => {
    const element = first(disk, 'target');
    return element !== null && attributeOf(element, 'dev') === target;
  };
  return all(domain, 'devices', 'disk').find(named) ?? null;
}

function diskEdits(read: ReadDomain, disks: NonNullable<DomainChange['disks']>): Edit[] {
  const { domain, document } = read;
  const quote = quoteOf(domain);
  return disks.flatMap(({ target, cache }) => {
    const disk = diskOf(domain, target);
    const driver = disk === null ? null : first(disk, 'driver');
    if (disk === null || (driver === null && cache === null)) return [];
    if (driver === null) {
      const text = `<driver cache=${quote}${cache}${quote}/>`;
      return insertChildren(document.source, disk, null, [text]);
    }
    return attributeOf(driver, 'cache') === cache ? [] : setAttribute(driver, 'cache', cache);
  });
}

/** A CPU set has no effect beside automatic placement, which is made static then. */
function vcpuEdits({ domain, document, view }: ReadDomain, cpuset: number[] | null): Edit[] {
  const element = first(domain, 'vcpu');
  if (element === null) {
    const anchor = BEFORE_VCPU.map((name) => first(domain, name)).find((at) => at !== null);
    if (cpuset === null || !anchor) return [];
    const quote = quoteOf(domain);
    const text = `<vcpu cpuset=${quote}${formatSet(cpuset)}${quote}>${view.vcpu.count}</vcpu>`;
    return [insertSibling(document.source, anchor, text)];
  }
  const given = findAttribute(element, 'cpuset');
  if (cpuset === null) return given === undefined ? [] : setAttribute(element, 'cpuset', null);
  if (sameCpuset(view.vcpu.cpuset, cpuset)) return [];
  const automatic = attributeOf(element, 'placement') === 'auto';
  return [
    ...(automatic ? setAttribute(element, 'placement', 'static') : []),
    ...setAttribute(element, 'cpuset', formatSet(cpuset)),
  ];
}
