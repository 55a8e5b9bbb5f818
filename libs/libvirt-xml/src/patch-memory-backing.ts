/** Edits of `<memoryBacking>`: only what differs is touched. */
import { formatSet, sameSet } from './bitmap';
import type { ReadDomain } from './domain';
import {
  insertBehind,
  insertChildren,
  quoteOf,
  removal,
  removeChildren,
  setAttribute,
} from './edits';
import type { Edit } from './edits';
import { BEFORE_NUMATUNE } from './patch-numatune';
import { all, first } from './reader';
import type { XmlElement } from './tree';
import type { DomainChange, DomainView } from './types';

type Change = NonNullable<DomainChange['memoryBacking']>;
type Backing = DomainView['memoryBacking'];
type Pages = NonNullable<Backing['hugepages']>;

const FLAGS = ['locked', 'nosharepages', 'discard'] as const;
const WORDS = [
  ['source', 'type'],
  ['access', 'mode'],
  ['allocation', 'mode'],
] as const;
const BEFORE_BACKING = BEFORE_NUMATUNE.slice(BEFORE_NUMATUNE.indexOf('memtune'));

/** What has to be done to the children of `<memoryBacking>`. */
interface Plan {
  edits: Edit[];
  removed: XmlElement[];
  added: string[];
}

export function memoryBackingEdits(read: ReadDomain, change: Change): Edit[] {
  const { domain, document, view } = read;
  const { source } = document;
  const element = first(domain, 'memoryBacking');
  const plan: Plan = { edits: [], removed: [], added: [] };
  planFlags(plan, element, change);
  planWords(plan, element, change, view.memoryBacking, quoteOf(domain));
  planPages(plan, source, element, change, view.memoryBacking, quoteOf(domain));
  if (element === null) {
    const anchor = BEFORE_BACKING.map((name) => first(domain, name)).find((at) => at !== null);
    if (plan.added.length === 0 || !anchor) return [];
    return [insertBehind(source, anchor, 'memoryBacking', plan.added)];
  }
  const last = element.children[element.children.length - 1] ?? null;
  const left = plan.added.length > 0 || plan.edits.length > 0;
  const whole = left && plan.removed.length === element.children.length;
  const removals = whole
    ? plan.removed.map((child) => removal(source, child))
    : removeChildren(source, element, plan.removed);
  return [...plan.edits, ...removals, ...insertChildren(source, element, last, plan.added)];
}

function planFlags(plan: Plan, element: XmlElement | null, change: Change): void {
  for (const name of FLAGS) {
    const wanted = change[name];
    const found = element === null ? [] : all(element, name);
    if (wanted === true && found.length === 0) plan.added.push(`<${name}/>`);
    if (wanted === false) plan.removed.push(...found);
  }
}

function planWords(
  plan: Plan,
  element: XmlElement | null,
  change: Change,
  backing: Backing,
  quote: string,
): void {
  for (const [name, attribute] of WORDS) {
    const wanted = change[name];
    if (wanted === undefined || wanted === backing[name]) continue;
    const found = element === null ? null : first(element, name);
    if (wanted === null) {
      if (element !== null) plan.removed.push(...all(element, name));
    } else if (found === null) {
      plan.added.push(`<${name} ${attribute}=${quote}${wanted}${quote}/>`);
    } else {
      plan.edits.push(...setAttribute(found, attribute, wanted));
    }
  }
}

function planPages(
  plan: Plan,
  source: string,
  element: XmlElement | null,
  change: Change,
  backing: Backing,
  quote: string,
): void {
  if (change.hugepages === undefined || samePages(backing.hugepages, change.hugepages)) return;
  const wanted = change.hugepages ?? [];
  const found = element === null ? null : first(element, 'hugepages');
  if (wanted.length === 0) {
    if (element !== null) plan.removed.push(...all(element, 'hugepages'));
    return;
  }
  const sized = wanted.filter(({ sizeKib }) => sizeKib !== null);
  const texts = sized.map((page) => pageText(page, quote));
  if (found === null) {
    plan.added.push(texts.length === 0 ? '<hugepages/>' : hugepagesText(texts));
    return;
  }
  const pages = all(found, 'page');
  plan.edits.push(...editPages(source, found, pages, sized, texts));
}

/** Pages that are there are edited in their order, further ones are added, those left over taken out. */
function editPages(
  source: string,
  hugepages: XmlElement,
  pages: readonly XmlElement[],
  wanted: Pages,
  texts: string[],
): Edit[] {
  const edits: Edit[] = [];
  pages.forEach((page, index) => {
    const want = wanted[index];
    if (want === undefined) {
      edits.push(removal(source, page));
      return;
    }
    edits.push(...setAttribute(page, 'size', `${want.sizeKib}`));
    edits.push(...setAttribute(page, 'unit', 'KiB'));
    edits.push(...setAttribute(page, 'nodeset', want.nodeset && formatSet(want.nodeset)));
  });
  const last = pages[pages.length - 1] ?? null;
  return [...edits, ...insertChildren(source, hugepages, last, texts.slice(pages.length))];
}

const hugepagesText = (pages: string[]): string => `<hugepages>${pages.join('')}</hugepages>`;

function pageText({ sizeKib, nodeset }: Pages[number], quote: string): string {
  const size = `size=${quote}${sizeKib}${quote} unit=${quote}KiB${quote}`;
  return nodeset === null
    ? `<page ${size}/>`
    : `<page ${size} nodeset=${quote}${formatSet(nodeset)}${quote}/>`;
}

function samePages(have: Backing['hugepages'], want: Change['hugepages']): boolean {
  const wanted = want ?? [];
  if (have === null || wanted.length === 0) return have === null && wanted.length === 0;
  return (
    have.length === wanted.length &&
    wanted.every((page) => have.some((each) => samePage(each, page)))
  );
}

function samePage(a: Pages[number], b: Pages[number]): boolean {
  if (a.sizeKib !== b.sizeKib) return false;
  if (a.nodeset === null || b.nodeset === null) return a.nodeset === b.nodeset;
  return sameSet(a.nodeset, b.nodeset);
}

/** Whether a view says what the change asked for. */
export function saysMemoryBacking(backing: Backing, change: Change): boolean {
  if (change.hugepages !== undefined && !samePages(backing.hugepages, change.hugepages))
    return false;
  const flags = FLAGS.every((name) => change[name] === undefined || change[name] === backing[name]);
  return (
    flags && WORDS.every(([name]) => change[name] === undefined || change[name] === backing[name])
  );
}
