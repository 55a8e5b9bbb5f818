/** `<memory>`, `<currentMemory>`, `<maxMemory>` and `<memoryBacking>`. */
import type { XmlElement } from './tree';
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { DomainView } from './types';

/** Base page of x86-64; a `<page>` of this size means no huge pages. */
const BASE_PAGE_KIB = 4;

type Sizes = Pick<DomainView, 'memoryKib' | 'currentMemoryKib' | 'maxMemoryKib' | 'memorySlots'>;

/**
 * Reads the sizes as libvirt settles them (virDomainDefPostParseMemory): with guest cells a QEMU guest
 * has the sum of its cells and memory devices, whatever `<memory>` says.
 * @param sums KiB of all cells and of all memory devices
 */
export function readSizes(
  reader: Reader,
  domain: XmlElement,
  sums: { cellsKib: number; devicesKib: number },
): Sizes {
  const element = first(domain, 'memory');
  const given = element === null ? 0 : reader.sizeText(element);
  const memoryKib = total(reader, domain, given ?? 0, sums);
  // A size that cannot be read is one problem already; "no memory" would be a second about the same.
  if (memoryKib === 0 && given !== null) {
    const message = 'memory size must be given by <memory> or by the cells of <cpu><numa>';
    reader.problem('missing-memory', element ?? domain, null, message, {
      expected: "<memory unit='KiB'>...</memory>",
      ...(element === null ? {} : { found: element.text }),
    });
  }
  if (element !== null) reader.remember(element, null);
  const current = first(domain, 'currentMemory');
  const currentKib = current === null ? 0 : (reader.sizeText(current) ?? 0);
  if (current !== null && memoryKib > 0 && currentKib > memoryKib) {
    const message = `currentMemory is above the total, so libvirt takes ${memoryKib} KiB`;
    reader.warn('current-memory-above-total', current, null, message);
  }
  const capped = currentKib === 0 || currentKib > memoryKib;
  const maxMemoryKib = readMaxMemory(reader, domain, memoryKib);
  const slots = attributeOf(first(domain, 'maxMemory') ?? domain, 'slots');
  const memorySlots = slots === null || !/^[0-9]+$/.test(slots) ? null : Number(slots);
  return {
    memoryKib,
    currentMemoryKib: capped ? memoryKib : currentKib,
    maxMemoryKib,
    memorySlots,
  };
}

function total(
  reader: Reader,
  domain: XmlElement,
  givenKib: number,
  { cellsKib, devicesKib }: { cellsKib: number; devicesKib: number },
): number {
  const qemu = isQemuType(attributeOf(domain, 'type') ?? '');
  const at = first(domain, 'memory') ?? domain;
  if (cellsKib > 0 && (qemu || givenKib === 0)) {
    const sum = cellsKib + devicesKib;
    if (givenKib > 0 && givenKib !== sum) {
      const message = `<memory> says ${givenKib} KiB, but cells and memory devices add up to ${sum} KiB, and QEMU guests get the sum`;
      reader.warn('memory-sum-mismatch', at, null, message);
    }
    return sum;
  }
  if (givenKib > 0 && devicesKib > givenKib) {
    const message = 'memory devices add up to more than the total memory';
    const detail = { expected: `at most ${givenKib} KiB`, found: `${devicesKib} KiB` };
    reader.problem('memory-devices-exceed-memory', at, null, message, detail);
  }
  return givenKib;
}

export function isQemuType(type: string): boolean {
  return type === 'qemu' || type === 'kvm' || type === 'hvf';
}

function readMaxMemory(reader: Reader, domain: XmlElement, memoryKib: number): number | null {
  const element = first(domain, 'maxMemory');
  if (element === null) return null;
  const maxKib = reader.sizeText(element);
  const slots = reader.uint(element, 'slots') ?? 0;
  if (maxKib === 0 && slots > 0) {
    const message = 'memory slots need a maximum memory size';
    reader.problem('slots-without-max-memory', element, 'slots', message);
  }
  if (maxKib === null || maxKib === 0) return null;
  if (maxKib < memoryKib) {
    const message = 'maximum memory is smaller than the memory';
    const detail = { expected: `at least ${memoryKib} KiB`, found: `${maxKib} KiB` };
    reader.problem('max-memory-too-small', element, null, message, detail);
  }
  checkHotplug(reader, domain, element);
  return maxKib;
}

/** Hot-plug needs a guest cell, except where the machine has no notion of them. */
function checkHotplug(reader: Reader, domain: XmlElement, element: XmlElement): void {
  const type = first(domain, 'os', 'type');
  const arch = type === null ? '' : (attributeOf(type, 'arch') ?? '');
  const exempt = /^(ppc64|s390)/.test(arch) || !isQemuType(attributeOf(domain, 'type') ?? '');
  if (exempt || all(domain, 'cpu', 'numa', 'cell').length > 0) return;
  const message = 'at least one guest cell has to be configured when memory hotplug is enabled';
  reader.problem('memory-hotplug-without-cells', element, null, message, {
    expected: "a <cell id='0' .../> in <cpu><numa>",
  });
}

type Backing = DomainView['memoryBacking'];

/** Reads `<memoryBacking>` (virDomainDefParseMemory..., virDomainDefMemtuneValidate). */
export function readMemoryBacking(reader: Reader, domain: XmlElement, cellCount: number): Backing {
  const element = first(domain, 'memoryBacking');
  if (element === null) {
    return {
      hugepages: null,
      locked: false,
      source: null,
      access: null,
      allocation: null,
      nosharepages: false,
      discard: false,
    };
  }
  const source = readWord(reader, element, 'source', 'type', ['file', 'anonymous', 'memfd']);
  const access = readWord(reader, element, 'access', 'mode', ['shared', 'private']);
  const allocation = readWord(reader, element, 'allocation', 'mode', ['immediate', 'ondemand']);
  const hugepages = readHugepages(reader, element, cellCount);
  if (hugepages !== null && isQemuType(attributeOf(domain, 'type') ?? '')) {
    refuseBeside(reader, element, 'allocation', allocation, 'ondemand');
    refuseBeside(reader, element, 'source', source, 'anonymous');
  }
  return {
    hugepages,
    locked: first(element, 'locked') !== null,
    source,
    access,
    allocation,
    nosharepages: first(element, 'nosharepages') !== null,
    discard: first(element, 'discard') !== null,
  };
}

function readWord(
  reader: Reader,
  backing: XmlElement,
  name: string,
  attribute: string,
  words: string[],
): string | null {
  const element = first(backing, name);
  return element === null ? null : reader.word(element, attribute, words);
}

function refuseBeside(
  reader: Reader,
  backing: XmlElement,
  name: string,
  value: string | null,
  refused: string,
): void {
  const element = first(backing, name);
  if (element === null || value !== refused) return;
  const message = `huge pages are not possible with ${name} ${refused}`;
  reader.problem('hugepages-conflict', element, null, message, { found: refused });
}

type Page = { element: XmlElement; sizeKib: number; nodeset: number[] | null };

function readHugepages(
  reader: Reader,
  backing: XmlElement,
  cellCount: number,
): Backing['hugepages'] {
  const element = first(backing, 'hugepages');
  if (element === null) return null;
  reader.remember(element, null);
  const pages = all(element, 'page').map((page) => readPage(reader, page, cellCount));
  if (pages.length === 0) return [{ sizeKib: null, nodeset: null }];
  checkPages(reader, pages);
  const huge = pages.filter(({ sizeKib }) => sizeKib !== BASE_PAGE_KIB);
  return huge.length === 0 ? null : huge.map(({ sizeKib, nodeset }) => ({ sizeKib, nodeset }));
}

function readPage(reader: Reader, element: XmlElement, cellCount: number): Page {
  const given = reader.required(element, 'size');
  const sizeKib = given === null ? null : reader.size(element, 'size');
  if (sizeKib === 0) {
    const message = 'a huge page of size 0';
    reader.problem('hugepages-without-size', element, 'size', message, { found: given ?? '' });
  }
  const nodeset = reader.set(element, 'nodeset');
  // Without guest cells the one implied cell may be named 0, which is the same as naming none.
  if (nodeset !== null && cellCount === 0 && nodeset.every((id) => id === 0)) {
    return { element, sizeKib: sizeKib ?? 0, nodeset: null };
  }
  const missing = nodeset?.find((id) => id >= cellCount);
  if (missing !== undefined) {
    const message = `hugepages: guest cell ${missing} not found (this nodeset names guest cells, not host nodes)`;
    const expected = cellCount === 0 ? 'no nodeset, there are no cells' : `0 to ${cellCount - 1}`;
    reader.problem('hugepages-unknown-cell', element, 'nodeset', message, {
      expected,
      found: `${missing}`,
    });
  }
  return { element, sizeKib: sizeKib ?? 0, nodeset };
}

function checkPages(reader: Reader, pages: Page[]): void {
  const sizeOfCell = new Map<number, number>();
  let master: Page | null = null;
  for (const page of pages) {
    if (page.nodeset === null) {
      if (master !== null) {
        const message = `two default huge page sizes: ${master.sizeKib} and ${page.sizeKib} KiB`;
        reader.problem('hugepages-two-defaults', page.element, null, message, {
          expected: 'one <page> without nodeset',
        });
      }
      master = page;
    }
    const twice = page.nodeset?.find((id) => sizeOfCell.has(id));
    if (twice !== undefined) {
      const message = `nodesets of huge pages of ${sizeOfCell.get(twice)} and ${page.sizeKib} KiB intersect at cell ${twice}`;
      reader.problem('hugepages-overlap', page.element, 'nodeset', message);
    }
    page.nodeset?.forEach((id) => sizeOfCell.set(id, page.sizeKib));
  }
}
