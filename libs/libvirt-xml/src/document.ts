/**
 * XML text to a tree that remembers where everything stands, so that an edit can be a splice.
 *
 * Nothing is expanded and nothing is fetched: a DOCTYPE is refused, and with it every entity that the
 * five predefined ones do not cover.
 */
import { SaxesParser } from 'saxes';
import type { ProblemCode } from './codes';
import { LineIndex } from './position';
import type { Position } from './position';
import type { XmlProblem } from './types';

/** What a hostile document may cost; a real domain has a few hundred elements at depth 8 or so. */
export const LIMITS = {
  documentBytes: 16 * 1024 * 1024,
  depth: 64,
  elements: 200_000,
  attributesPerElement: 256,
  problems: 100,
  /** Ids in all node and CPU sets together. */
  setIds: 2_000_000,
  cells: 1024,
} as const;

export interface XmlAttribute {
  name: string;
  value: string;
  /** Offset of the name's first character. */
  start: number;
  /** Offsets of the raw value between its quotes. */
  valueStart: number;
  valueEnd: number;
  quote: string;
}

export interface XmlElement {
  name: string;
  parent: XmlElement | null;
  attributes: XmlAttribute[];
  children: XmlElement[];
  /** Own character data and CDATA, without that of the children. */
  text: string;
  /** Offset of `<`. */
  start: number;
  /** Offset behind the `>` of the start tag. */
  openEnd: number;
  /** Offset of the end tag's `<`; equals `end` for a self-closing element. */
  closeStart: number;
  /** Offset behind the whole element. */
  end: number;
  selfClosing: boolean;
  /** 1-based among the siblings of the same name. */
  ordinal: number;
  /** How many children of each name there are. */
  counts: Map<string, number>;
}

export interface XmlDocument {
  source: string;
  root: XmlElement;
  positionAt(offset: number): Position;
}

/** Leaves the parser at the first fault: what follows one syntax fault is guesswork. */
class Refusal extends Error {
  constructor(
    readonly code: ProblemCode,
    readonly offset: number,
    message: string,
    readonly expected?: string,
    readonly found?: string,
    readonly path = '/',
  ) {
    super(message);
  }
}

/**
 * Reads a whole document.
 * @returns the tree, or exactly one problem (syntax faults are not collected)
 */
export function readDocument(
  source: string,
): { ok: true; value: XmlDocument } | { ok: false; problems: XmlProblem[] } {
  const lines = new LineIndex(source);
  try {
    const root = new TreeBuilder(source).build();
    return { ok: true, value: { source, root, positionAt: (offset) => lines.at(offset) } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, path, message, expected, found } = error;
    const problem: XmlProblem = { code, path, message, ...lines.at(error.offset) };
    if (expected !== undefined) problem.expected = expected;
    if (found !== undefined) problem.found = found;
    return { ok: false, problems: [problem] };
  }
}

/** The element's address: names from the root, with a 1-based index where siblings share the name. */
export function pathOf(element: XmlElement): string {
  const parts: string[] = [];
  for (let at: XmlElement | null = element; at !== null; at = at.parent) {
    const { name, parent, ordinal } = at;
    const several = (parent?.counts.get(name) ?? 1) > 1;
    parts.unshift(several ? `${name}[${ordinal}]` : name);
  }
  return `/${parts.join('/')}`;
}

class TreeBuilder {
  private readonly parser = new SaxesParser({ xmlns: false });
  private pending: { name: string; value: string }[] = [];
  private open: XmlElement | null = null;
  private root: XmlElement | null = null;
  private elements = 0;
  private depth = 0;

  constructor(private readonly source: string) {}

  build(): XmlElement {
    this.checkSize();
    this.listen();
    this.parser.write(this.source).close();
    if (this.root === null)
      throw this.syntax(this.source.length, 'the document has no root element');
    return this.root;
  }

  private checkSize(): void {
    // UTF-8 is never shorter than the count of UTF-16 units, so the cheap test comes first.
    const bytes =
      this.source.length > LIMITS.documentBytes
        ? this.source.length
        : Buffer.byteLength(this.source, 'utf8');
    if (bytes <= LIMITS.documentBytes) return;
    throw new Refusal(
      'document-too-large',
      0,
      'the document is larger than any libvirt document',
      `at most ${LIMITS.documentBytes} bytes`,
      `${bytes} bytes`,
    );
  }

  private listen(): void {
    const { parser } = this;
    parser.on('error', (error) => {
      throw this.fault(error.message);
    });
    parser.on('doctype', () => {
      const start = this.source.lastIndexOf('<!DOCTYPE', parser.position);
      throw new Refusal(
        'xml-doctype',
        Math.max(start, 0),
        'a document type declaration is refused: libvirt documents have none, and it could define entities',
        'no <!DOCTYPE ...>',
        '<!DOCTYPE',
      );
    });
    parser.on('opentagstart', () => this.enter());
    parser.on('attribute', (attribute) => this.attribute(attribute));
    parser.on('opentag', (tag) => this.opened(tag.name, tag.isSelfClosing));
    parser.on('closetag', () => this.closed());
    parser.on('text', (text) => this.text(text));
    parser.on('cdata', (text) => this.text(text));
  }

  private enter(): void {
    const start = this.source.lastIndexOf('<', this.parser.position - 1);
    const { open } = this;
    this.elements += 1;
    this.depth += 1;
    this.pending = [];
    if (this.elements > LIMITS.elements) {
      throw this.limit('too-many-elements', start, `${LIMITS.elements} elements`);
    }
    if (this.depth > LIMITS.depth) {
      throw this.limit('nesting-too-deep', start, `${LIMITS.depth} levels`);
    }
    const element: XmlElement = {
      name: '',
      parent: open,
      attributes: [],
      children: [],
      text: '',
      start,
      openEnd: start,
      closeStart: start,
      end: start,
      selfClosing: false,
      ordinal: 1,
      counts: new Map(),
    };
    if (open === null) this.root ??= element;
    else open.children.push(element);
    this.open = element;
  }

  private attribute(attribute: { name: string; value: string }): void {
    this.pending.push(attribute);
    if (this.pending.length > LIMITS.attributesPerElement) {
      const at = this.parser.position - 1;
      throw this.limit('too-many-attributes', at, `${LIMITS.attributesPerElement} attributes`);
    }
  }

  private opened(name: string, selfClosing: boolean): void {
    const element = this.current();
    element.name = name;
    element.selfClosing = selfClosing;
    element.openEnd = this.parser.position;
    element.ordinal = (element.parent?.counts.get(name) ?? 0) + 1;
    element.parent?.counts.set(name, element.ordinal);
    element.attributes = this.locateAttributes(element);
  }

  /** The start tag is well-formed by now, so a plain scan finds what the parser has decoded. */
  private locateAttributes(element: XmlElement): XmlAttribute[] {
    const scan = /\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')/y;
    scan.lastIndex = element.start + 1 + element.name.length;
    return this.pending.map(({ name, value }) => {
      const match = scan.exec(this.source);
      const [whole = '', rawName = '', quoted = ''] = match ?? [];
      const valueEnd = scan.lastIndex - 1;
      return {
        name,
        value,
        start: scan.lastIndex - whole.length + whole.indexOf(rawName),
        valueStart: valueEnd - (quoted.length - 2),
        valueEnd,
        quote: quoted.charAt(0),
      };
    });
  }

  private closed(): void {
    const element = this.current();
    element.end = this.parser.position;
    element.closeStart = element.selfClosing
      ? element.end
      : this.source.lastIndexOf('</', element.end - 1);
    this.depth -= 1;
    this.open = element.parent;
  }

  private text(text: string): void {
    if (this.open !== null) this.open.text += text;
  }

  private current(): XmlElement {
    if (this.open === null) throw this.syntax(this.parser.position, 'unexpected close tag');
    return this.open;
  }

  private limit(code: ProblemCode, offset: number, most: string): Refusal {
    const path = this.open === null || this.open.name === '' ? '/' : pathOf(this.open);
    return new Refusal(
      code,
      offset,
      `the document has more than ${most}`,
      `at most ${most}`,
      undefined,
      path,
    );
  }

  /** saxes says `line:column: what`; the position is ours already. */
  private fault(message: string): Refusal {
    const what = message.replace(/^\d+:\d+: /, '').replace(/\.$/, '');
    const last = Math.max(Math.min(this.parser.position, this.source.length) - 1, 0);
    // CR LF is one line end, and the parser may stand between the two.
    const at = this.source.startsWith('\r\n', last - 1) ? last - 1 : last;
    if (/entity/.test(what)) {
      const start = Math.max(this.source.lastIndexOf('&', at), 0);
      const found = this.source.slice(start, at + 1).slice(0, 64);
      return new Refusal(
        'xml-entity',
        start,
        `entity refused (${what})`,
        '&lt; &gt; &amp; &quot; &apos; or a character reference',
        found,
      );
    }
    if (/only one root/.test(what)) {
      const start = Math.max(this.source.lastIndexOf('<', at), 0);
      return new Refusal('xml-multiple-roots', start, 'a second root element', 'one root element');
    }
    return this.syntax(at, what);
  }

  private syntax(offset: number, what: string): Refusal {
    const path = this.open === null || this.open.name === '' ? '/' : pathOf(this.open);
    const found = this.source.slice(Math.max(offset - 12, 0), offset + 12);
    return new Refusal(
      'xml-syntax',
      offset,
      `not well-formed: ${what}`,
      'well-formed XML',
      found,
      path,
    );
  }
}
