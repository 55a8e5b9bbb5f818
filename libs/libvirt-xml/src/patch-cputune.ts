/** Edits of the pins in `<cputune>`: shares, quotas, schedulers and the pins of others stay as they are. */
import { formatSet, sameSet } from './bitmap';
import type { ReadDomain } from './domain';
import { insertBehind, insertChildren, quoteOf, setAttribute } from './edits';
import type { Edit } from './edits';
import { BEFORE_NUMATUNE } from './patch-numatune';
import { all, attributeOf, first } from './reader';
import type { CputuneChange, DomainView } from './types';

const BEFORE_CPUTUNE = BEFORE_NUMATUNE.slice(1);
/** What libvirt writes behind the pins of vCPUs. */
const BEHIND_VCPUPIN = [
  ...['emulatorpin', 'iothreadpin', 'vcpusched', 'iothreadsched', 'emulatorsched'],
  ...['cachetune', 'memorytune'],
];

/** Sets the CPUs of pins: in place where the thread has one, else as a new one. */
export function cputuneEdits(read: ReadDomain, change: CputuneChange): Edit[] {
  const { domain, document, view } = read;
  const { vcpupin = [], emulatorpin } = change;
  const quote = quoteOf(domain);
  const edits: Edit[] = [];
  const pins: string[] = [];
  for (const { vcpu, cpuset } of vcpupin) {
    const element = all(domain, 'cputune', 'vcpupin').find(
      (pin) => Number(attributeOf(pin, 'vcpu')) === vcpu,
    );
    const text = formatSet(cpuset);
    if (element === undefined) {
      pins.push(`<vcpupin vcpu=${quote}${vcpu}${quote} cpuset=${quote}${text}${quote}/>`);
    } else if (!saysPin(view, { vcpu, cpuset })) {
      edits.push(...setAttribute(element, 'cpuset', text));
    }
  }
  const behind: string[] = [];
  if (emulatorpin !== undefined && !saysEmulator(view, emulatorpin)) {
    const element = all(domain, 'cputune', 'emulatorpin')[0];
    const text = formatSet(emulatorpin);
    if (element !== undefined) edits.push(...setAttribute(element, 'cpuset', text));
    else behind.push(`<emulatorpin cpuset=${quote}${text}${quote}/>`);
  }
  const element = first(domain, 'cputune');
  if (element !== null) {
    const children = [...pins, ...behind];
    const last = element.children.filter(({ name }) => !BEHIND_VCPUPIN.includes(name)).at(-1);
    return [...edits, ...insertChildren(document.source, element, last ?? null, children)];
  }
  const anchor = BEFORE_CPUTUNE.map((name) => first(domain, name)).find((at) => at !== null);
  if (pins.length + behind.length === 0 || !anchor) return edits;
  return [insertBehind(document.source, anchor, 'cputune', [...pins, ...behind])];
}

/** Whether a document has the pins that were asked for. */
export function saysCputune(
  view: DomainView,
  { vcpupin = [], emulatorpin }: CputuneChange,
): boolean {
  const emulator = emulatorpin === undefined || saysEmulator(view, emulatorpin);
  return emulator && vcpupin.every((pin) => saysPin(view, pin));
}

function saysPin(view: DomainView, want: { vcpu: number; cpuset: number[] }): boolean {
  const have = view.cputune.vcpupin.find(({ vcpu }) => vcpu === want.vcpu);
  return have !== undefined && sameSet(have.cpuset, want.cpuset);
}

function saysEmulator({ cputune }: DomainView, want: number[]): boolean {
  return cputune.emulatorpin !== null && sameSet(cputune.emulatorpin, want);
}
