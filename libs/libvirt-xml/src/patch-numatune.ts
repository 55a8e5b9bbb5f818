/** Writes an advised placement into a domain document, and nothing else. */
import { SET_LIMIT, formatSet, parseSet, sameSet } from './bitmap';
import type { XmlElement } from './tree';
import { readDomain } from './domain';
import type { ReadDomain } from './domain';
import {
  applyEdits,
  insertBehind,
  insertChildren,
  quoteOf,
  removal,
  removeChildren,
  setAttribute,
} from './edits';
import type { Edit } from './edits';
import { NUMATUNE_MODES } from './numatune';
import { all, findAttribute, first } from './reader';
import type { DomainView, NumatuneChange, NumatuneMode, ParseOutcome, XmlProblem } from './types';

/** What libvirt writes before `<numatune>`, last first: the new element goes behind the first that is there. */
export const BEFORE_NUMATUNE = [
  ...['cputune', 'defaultiothread', 'iothreadids', 'iothreads', 'vcpus', 'vcpu'],
  ...['memoryBacking', 'memtune', 'blkiotune', 'currentMemory', 'memory', 'maxMemory'],
  ...['metadata', 'description', 'title', 'genid', 'uuid', 'name'],
];

interface Setting {
  mode: NumatuneMode;
  nodeset: number[];
}

/**
 * Edits numatune in place. `memory` replaces mode and nodeset of `<memory>` (null takes it out),
 * `memnodes` is the complete new list (an empty one takes all out); what is absent stays. Every byte
 * outside the edited values stays as it is, and a change to what is already there changes nothing.
 *
 * @returns the new text, already read back and found to say what was asked; or problems: those of the
 * document, `invalid-change` (the change itself breaks libvirt's rules) or `change-not-applicable`
 */
export function patchNumatune(xml: string, change: NumatuneChange): ParseOutcome<{ xml: string }> {
  const read = readDomain(xml);
  if (!read.ok) return read;
  const invalid = checkNumatune(change, read.value.view);
  if (invalid.length > 0) return { ok: false, problems: invalid };
  const patched = applyEdits(xml, numatuneEdits(read.value, change));
  if (patched === xml) return { ok: true, value: { xml } };
  return confirmPatch(patched, '/domain/numatune', (view) => saysNumatune(view, change));
}

/**
 * A patch that libvirt would refuse or read otherwise is worse than none.
 * @param says whether the patched document says what was asked
 * @param path the element that a refusal is about
 */
export function confirmPatch(
  patched: string,
  path: string,
  says: (view: DomainView) => boolean,
): ParseOutcome<{ xml: string }> {
  const again = readDomain(patched);
  if (!again.ok) {
    const problems = again.problems.map((problem) => ({
      ...problem,
      code: 'invalid-change',
      message: `after the change: ${problem.message}`,
    }));
    return { ok: false, problems };
  }
  if (says(again.value.view)) return { ok: true, value: { xml: patched } };
  const message =
    'the document cannot express this change (libvirt would add a setting of its own)';
  const problem = { code: 'change-not-applicable', message, path, line: 1, column: 1 };
  return { ok: false, problems: [problem] };
}

export function saysNumatune(view: DomainView, change: NumatuneChange): boolean {
  const { memory, memnodes } = view.numatune;
  if (change.memory === null && memory !== null) return false;
  if (change.memory && !sameSetting(memory, change.memory)) return false;
  if (change.memnodes === undefined) return true;
  const wanted = change.memnodes;
  return (
    wanted.length === memnodes.length &&
    wanted.every((want) => {
      const have = memnodes.find(({ cellid }) => cellid === want.cellid);
      return have !== undefined && sameSetting(have, want);
    })
  );
}

function sameSetting(
  have: { mode: NumatuneMode; nodeset: number[] | null } | null,
  want: Setting,
): boolean {
  if (have === null || have.nodeset === null) return false;
  return have.mode === want.mode && sameSet(have.nodeset, want.nodeset);
}

export function checkNumatune(change: NumatuneChange, view: DomainView): XmlProblem[] {
  const problems: XmlProblem[] = [];
  const refuse = (path: string, message: string, expected: string, found: string): void => {
    const place = { line: 1, column: 1 };
    problems.push({ code: 'invalid-change', path, message, ...place, expected, found });
  };
  const check = (path: string, { mode, nodeset }: Setting): void => {
    if (!NUMATUNE_MODES.includes(mode)) {
      refuse(`${path}/@mode`, 'unknown numatune mode', NUMATUNE_MODES.join(' | '), String(mode));
    }
    const valid = nodeset.every((id) => Number.isInteger(id) && id >= 0 && id < SET_LIMIT);
    if (nodeset.length === 0 || !valid) {
      const expected = `at least one node, 0 to ${SET_LIMIT - 1}`;
      refuse(`${path}/@nodeset`, 'not a set of nodes', expected, nodeset.slice(0, 16).join(','));
    }
  };
  if (change.memory) check('/domain/numatune/memory', change.memory);
  const seen = new Set<number>();
  for (const memnode of change.memnodes ?? []) {
    const { cellid } = memnode;
    check('/domain/numatune/memnode', memnode);
    if (seen.has(cellid) || !view.cells.some(({ id }) => id === cellid)) {
      const expected = `guest cells ${formatSet(view.cells.map(({ id }) => id))}, each once`;
      refuse('/domain/numatune/memnode/@cellid', 'not a guest cell to bind', expected, `${cellid}`);
    }
    seen.add(cellid);
  }
  return problems;
}

export function numatuneEdits(read: ReadDomain, change: NumatuneChange): Edit[] {
  const { domain, document, view } = read;
  const numatune = first(domain, 'numatune');
  if (numatune === null) return insertNumatune(read, change);
  const { source } = document;
  const edits: Edit[] = [];
  const added: string[] = [];
  const quote = quoteOf(domain);
  const memory = first(numatune, 'memory');
  if (change.memory && memory === null) added.push(memoryText(change.memory, quote));
  if (change.memory && memory !== null && !sameSetting(view.numatune.memory, change.memory)) {
    edits.push(...editSetting(memory, change.memory, view.numatune.memory?.mode ?? null));
  }
  const removed = change.memory === null ? all(numatune, 'memory') : [];
  const nodes = memnodeEdits(numatune, view, change, quote);
  edits.push(...nodes.edits);
  removed.push(...nodes.removed);
  const left = numatune.children.length - removed.length;
  if (removed.length > 0 && left + added.length + nodes.added.length === 0) {
    return removeChildren(source, numatune, numatune.children);
  }
  edits.push(...removed.map((element) => removal(source, element)));
  edits.push(...insertInto(source, numatune, memory, added, nodes.added));
  return edits;
}

function memnodeEdits(
  numatune: XmlElement,
  view: DomainView,
  { memnodes }: NumatuneChange,
  quote: string,
): { edits: Edit[]; removed: XmlElement[]; added: string[] } {
  if (memnodes === undefined) return { edits: [], removed: [], added: [] };
  const edits: Edit[] = [];
  const removed: XmlElement[] = [];
  const present = new Set<number>();
  // An accepted document has its memnodes in the view in the order of its elements.
  all(numatune, 'memnode').forEach((element, index) => {
    const have = view.numatune.memnodes[index];
    const want = memnodes.find(({ cellid }) => cellid === have?.cellid);
    if (have === undefined || want === undefined) {
      removed.push(element);
      return;
    }
    present.add(want.cellid);
    if (!sameSetting(have, want)) edits.push(...editSetting(element, want, have.mode));
  });
  const added = memnodes
    .filter(({ cellid }) => !present.has(cellid))
    .map((memnode) => memnodeText(memnode, quote));
  return { edits, removed, added };
}

/** Touches only the values that differ; an attribute that is missing goes behind the last one. */
function editSetting(element: XmlElement, want: Setting, haveMode: NumatuneMode | null): Edit[] {
  const edits: Edit[] = [];
  const set = (name: string, value: string): void => {
    edits.push(...setAttribute(element, name, value));
  };
  if (haveMode !== want.mode) set('mode', want.mode);
  if (findAttribute(element, 'placement')?.value === 'auto') set('placement', 'static');
  const nodeset = findAttribute(element, 'nodeset');
  const current = nodeset === undefined ? null : nodeset.value;
  if (current === null || !sameText(current, want.nodeset)) set('nodeset', formatSet(want.nodeset));
  return edits;
}

/** Whether a set that the reader accepted already names these nodes, however it is written. */
function sameText(text: string, nodeset: number[]): boolean {
  const outcome = parseSet(text);
  return outcome.ok && sameSet(outcome.value, nodeset);
}

function memoryText({ mode, nodeset }: Setting, quote: string): string {
  return `<memory mode=${quote}${mode}${quote} nodeset=${quote}${formatSet(nodeset)}${quote}/>`;
}

function memnodeText(memnode: Setting & { cellid: number }, quote: string): string {
  const { cellid, mode, nodeset } = memnode;
  const attributes = { cellid, mode, nodeset: formatSet(nodeset) };
  const text = Object.entries(attributes).map(
    ([name, value]) => ` ${name}=${quote}${value}${quote}`,
  );
  return `<memnode${text.join('')}/>`;
}

/** New children: `<memory>` first, memnodes last. */
function insertInto(
  source: string,
  numatune: XmlElement,
  memory: XmlElement | null,
  memoryTexts: string[],
  memnodeTexts: string[],
): Edit[] {
  const last = all(numatune, 'memnode').pop() ?? memory;
  if (last === null) {
    return insertChildren(source, numatune, null, [...memoryTexts, ...memnodeTexts]);
  }
  return [
    ...insertChildren(source, numatune, null, memoryTexts),
    ...insertChildren(source, numatune, last, memnodeTexts),
  ];
}

function insertNumatune({ document, domain }: ReadDomain, change: NumatuneChange): Edit[] {
  const { source } = document;
  const quote = quoteOf(domain);
  const texts = (change.memory ? [memoryText(change.memory, quote)] : []).concat(
    (change.memnodes ?? []).map((memnode) => memnodeText(memnode, quote)),
  );
  if (texts.length === 0) return [];
  const anchor = BEFORE_NUMATUNE.map((name) => first(domain, name)).find((at) => at !== null);
  if (!anchor) return [];
  return [insertBehind(source, anchor, 'numatune', texts)];
}
