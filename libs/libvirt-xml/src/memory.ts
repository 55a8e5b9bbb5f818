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
  if (element !== null) reader.word(element, 'dumpCore', ['on', 'off']);
  const memoryKib = total(reader, domain, given ?? 0, sums);
  // A size that cannot be read is one problem already; "no memory" would be a second about the same.
  if (given !== null && (memoryKib === 0 || memoryKib === sums.devicesKib)) {
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
  return {
    memoryKib,
    currentMemoryKib: capped ? memoryKib : currentKib,
    ...readMaxMemory(reader, domain, memoryKib),
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

function readMaxMemory(
  reader: Reader,
  domain: XmlElement,
  memoryKib: number,
): Pick<Sizes, 'maxMemoryKib' | 'memorySlots'> {
  const element = first(domain, 'maxMemory');
  if (element === null) return { maxMemoryKib: null, memorySlots: null };
  const maxKib = reader.sizeText(element);
  const given = attributeOf(element, 'slots') || null;
  const slots = given === null ? null : reader.uint(element, 'slots');
  if (maxKib === 0 && (slots ?? 0) > 0) {
    const message = 'memory slots need a maximum memory size';
    reader.problem('slots-without-max-memory', element, 'slots', message);
  }
  if (maxKib === null || maxKib === 0) return { maxMemoryKib: null, memorySlots: slots };
  if (maxKib < memoryKib) {
    const message = 'maximum memory is smaller than the memory';
    const detail = { expected: `at least ${memoryKib} KiB`, found: `${maxKib} KiB` };
    reader.problem('max-memory-too-small', element, null, message, detail);
  }
  return { maxMemoryKib: maxKib, memorySlots: slots };
}

const LIMITS_OF_MEMTUNE = ['hard_limit', 'soft_limit', 'min_guarantee', 'swap_hard_limit'];

/** Sizes of `<memtune>` (virDomainDefTunablesParse): read for their form, no part of the view. */
export function checkMemtune(reader: Reader, domain: XmlElement): void {
  for (const name of LIMITS_OF_MEMTUNE) {
    const element = first(domain, 'memtune', name);
    if (element !== null) reader.sizeText(element);
  }
}

type Backing = DomainView['memoryBacking'];

/** Reads `<memoryBacking>` (virDomainDefParseMemory..., virDomainDefMemtuneValidate). */
export function readMemoryBacking(reader: Reader, domain: XmlElement, cellCount: number): Backing {
  const elements = all(domain, 'memoryBacking');
  if (elements.length === 0) {
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
  const word = (name: string, attribute: string, words: string[]): string | null =>
    readWord(reader, all(domain, 'memoryBacking', name), attribute, words);
  const given = (name: string): boolean => first(domain, 'memoryBacking', name) !== null;
  const source = word('source', 'type', ['file', 'anonymous', 'memfd']);
  const access = word('access', 'mode', ['shared', 'private']);
  const allocation = word('allocation', 'mode', ['immediate', 'ondemand']);
  for (const element of all(domain, 'memoryBacking', 'allocation').slice(0, 1)) {
    if (attributeOf(element, 'threads')) reader.uint(element, 'threads');
  }
  const hugepages = readHugepages(reader, domain, cellCount);
  // A page of the base size is a page to this rule.
  if (given('hugepages') && isQemuType(attributeOf(domain, 'type') ?? '')) {
    refuseBeside(reader, domain, 'allocation', allocation, 'ondemand');
    refuseBeside(reader, domain, 'source', source, 'anonymous');
  }
  return {
    hugepages,
    locked: given('locked'),
    source,
    access,
    allocation,
    nosharepages: given('nosharepages'),
    discard: given('discard'),
  };
}

/** The attribute of the first element that has one; an empty one is none. */
function readWord(
  reader: Reader,
  elements: XmlElement[],
  attribute: string,
  words: string[],
): string | null {
  const element = elements.find((each) => attributeOf(each, attribute) !== null);
  if (element === undefined || attributeOf(element, attribute) === '') return null;
  return reader.word(element, attribute, words);
}

function refuseBeside(
  reader: Reader,
  domain: XmlElement,
  name: string,
  value: string | null,
  refused: string,
): void {
  const element = first(domain, 'memoryBacking', name);
  if (element === null || value !== refused) return;
  const message = `huge pages are not possible with ${name} ${refused}`;
  reader.problem('hugepages-conflict', element, null, message, { found: refused });
}

type Page = { element: XmlElement; sizeKib: number; nodeset: number[] | null };

function readHugepages(
  reader: Reader,
  domain: XmlElement,
  cellCount: number,
): Backing['hugepages'] {
  const element = first(domain, 'memoryBacking', 'hugepages');
  if (element === null) return null;
  reader.remember(element, null);
  const pages = all(domain, 'memoryBacking', 'hugepages', 'page').map((page) =>
    readPage(reader, page, cellCount),
  );
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
