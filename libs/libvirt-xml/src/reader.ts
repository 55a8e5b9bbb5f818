/** Typed access to the tree. Every fault is collected with its place; reading goes on with a neutral value. */
import { SET_LIMIT, parseSet } from './bitmap';
import type { ProblemCode, WarningCode } from './codes';
import { LIMITS } from './limits';
import type { XmlDocument } from './document';
import { pathOf } from './tree';
import type { XmlAttribute, XmlElement } from './tree';
import type { Position } from './position';
import type { DomainView, XmlProblem } from './types';
import { parseSize } from './units';
import { NEWEST } from './version';

/** More than this found text in an error helps nobody. */
const SHOWN_CHARACTERS = 80;

interface Detail {
  expected?: string;
  found?: string;
}

export class Reader {
  readonly problems: XmlProblem[] = [];
  readonly warnings: DomainView['warnings'] = [];
  readonly positions: Record<string, Position> = {};

  private setIds = 0;

  /** @param version of the libvirt whose rules are applied */
  constructor(
    private readonly document: XmlDocument,
    readonly version: number = NEWEST,
  ) {}

  /** Records a problem at an element, or at one of its attributes. */
  problem(
    code: ProblemCode,
    at: XmlElement,
    attribute: string | null,
    message: string,
    detail: Detail = {},
  ): void {
    if (this.problems.length > LIMITS.problems) return;
    const full = this.problems.length === LIMITS.problems;
    const where = this.where(at, attribute);
    if (full) {
      const text = `more than ${LIMITS.problems} problems; the rest is not listed`;
      this.problems.push({ code: 'too-many-problems', ...where, message: text });
      return;
    }
    const { expected, found } = detail;
    this.problems.push({
      code,
      ...where,
      message,
      ...(expected === undefined ? {} : { expected }),
      ...(found === undefined ? {} : { found: shorten(found) }),
    });
  }

  warn(code: WarningCode, at: XmlElement, attribute: string | null, message: string): void {
    if (this.warnings.length >= LIMITS.problems) return;
    const where = this.where(at, attribute);
    this.warnings.push({ code, ...where, message });
  }

  /** Remembers where something stands, for checks that come later (a nodeset against a host). */
  remember(at: XmlElement, attribute: string | null): string {
    const { path, line, column } = this.where(at, attribute);
    this.positions[path] = { line, column };
    return path;
  }

  private where(at: XmlElement, attribute: string | null): { path: string } & Position {
    const found = attribute === null ? undefined : findAttribute(at, attribute);
    const path = attribute === null ? pathOf(at) : `${pathOf(at)}/@${attribute}`;
    return { path, ...this.document.positionAt(found?.start ?? at.start) };
  }

  /** The attribute's value; null and a problem when it is absent. */
  required(at: XmlElement, name: string): string | null {
    const value = attributeOf(at, name);
    if (value === null) {
      this.problem('missing-attribute', at, name, `<${at.name}> needs the attribute ${name}`, {
        expected: `${name}='...'`,
      });
    }
    return value;
  }

  /** One of the listed words, or null (absent, or refused). */
  word<T extends string>(
    at: XmlElement,
    name: string,
    words: readonly T[],
    code: ProblemCode = 'invalid-value',
  ): T | null {
    const value = attributeOf(at, name);
    if (value === null) return null;
    const known = words.find((word) => word === value);
    if (known === undefined) {
      this.problem(code, at, name, `${name} of <${at.name}> is not a word that libvirt knows`, {
        expected: words.join(' | '),
        found: value,
      });
    }
    return known ?? null;
  }

  yesNo(at: XmlElement, name: string): boolean | null {
    const value = this.word(at, name, ['yes', 'no'] as const);
    return value === null ? null : value === 'yes';
  }

  /** A non-negative 32-bit integer in an attribute; null when absent or refused. */
  uint(at: XmlElement, name: string, least = 0, most = 4294967295): number | null {
    const value = attributeOf(at, name);
    return value === null ? null : this.toUint(at, name, value, least, most);
  }

  uintText(at: XmlElement, least = 0, most = 4294967295): number | null {
    return this.toUint(at, null, at.text, least, most);
  }

  private toUint(
    at: XmlElement,
    name: string | null,
    text: string,
    least: number,
    most: number,
  ): number | null {
    // strtoul takes leading blanks and a plus; libvirt refuses whatever follows the digits.
    const value = /^\s*\+?[0-9]{1,20}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const what = name === null ? `<${at.name}>` : `${name} of <${at.name}>`;
    this.problem('invalid-number', at, name, `${what} is not a number that fits`, {
      expected: `an integer from ${least} to ${most}`,
      found: text,
    });
    return null;
  }

  /** A set of ids in an attribute; null when absent or refused. */
  set(at: XmlElement, name: string): number[] | null {
    const value = attributeOf(at, name);
    return value === null ? null : this.toSet(at, name, value);
  }

  /** As {@link set}, where libvirt takes a set that names nothing in the end (`0,^0`) for none. */
  setOrNone(at: XmlElement, name: string): number[] | null {
    const value = attributeOf(at, name);
    return value === null ? null : this.toSet(at, name, value, true);
  }

  setText(at: XmlElement): number[] | null {
    return this.toSet(at, null, at.text);
  }

  private toSet(
    at: XmlElement,
    name: string | null,
    text: string,
    mayBeEmpty = false,
  ): number[] | null {
    if (this.setIds > LIMITS.setIds) {
      const message = 'the sets of this document are larger than any host';
      const expected = `at most ${LIMITS.setIds} ids in all sets together`;
      this.problem('too-many-elements', at, name, message, { expected });
      return null;
    }
    const outcome = parseSet(text);
    // A refused set may have cost as much as a large one.
    this.setIds += outcome.ok ? outcome.value.length : SET_LIMIT;
    if (outcome.ok && (mayBeEmpty || outcome.value.length > 0)) return outcome.value;
    const what = name === null ? `<${at.name}>` : `${name} of <${at.name}>`;
    const detail = { expected: 'a set such as 0-3,^1 with ids 0 to 16383', found: text };
    if (outcome.ok) {
      const message = `${what} names nothing: what it adds it takes out again`;
      this.problem('empty-set', at, name, message, detail);
    } else {
      this.problem('invalid-set', at, name, `${what} is not a set: ${outcome.why}`, detail);
    }
    return null;
  }

  /** A size as element text with a `unit` attribute, in KiB; an empty element is 0, as none at all is. */
  sizeText(at: XmlElement): number | null {
    const { text } = at;
    return text === '' ? 0 : this.toSize(at, null, text);
  }

  /** A size as an attribute with a `unit` attribute beside it, in KiB; an empty one is missing. */
  size(at: XmlElement, name: string): number | null {
    const value = attributeOf(at, name);
    if (value !== '') return value === null ? null : this.toSize(at, name, value);
    const message = `<${at.name}> needs a value in the attribute ${name}`;
    this.problem('missing-attribute', at, name, message, { expected: `${name}='...'` });
    return null;
  }

  private toSize(at: XmlElement, name: string | null, text: string): number | null {
    const outcome = parseSize(text, attributeOf(at, 'unit') || 'KiB');
    if (outcome.ok) return outcome.kib;
    const { code, expected, found } = outcome;
    const what = name === null ? `<${at.name}>` : `${name} of <${at.name}>`;
    const message = {
      'unknown-unit': `the unit of ${what} is not one that libvirt knows`,
      'size-overflow': `${what} is larger than libvirt can hold`,
    }[code as string];
    const place = code === 'unknown-unit' ? 'unit' : name;
    this.problem(code, at, place, message ?? `${what} is not a size`, { expected, found });
    return null;
  }
}

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

export function findAttribute(element: XmlElement, name: string): XmlAttribute | undefined {
  return element.attributes.find((attribute) => attribute.name === name);
}

export function attributeOf(element: XmlElement, name: string): string | null {
  return findAttribute(element, name)?.value ?? null;
}

/** First element down a path of names, as XPath `./a/b[1]` would find it; null when there is none. */
export function first(element: XmlElement, ...names: string[]): XmlElement | null {
  return all(element, ...names)[0] ?? null;
}

/** Every element down a path of names. */
export function all(element: XmlElement, ...names: string[]): XmlElement[] {
  let found = [element];
  for (const name of names) {
    found = found.flatMap((at) => at.children.filter((child) => child.name === name));
  }
  return found;
}
