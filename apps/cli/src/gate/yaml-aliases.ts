/**
 * What a plan's aliases may stand for. Counted before they are resolved: resolving takes the square of their
 * number, and whoever reads the result walks through every value that an alias stands for.
 */
import { isAlias, isMap, isScalar, isSeq, type Document } from 'yaml';

const MAX_ALIASES = 1000;
const MAX_ALIASED_VALUES = 100_000;

const WRITE_OUT =
  'write the values out, or give what guests have in common as a flavour with a count';

/** What is wrong with an alias, and the offset where it stands. */
export interface AliasFault {
  offset: number;
  message: string;
}

/** @returns the first alias that cannot be resolved or that goes beyond a limit, or null */
export function aliasLimits(document: Document): AliasFault | null {
  const count = new AliasCount();
  count.valuesOf(document.contents);
  return count.fault;
}

class AliasCount {
  fault: AliasFault | null = null;
  /** Values below each anchor met so far; `open` while its own are being counted. */
  private readonly anchors = new Map<string, number | 'open'>();
  private aliases = 0;
  private aliasedValues = 0;

  /** Values that a node stands for, itself among them; the walk ends with the first fault. */
  valuesOf(node: unknown): number {
    if (this.fault !== null) return 0;
    if (isAlias(node)) return this.aliased(node.source, node.range?.[0] ?? 0);
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) return 0;
    const { anchor } = node;
    if (anchor !== undefined) this.anchors.set(anchor, 'open');
    let values = 1;
    if (isMap(node)) {
      for (const { key, value } of node.items) values += this.valuesOf(key) + this.valuesOf(value);
    } else if (isSeq(node)) {
      for (const item of node.items) values += this.valuesOf(item);
    }
    if (anchor !== undefined) this.anchors.set(anchor, values);
    return values;
  }

  private aliased(name: string, offset: number): number {
    const refuse = (message: string): number => {
      this.fault = { offset, message };
      return 0;
    };
    const values = this.anchors.get(name);
    if (values === undefined) {
      return refuse(
        `No anchor &${name} stands before the alias *${name}: define it, or correct the name.`,
      );
    }
    if (values === 'open') {
      return refuse(`The alias *${name} stands inside of what it stands for: take it out.`);
    }
    this.aliases += 1;
    this.aliasedValues += values;
    if (this.aliases > MAX_ALIASES) {
      return refuse(`The plan has more than ${MAX_ALIASES} aliases: ${WRITE_OUT}.`);
    }
    if (this.aliasedValues > MAX_ALIASED_VALUES) {
      return refuse(
        `With *${name} the plan's aliases stand for ${this.aliasedValues} values, and at most ${MAX_ALIASED_VALUES} are read: ${WRITE_OUT}.`,
      );
    }
    return values;
  }
}
