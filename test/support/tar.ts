import { gzipSync } from 'node:zlib';

export interface Entry {
  path: string;
  text?: string;
  /** `0` a file, `5` a folder, `2` a link, `x` an extended header, `L` a long name. */
  type?: string;
  link?: string;
}

/** One header block of a ustar archive. */
function headerOf({ path, type = '0', link = '' }: Entry, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(path.slice(0, 100), 0, 'utf8');
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write(link, 157);
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A tar archive of these entries. */
export function tarOf(entries: Entry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const data = Buffer.from(entry.text ?? '');
    return [headerOf(entry, data.length), data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export const gzippedTarOf = (entries: Entry[]): Buffer => gzipSync(tarOf(entries));
