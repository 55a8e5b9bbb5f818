/** The inner functions of unbzip2-stream, which its types leave out. */
declare module 'unbzip2-stream/lib/bit_iterator' {
  interface BitReader {
    (bits: number | null): number;
    bytesRead: number;
  }
  /** @param nextPiece is called for more bytes whenever those before are used up */
  export default function bitIterator(nextPiece: () => Uint8Array): BitReader;
}

declare module 'unbzip2-stream/lib/bzip2' {
  type Bits = ReturnType<typeof import('unbzip2-stream/lib/bit_iterator').default>;
  const bzip2: {
    /** Size of the stream's blocks, in units of 100,000 bytes. */
    header(bits: Bits): number;
    /** Unpacks a block; the checksum so far, or null at the end of a stream. */
    decompress(
      bits: Bits,
      put: (byte: number) => void,
      block: Int32Array,
      blockBytes: number,
      checksum: number,
    ): number | null;
  };
  export default bzip2;
}
