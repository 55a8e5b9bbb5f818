/** Splices into a document: everything that no edit covers stays byte for byte. */
import type { XmlElement } from './document';

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
