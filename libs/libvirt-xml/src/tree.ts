/** A document as a tree of offsets: values are decoded when they are asked for, since most never are. */

/** The five entities that every XML document has; no other is taken. */
export const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

export class XmlAttribute {
  /**
   * @param start offset of the name's first character
   * @param valueStart offset behind the opening quote
   * @param valueEnd offset of the closing quote
   */
  constructor(
    private readonly source: string,
    readonly name: string,
    readonly start: number,
    readonly valueStart: number,
    readonly valueEnd: number,
  ) {}

  get value(): string {
    return decodeAttribute(this.source.slice(this.valueStart, this.valueEnd));
  }

  get quote(): string {
    return this.source.charAt(this.valueEnd);
  }
}

const NO_ATTRIBUTES: readonly XmlAttribute[] = [];
const NO_ELEMENTS: readonly XmlElement[] = [];

export class XmlElement {
  attributes: readonly XmlAttribute[] = NO_ATTRIBUTES;
  children: readonly XmlElement[] = NO_ELEMENTS;
  /** Offset behind the `>` of the start tag. */
  openEnd: number;
  /** Offset of the end tag's `<`; equals `end` for a self-closing element. */
  closeStart: number;
  /** Offset behind the whole element. */
  end: number;
  selfClosing = false;
  private ordinals: Map<XmlElement, number> | null = null;
  private counts: Map<string, number> | null = null;

  /** @param start offset of `<` */
  constructor(
    private readonly source: string,
    readonly name: string,
    readonly parent: XmlElement | null,
    readonly start: number,
  ) {
    this.openEnd = start;
    this.closeStart = start;
    this.end = start;
  }

  /** Own character data and CDATA, without that of the children. */
  get text(): string {
    if (this.selfClosing) return '';
    const { children, openEnd, closeStart } = this;
    if (children.length === 0) return decodeText(this.source.slice(openEnd, closeStart));
    let text = '';
    let at = openEnd;
    for (const child of children) {
      text += decodeText(this.source.slice(at, child.start));
      at = child.end;
    }
    return text + decodeText(this.source.slice(at, closeStart));
  }

  /** 1-based place of a child among its siblings of the same name, and how many of these there are. */
  placeOf(child: XmlElement): { ordinal: number; count: number } {
    if (this.ordinals === null || this.counts === null) {
      this.ordinals = new Map();
      this.counts = new Map();
      for (const each of this.children) {
        const ordinal = (this.counts.get(each.name) ?? 0) + 1;
        this.counts.set(each.name, ordinal);
        this.ordinals.set(each, ordinal);
      }
    }
    const { ordinals, counts } = this;
    return { ordinal: ordinals.get(child) ?? 1, count: counts.get(child.name) ?? 1 };
  }
}

/** The element's address: names from the root, with a 1-based index where siblings share the name. */
export function pathOf(element: XmlElement): string {
  const parts: string[] = [];
  for (let at: XmlElement | null = element; at !== null; at = at.parent) {
    const { name, parent } = at;
    const { ordinal, count } = parent?.placeOf(at) ?? { ordinal: 1, count: 1 };
    parts.unshift(count > 1 ? `${name}[${ordinal}]` : name);
  }
  return `/${parts.join('/')}`;
}

const REFERENCE = /&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-z]+));/g;

function decodeReferences(raw: string): string {
  return raw.replace(REFERENCE, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return ENTITIES.get(name) ?? whole;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16));
  });
}

/** XML's attribute values: white space is blanks, CR LF is one line end and so one blank. */
function decodeAttribute(raw: string): string {
  if (!/[&\t\n\r]/.test(raw)) return raw;
  return decodeReferences(raw.replace(/\r\n|[\t\n\r]/g, ' '));
}

const MARKUP = /<!--[^]*?-->|<\?[^]*?\?>|<!\[CDATA\[([^]*?)\]\]>/g;

/** Character data between two tags, which may hold comments, instructions and CDATA. */
function decodeText(raw: string): string {
  if (!/[&<\r]/.test(raw)) return raw;
  const lines = raw.replace(/\r\n?/g, '\n');
  let text = '';
  let at = 0;
  for (const match of lines.matchAll(MARKUP)) {
    text += decodeReferences(lines.slice(at, match.index)) + (match[1] ?? '');
    at = match.index + match[0].length;
  }
  return text + decodeReferences(lines.slice(at));
}
