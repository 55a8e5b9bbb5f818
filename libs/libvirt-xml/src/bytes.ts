/** Bytes to the text of a document, before anything of it is read. */
import { isUtf8 } from 'node:buffer';
import { LIMITS } from './limits';
import type { ParseOutcome, XmlProblem } from './types';

/**
 * The text of a document's bytes, as they are: a byte order mark stays.
 * @returns the text, or one problem: `document-too-large` (16 MiB), `xml-syntax` where the bytes are not UTF-8
 */
export function textOf(bytes: Uint8Array): ParseOutcome<string> {
  if (bytes.byteLength > LIMITS.documentBytes) return { ok: false, problems: [tooLarge()] };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A decoder would put U+FFFD in the place of what it cannot read.
  if (isUtf8(buffer)) return { ok: true, value: buffer.toString('utf8') };
  const message = 'not well-formed: the document is not UTF-8 text';
  const problem = { code: 'xml-syntax', path: '/', message, expected: 'UTF-8' };
  return { ok: false, problems: [{ ...problem, ...firstUnreadable(buffer) }] };
}

/**
 * The text of a stream of bytes. No more is taken from it than a document may have, however long it is.
 * @returns as {@link textOf}
 */
export async function textOfStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ParseOutcome<string>> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > LIMITS.documentBytes) return { ok: false, problems: [tooLarge()] };
    kept.push(chunk);
  }
  return textOf(Buffer.concat(kept, bytes));
}

function tooLarge(): XmlProblem {
  return {
    code: 'document-too-large',
    path: '/',
    message: 'the document is larger than any libvirt document',
    line: 1,
    column: 1,
    expected: `at most ${LIMITS.documentBytes} bytes`,
  };
}

/** Where the first bytes are that are not UTF-8, columns in characters. */
function firstUnreadable(buffer: Buffer): { line: number; column: number; found: string } {
  let line = 1;
  let start = 0;
  for (;;) {
    const feed = buffer.indexOf(0x0a, start);
    const end = feed < 0 ? buffer.length : feed + 1;
    const row = buffer.subarray(start, end);
    if (!isUtf8(row)) {
      // What a decoder puts for the unreadable ends the readable part; a sent U+FFFD is taken for one too.
      const before = row.toString('utf8').split('\ufffd', 1)[0] ?? '';
      const byte = row[Buffer.byteLength(before)] ?? 0;
      return { line, column: [...before].length + 1, found: `byte 0x${byte.toString(16)}` };
    }
    if (feed < 0) return { line: 1, column: 1, found: 'no UTF-8' };
    start = end;
    line += 1;
  }
}
