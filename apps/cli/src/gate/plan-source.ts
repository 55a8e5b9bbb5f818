import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type YAMLParseError,
} from 'yaml';
import type { PlanProblem } from '@zonewise/plan';
import { aliasLimits } from './yaml-aliases';
import { yamlLimits } from './yaml-limits';

export interface SourcePlace {
  line: number;
  column: number;
}

/** A YAML or JSON text that knows where each of its values stands. */
export class PlanSource {
  private constructor(
    readonly content: unknown,
    private readonly document: Document,
    private readonly lines: LineCounter,
  ) {}

  /** @returns the source, or what keeps the text from being YAML, with its place */
  static parse(
    text: string,
  ): { ok: true; value: PlanSource } | { ok: false; problem: PlanProblem } {
    const lines = new LineCounter();
    const malformed = (message: string, place: Partial<PlanProblem> = {}) => ({
      ok: false as const,
      problem: { code: 'malformed-yaml', path: '', message, ...place },
    });
    const beyond = yamlLimits(text);
    if (beyond !== null) return malformed(beyond.message, { line: beyond.line, column: 1 });
    try {
      const document = parseDocument(text, { lineCounter: lines, strict: true, uniqueKeys: true });
      const [error] = document.errors;
      const at = (offset: number) => {
        const { line, col } = lines.linePos(offset);
        return { line, column: col };
      };
      if (error !== undefined) return malformed(faultOf(error), at(error.pos[0]));
      const fault = aliasLimits(document);
      if (fault !== null) return malformed(fault.message, at(fault.offset));
      const content: unknown = document.toJS({ maxAliasCount: -1 });
      return { ok: true, value: new PlanSource(content, document, lines) };
    } catch (error) {
      return malformed(error instanceof Error ? error.message : String(error));
    }
  }

  /** Where a JSON pointer's value stands: its key, or the nearest that is there. */
  placeOf(pointer: string): SourcePlace {
    let node: unknown = this.document.contents;
    let offset = startOf(node) ?? 0;
    for (const part of pointer.split('/').slice(1)) {
      const key = part.replace(/~1/g, '/').replace(/~0/g, '~');
      if (isAlias(node)) node = node.resolve(this.document);
      let mark: unknown;
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => String(isScalar(item.key) ? item.key.value : item.key) === key,
        );
        [mark, node] = [pair?.key, pair?.value];
      } else if (isSeq(node)) {
        mark = node.items[Number(key)];
        node = mark;
      } else break;
      const start = startOf(mark);
      if (start === undefined) break;
      offset = start;
    }
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** The parser's message without the place, which is told on its own. */
function faultOf({ code, message }: YAMLParseError): string {
  if (code === 'DUPLICATE_KEY') {
    return 'Keys of a mapping are unique, and this one is written twice: take one of the two out, or rename it.';
  }
  const [first = code] = message.split('\n');
  return first.replace(/ at line \d+, column \d+:?$/, '.');
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  const { range } = node;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : undefined;
}
