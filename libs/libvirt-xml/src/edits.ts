/** Splices into a document: everything that no edit covers stays byte for byte. */
import { findAttribute } from './reader';
import type { XmlElement } from './tree';

export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** Applies edits that do not overlap; those at the same place go in in the order given. */
export function applyEdits(source: string, edits: Edit[]): string {
  const ordered = edits
    .map((edit, order) => ({ edit, order }))
    .sort((a, b) => a.edit.start - b.edit.start || a.edit.end - b.edit.end || a.order - b.order);
  let at = 0;
  let out = '';
  for (const { edit } of ordered) {
    out += source.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return out + source.slice(at);
}

/** How a document breaks and indents its lines around an element. */
export interface Layout {
  /** Line break, or empty when the element does not start its line. */
  newline: string;
  indent: string;
}

export function layoutOf(source: string, element: XmlElement): Layout {
  const before = /(\r\n|\n|\r)([ \t]*)$/.exec(
    source.slice(Math.max(element.start - 256, 0), element.start),
  );
  return before === null
    ? { newline: '', indent: '' }
    : { newline: before[1] ?? '', indent: before[2] ?? '' };
}

/** One more level of indentation, as between an element and its parent; two blanks where that is unclear. */
export function indentUnit(source: string, element: XmlElement): string {
  const own = layoutOf(source, element).indent;
  const outer = element.parent === null ? '' : layoutOf(source, element.parent).indent;
  const longer = own.length > outer.length && own.startsWith(outer);
  return longer ? own.slice(outer.length) : '  ';
}

/** Takes an element out together with the line that it alone stands on. */
export function removal(source: string, element: XmlElement): Edit {
  const { newline, indent } = layoutOf(source, element);
  const alone =
    newline !== '' && /^[ \t]*(\r|\n|$)/.test(source.slice(element.end, element.end + 256));
  const start = alone ? element.start - indent.length - newline.length : element.start;
  return { start, end: element.end, text: '' };
}

/** Behind an element and the comments that share the rest of its line. */
export function endOfLine(source: string, element: XmlElement): number {
  const rest = /^(?:[ \t]*<!--(?:(?!--)[^\r\n])*-->)*[ \t]*(?=[\r\n])/.exec(
    source.slice(element.end, element.end + 4096),
  );
  return element.end + (rest?.[0].length ?? 0);
}

/** Sets an attribute in place, behind the last one where it is missing; null takes it out. */
export function setAttribute(element: XmlElement, name: string, value: string | null): Edit[] {
  const found = findAttribute(element, name);
  if (found !== undefined && value !== null) {
    return [{ start: found.valueStart, end: found.valueEnd, text: value }];
  }
  const { attributes } = element;
  const tagEnd = element.start + 1 + element.name.length;
  if (found !== undefined) {
    const before = attributes[attributes.indexOf(found) - 1];
    const start = before === undefined ? tagEnd : before.valueEnd + 1;
    return [{ start, end: found.valueEnd + 1, text: '' }];
  }
  if (value === null) return [];
  const last = attributes[attributes.length - 1];
  const behind = last === undefined ? tagEnd : last.valueEnd + 1;
  const quote = last?.quote ?? "'";
  return [{ start: behind, end: behind, text: ` ${name}=${quote}${value}${quote}` }];
}

/** New children behind a child (null: as the first), on lines of their own where the document does so. */
export function insertChildren(
  source: string,
  parent: XmlElement,
  after: XmlElement | null,
  texts: readonly string[],
): Edit[] {
  if (texts.length === 0) return [];
  const outer = layoutOf(source, parent);
  const inner = outer.newline === '' ? '' : outer.indent + indentUnit(source, parent);
  const lines = texts.map((text) => `${outer.newline}${inner}${text}`).join('');
  const closing = outer.newline === '' ? '' : `${outer.newline}${outer.indent}`;
  if (parent.selfClosing) {
    const slash = source.lastIndexOf('/', parent.openEnd);
    const text = `>${lines}${closing}</${parent.name}>`;
    return [{ start: slash, end: parent.openEnd, text }];
  }
  const inside = source.slice(parent.openEnd, parent.closeStart);
  if (inside.trim() === '' && !/[\r\n]/.test(inside)) {
    return [{ start: parent.openEnd, end: parent.closeStart, text: `${lines}${closing}` }];
  }
  const at = after?.end ?? parent.openEnd;
  return [{ start: at, end: at, text: lines }];
}

/** A new element behind another, on a line of its own where that one has one. */
export function insertSibling(source: string, anchor: XmlElement, text: string): Edit {
  const { newline, indent } = layoutOf(source, anchor);
  const at = newline === '' ? anchor.end : endOfLine(source, anchor);
  return { start: at, end: at, text: `${newline}${indent}${text}` };
}

/** As {@link insertSibling}, with children. */
export function insertBehind(
  source: string,
  anchor: XmlElement,
  name: string,
  children: readonly string[],
): Edit {
  const { newline, indent } = layoutOf(source, anchor);
  const inner = newline === '' ? '' : newline + indent + indentUnit(source, anchor);
  const text = children.map((child) => `${inner}${child}`).join('');
  return insertSibling(source, anchor, `<${name}>${text}${newline}${indent}</${name}>`);
}

/** Takes children out, and the element too when only white space would be left of it. */
export function removeChildren(
  source: string,
  parent: XmlElement,
  children: readonly XmlElement[],
): Edit[] {
  if (children.length === 0) return [];
  // A comment inside is the author's; then the element stays, emptied.
  const inside = source.slice(parent.openEnd, parent.closeStart);
  const all = parent.children.length === children.length && !inside.includes('<!--');
  return all ? [removal(source, parent)] : children.map((element) => removal(source, element));
}

/** The quote that the document itself uses. */
export function quoteOf(domain: XmlElement): string {
  return domain.attributes[0]?.quote ?? "'";
}
