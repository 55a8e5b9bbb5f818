/** XML text to a tree that remembers where everything stands, so that an edit can be a splice. */
import { LIMITS } from './limits';
import { LineIndex } from './position';
import type { Position } from './position';
import { Refusal, scan } from './scanner';
import type { XmlElement } from './tree';
import type { XmlProblem } from './types';

export interface XmlDocument {
  source: string;
  root: XmlElement;
  /** Every root: one, but for an upload of several documents. */
  roots: XmlElement[];
  positionAt(offset: number): Position;
}

/**
 * Reads a whole document.
 * @param several whether several documents may follow each other in the text
 * @returns the tree, or exactly one problem (syntax faults are not collected)
 */
export function readDocument(
  source: string,
  several = false,
): { ok: true; value: XmlDocument } | { ok: false; problems: XmlProblem[] } {
  const lines = new LineIndex(source);
  try {
    checkSize(source);
    const roots = scan(source, several);
    const [root] = roots;
    if (root === undefined) throw new Error('scan() promises a root');
    const positionAt = (offset: number): Position => lines.at(offset);
    return { ok: true, value: { source, root, roots, positionAt } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, path, message, expected, found } = error;
    const problem: XmlProblem = { code, path, message, ...lines.at(error.offset) };
    if (expected !== undefined) problem.expected = expected;
    if (found !== undefined) problem.found = found;
    return { ok: false, problems: [problem] };
  }
}

function checkSize(source: string): void {
  // UTF-8 is never shorter than the count of UTF-16 units, so the cheap test comes first.
  const bytes =
    source.length > LIMITS.documentBytes ? source.length : Buffer.byteLength(source, 'utf8');
  if (bytes <= LIMITS.documentBytes) return;
  throw new Refusal(
    'document-too-large',
    0,
    'the document is larger than any libvirt document',
    `at most ${LIMITS.documentBytes} bytes`,
    `${bytes} bytes`,
  );
}
