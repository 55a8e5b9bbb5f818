import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';

export interface Entry {
  path: string;
  text?: string | Buffer;
  type?: Header['type'];
  link?: string;
}

/** A tar archive of these entries; long names are in extended headers. */
export async function tarOf(entries: Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { path, text = '', type = 'file', link } of entries) {
    const header = { name: path, type, ...(link === undefined ? {} : { linkname: link }) };
    archive.entry(header, text);
  }
  archive.finalize();
  const blocks: Buffer[] = [];
  for await (const block of archive as AsyncIterable<Buffer>) blocks.push(block);
  return Buffer.concat(blocks);
}

export const gzippedTarOf = async (entries: Entry[]): Promise<Buffer> =>
  gzipSync(await tarOf(entries));
