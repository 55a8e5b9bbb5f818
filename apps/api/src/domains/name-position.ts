import { SaxesParser } from 'saxes';

/**
 * Where a domain document's own `<name>` begins, 1-based; undefined if it has none.
 * @param xml a document that libvirt-xml has already accepted: well-formed, without DOCTYPE
 */
export function namePosition(xml: string): { line: number; column: number } | undefined {
  const parser = new SaxesParser({ xmlns: false });
  const open: string[] = [];
  let offset: number | undefined;
  parser.on('opentag', ({ name }) => {
    // Attribute values hold no "<", so the last one before the tag's end begins the tag.
    if (name === 'name' && open.at(-1) === 'domain') {
      offset ??= xml.lastIndexOf('<', parser.position - 1);
    }
    open.push(name);
  });
  parser.on('closetag', () => open.pop());
  parser.write(xml).close();
  if (offset === undefined) return undefined;
  const lines = xml.slice(0, offset).split(/\r\n|\n|\r/);
  return { line: lines.length, column: [...(lines.at(-1) ?? '')].length + 1 };
}
