/**
 * XML 1.0 text to a tree, in one pass over the characters.
 *
 * Nothing is expanded and nothing is fetched: a DOCTYPE is refused, and with it every entity that the
 * five predefined ones do not cover. Namespaces are not looked at: a prefix is part of a name.
 */
import type { ProblemCode } from './codes';
import { LIMITS } from './limits';
import { ENTITIES, XmlAttribute, XmlElement, pathOf } from './tree';

/** Leaves the scanner at the first fault: what follows one syntax fault is guesswork. */
export class Refusal extends Error {
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

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const BANG = 0x21;
const QUESTION = 0x3f;
const NO_PATH = '/';

const NAME_START =
  ':A-Z_a-z\\u{C0}-\\u{D6}\\u{D8}-\\u{F6}\\u{F8}-\\u{2FF}\\u{370}-\\u{37D}\\u{37F}-\\u{1FFF}\\u{200C}-\\u{200D}\\u{2070}-\\u{218F}\\u{2C00}-\\u{2FEF}\\u{3001}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFFD}\\u{10000}-\\u{EFFFF}';
const NAME = new RegExp(
  `[${NAME_START}][${NAME_START}\\-.0-9\\u{B7}\\u{300}-\\u{36F}\\u{203F}-\\u{2040}]*`,
  'uy',
);
const DECLARATION =
  /<\?xml\s+version\s*=\s*(?:"1\.[0-9]+"|'1\.[0-9]+')(?:\s+encoding\s*=\s*(?:"[A-Za-z][A-Za-z0-9._-]*"|'[A-Za-z][A-Za-z0-9._-]*'))?(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>/y;
/** What XML allows nowhere, and halves of surrogate pairs, which are looked at one by one. */
const SUSPECT = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g;

const isBlank = (code: number): boolean =>
  code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

/** ASCII characters of a name behind its first. */
const isPlainNameCharacter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x30 && code <= 0x3a) ||
  code === 0x5f ||
  code === 0x2d ||
  code === 0x2e;
const isPlainNameStart = (code: number): boolean =>
  isPlainNameCharacter(code) && (code > 0x39 || code < 0x30) && code !== 0x2d && code !== 0x2e;

/**
 * Reads the roots of a text.
 * @param several whether more than one root may follow each other, each with a declaration of its own
 * @returns at least one element
 * @throws Refusal at the first fault
 */
export function scan(source: string, several: boolean): XmlElement[] {
  const illegal = firstIllegal(source);
  let roots: XmlElement[];
  try {
    roots = new Scanner(source, several).run();
  } catch (error) {
    const later = error instanceof Refusal && illegal >= 0 && illegal <= error.offset;
    throw later ? illegalCharacter(source, illegal) : error;
  }
  if (illegal >= 0) throw illegalCharacter(source, illegal);
  return roots;
}

function firstIllegal(source: string): number {
  SUSPECT.lastIndex = 0;
  for (let match = SUSPECT.exec(source); match !== null; match = SUSPECT.exec(source)) {
    const code = source.charCodeAt(match.index);
    const next = source.charCodeAt(match.index + 1);
    const pair = code >= 0xd800 && code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
    if (!pair) return match.index;
    SUSPECT.lastIndex = match.index + 2;
  }
  return -1;
}

function illegalCharacter(source: string, offset: number): Refusal {
  const code = source.charCodeAt(offset).toString(16).toUpperCase().padStart(4, '0');
  const message = `not well-formed: the character U+${code} is not allowed in XML`;
  return new Refusal('xml-syntax', offset, message, 'well-formed XML', `U+${code}`);
}

class Scanner {
  private readonly roots: XmlElement[] = [];
  private open: XmlElement | null = null;
  private at = 0;
  private elements = 0;
  private depth = 0;
  /** The next of each at or behind `at`; each is searched for again only once it is passed. */
  private nextReference: number;
  private nextCdataEnd: number;

  constructor(
    private readonly source: string,
    private readonly several: boolean,
  ) {
    this.nextReference = indexOrEnd(source, '&', 0);
    this.nextCdataEnd = indexOrEnd(source, ']]>', 0);
  }

  run(): XmlElement[] {
    const { source } = this;
    this.declaration();
    while (this.at < source.length) {
      const tag = indexOrEnd(source, '<', this.at);
      if (tag > this.at) this.characters(tag);
      if (tag < source.length) this.markup(tag);
    }
    if (this.open !== null) throw this.syntax(source.length, `unclosed tag: ${this.open.name}`);
    if (this.roots.length === 0) {
      throw this.syntax(source.length, 'the document has no root element');
    }
    return this.roots;
  }

  /** A byte order mark and `<?xml ...?>`, which stand at the beginning only. */
  private declaration(): void {
    const { source } = this;
    if (source.charCodeAt(this.at) === 0xfeff) this.at += 1;
    if (!/^<\?xml[\s?]/.test(source.slice(this.at, this.at + 6))) return;
    DECLARATION.lastIndex = this.at;
    if (!DECLARATION.test(source)) throw this.syntax(this.at, 'malformed XML declaration');
    this.at = DECLARATION.lastIndex;
  }

  private characters(end: number): void {
    const { source } = this;
    if (this.open === null) {
      let at = this.at;
      while (at < end && isBlank(source.charCodeAt(at))) at += 1;
      this.at = at;
      if (at < end && this.several && source.charCodeAt(at) === 0xfeff) this.at += 1;
      else if (at < end) throw this.syntax(at, 'text outside of the root element');
      return;
    }
    if (this.nextReference < this.at) this.nextReference = indexOrEnd(source, '&', this.at);
    while (this.nextReference < end) this.reference(end);
    if (this.nextCdataEnd < this.at) this.nextCdataEnd = indexOrEnd(source, ']]>', this.at);
    if (this.nextCdataEnd < end) {
      throw this.syntax(this.nextCdataEnd, 'the string "]]>" is not allowed in text');
    }
    this.at = end;
  }

  /** Looks at the reference at `nextReference`, and for the one behind it. */
  private reference(end: number): void {
    const { source, nextReference: start } = this;
    const semicolon = source.indexOf(';', start);
    // No reference that is allowed is longer; a semicolon far behind belongs to something else.
    const known = semicolon > 0 && semicolon < end && semicolon - start <= 4096;
    const name = known ? source.slice(start + 1, semicolon) : '';
    if (!ENTITIES.has(name) && !isCharacterReference(name)) {
      const found = source.slice(start, Math.min(known ? semicolon + 1 : end, start + 64));
      throw new Refusal(
        'xml-entity',
        start,
        'entity refused: it is undefined or malformed',
        '&lt; &gt; &amp; &quot; &apos; or a character reference',
        found,
        this.path(),
      );
    }
    this.nextReference = indexOrEnd(source, '&', start + 1);
  }

  private markup(start: number): void {
    const { source } = this;
    switch (source.charCodeAt(start + 1)) {
      case SLASH:
        return this.closeTag(start);
      case BANG:
        return this.declarationLike(start);
      case QUESTION:
        return this.instruction(start);
      default:
        return this.openTag(start);
    }
  }

  private declarationLike(start: number): void {
    const { source } = this;
    if (source.startsWith('<!--', start)) {
      const dashes = source.indexOf('--', start + 4);
      if (dashes < 0) throw this.syntax(source.length, 'unclosed comment');
      if (source.charCodeAt(dashes + 2) !== GT) {
        throw this.syntax(dashes, 'two dashes inside of a comment');
      }
      this.at = dashes + 3;
    } else if (source.startsWith('<![CDATA[', start) && this.open !== null) {
      const end = source.indexOf(']]>', start + 9);
      if (end < 0) throw this.syntax(source.length, 'unclosed CDATA');
      this.at = end + 3;
    } else if (source.startsWith('<!DOCTYPE', start)) {
      throw new Refusal(
        'xml-doctype',
        start,
        'a document type declaration is refused: libvirt documents have none, and it could define entities',
        'no <!DOCTYPE ...>',
        '<!DOCTYPE',
      );
    } else {
      throw this.syntax(start, 'markup that is neither a comment nor CDATA');
    }
  }

  private instruction(start: number): void {
    const { source } = this;
    const name = this.nameAt(start + 2);
    if (name.toLowerCase() === 'xml') {
      if (this.several && this.open === null && this.roots.length > 0) {
        this.at = start;
        return this.declaration();
      }
      throw this.syntax(start, 'an XML declaration must be at the start of the document');
    }
    const behind = start + 2 + name.length;
    const end = source.indexOf('?>', behind);
    if (end < 0) throw this.syntax(source.length, 'unclosed processing instruction');
    if (end > behind && !isBlank(source.charCodeAt(behind))) {
      throw this.syntax(behind, 'malformed processing instruction');
    }
    this.at = end + 2;
  }

  private openTag(start: number): void {
    const { source, open } = this;
    const name = this.nameAt(start + 1);
    if (open === null && this.roots.length > 0 && !this.several) {
      throw new Refusal('xml-multiple-roots', start, 'a second root element', 'one root element');
    }
    this.elements += 1;
    this.depth += 1;
    if (this.elements > LIMITS.elements) {
      throw this.limit('too-many-elements', start, `${LIMITS.elements} elements`);
    }
    if (this.depth > LIMITS.depth) {
      throw this.limit('nesting-too-deep', start, `${LIMITS.depth} levels`);
    }
    const element = new XmlElement(source, name, open, start);
    if (open === null) this.roots.push(element);
    else if (open.children.length === 0) open.children = [element];
    else (open.children as XmlElement[]).push(element);
    this.open = element;
    this.at = start + 1 + name.length;
    this.attributes(element);
    element.openEnd = this.at;
    if (!element.selfClosing) return;
    element.closeStart = this.at;
    this.close(element);
  }

  /** Everything up to the `>` of a start tag. */
  private attributes(element: XmlElement): void {
    const { source } = this;
    const found: XmlAttribute[] = [];
    for (;;) {
      const before = this.at;
      this.skipBlanks();
      const code = source.charCodeAt(this.at);
      if (code === GT) break;
      if (code === SLASH) {
        if (source.charCodeAt(this.at + 1) !== GT) {
          throw this.syntax(this.at, "'/' not followed by '>' in a start tag");
        }
        element.selfClosing = true;
        this.at += 1;
        break;
      }
      if (this.at === before) throw this.syntax(this.at, 'disallowed character in a start tag');
      found.push(this.attribute());
      if (found.length > LIMITS.attributesPerElement) {
        throw this.limit(
          'too-many-attributes',
          this.at,
          `${LIMITS.attributesPerElement} attributes`,
        );
      }
    }
    this.at += 1;
    if (found.length === 0) return;
    element.attributes = found;
    this.refuseTwice(found);
  }

  private attribute(): XmlAttribute {
    const { source } = this;
    const start = this.at;
    const name = this.nameAt(start);
    this.at = start + name.length;
    this.skipBlanks();
    if (source.charCodeAt(this.at) !== EQUALS)
      throw this.syntax(this.at, 'attribute without value');
    this.at += 1;
    this.skipBlanks();
    const quote = source.charAt(this.at);
    if (quote !== "'" && quote !== '"') throw this.syntax(this.at, 'unquoted attribute value');
    const valueStart = this.at + 1;
    const valueEnd = source.indexOf(quote, valueStart);
    if (valueEnd < 0) throw this.syntax(source.length, 'unclosed attribute value');
    this.at = valueStart;
    for (let at = valueStart; at < valueEnd; at += 1) {
      const code = source.charCodeAt(at);
      if (code === LT) throw this.syntax(at, "'<' in an attribute value");
    }
    if (this.nextReference < valueStart) {
      this.nextReference = indexOrEnd(source, '&', valueStart);
    }
    while (this.nextReference < valueEnd) this.reference(valueEnd);
    this.at = valueEnd + 1;
    return new XmlAttribute(source, name, start, valueStart, valueEnd);
  }

  private refuseTwice(found: XmlAttribute[]): void {
    const twice =
      found.length <= 8
        ? found.find(({ name }, index) => {
            for (let i = 0; i < index; i += 1) if (found[i]?.name === name) return true;
            return false;
          })
        : firstTwice(found);
    if (twice !== undefined) throw this.syntax(twice.start, `duplicate attribute: ${twice.name}`);
  }

  private closeTag(start: number): void {
    const { source, open } = this;
    const behind = open === null ? 0 : start + 2 + open.name.length;
    if (open === null || !source.startsWith(open.name, start + 2)) {
      throw this.syntax(start, 'unexpected close tag');
    }
    this.at = behind;
    this.skipBlanks();
    if (source.charCodeAt(this.at) !== GT) throw this.syntax(start, 'unexpected close tag');
    this.at += 1;
    open.closeStart = start;
    this.close(open);
  }

  private close(element: XmlElement): void {
    element.end = this.at;
    this.depth -= 1;
    this.open = element.parent;
  }

  private skipBlanks(): void {
    const { source } = this;
    while (isBlank(source.charCodeAt(this.at))) this.at += 1;
  }

  private nameAt(start: number): string {
    const { source } = this;
    let at = start;
    if (isPlainNameStart(source.charCodeAt(at))) {
      do at += 1;
      while (isPlainNameCharacter(source.charCodeAt(at)));
    }
    // NaN behind the end compares false.
    if (!(source.charCodeAt(at) >= 0x80)) {
      if (at > start) return source.slice(start, at);
      throw this.syntax(Math.min(start, source.length), 'a name is missing');
    }
    NAME.lastIndex = start;
    const name = NAME.exec(source)?.[0];
    if (name === undefined) throw this.syntax(start, 'a name is missing');
    return name;
  }

  private path(): string {
    return this.open === null ? NO_PATH : pathOf(this.open);
  }

  private limit(code: ProblemCode, offset: number, most: string): Refusal {
    const message = `the document has more than ${most}`;
    return new Refusal(code, offset, message, `at most ${most}`, undefined, this.path());
  }

  private syntax(offset: number, what: string): Refusal {
    const last = Math.max(Math.min(offset, this.source.length - 1), 0);
    // CR LF is one line end, and the fault may lie between the two.
    const at = this.source.startsWith('\r\n', last - 1) ? last - 1 : last;
    const found = this.source.slice(Math.max(at - 12, 0), at + 12);
    const message = `not well-formed: ${what}`;
    return new Refusal('xml-syntax', at, message, 'well-formed XML', found, this.path());
  }
}

function indexOrEnd(source: string, what: string, from: number): number {
  const found = source.indexOf(what, from);
  return found < 0 ? source.length : found;
}

function firstTwice(found: XmlAttribute[]): XmlAttribute | undefined {
  const seen = new Set<string>();
  return found.find(({ name }) => seen.size === seen.add(name).size);
}

/** `#65` or `#x41` that means a character that XML allows. */
function isCharacterReference(name: string): boolean {
  const match = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(name);
  if (match === null) return false;
  const code = match[1] === undefined ? Number(match[2]) : parseInt(match[1], 16);
  if (code < 0x20) return code === 0x09 || code === 0x0a || code === 0x0d;
  return (
    code < 0xd800 || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff)
  );
}
