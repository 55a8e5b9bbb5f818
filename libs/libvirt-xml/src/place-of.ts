import { readDocument } from './document';
import type { Position } from './position';
import type { XmlElement } from './tree';

/**
 * Where an element of a domain stands, to point a reader at it.
 * @param paths names below `<domain>` such as `numatune/memory`; the first that the document has is taken
 * @returns its place, that of `<domain>` where it has none of them, line 1 for a text that is no document
 */
export function placeOfElement(xml: string, paths: string[]): Position {
  const read = readDocument(xml);
  if (!read.ok) return { line: 1, column: 1 };
  const { value: document } = read;
  const { root } = document;
  const domain = root.name === 'domain' ? root : (child(root, 'domain') ?? root);
  for (const path of paths) {
    let at: XmlElement | undefined = domain;
    for (const name of path.split('/')) at = at && child(at, name);
    if (at !== undefined) return document.positionAt(at.start);
  }
  return document.positionAt(domain.start);
}

function child(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((each) => each.name === name);
}
