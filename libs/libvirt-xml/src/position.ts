/** A place in a document as editors count: 1-based, columns in characters (not UTF-16 units). */
export interface Position {
  line: number;
  column: number;
}

/** Turns offsets into lines and columns; CR LF, LF and CR each end a line, as XML says. */
export class LineIndex {
  private starts: number[] | null = null;

  constructor(private readonly source: string) {}

  at(offset: number): Position {
    const starts = (this.starts ??= this.scan());
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const before = this.source.slice(starts[low] ?? 0, offset);
    // Spreading would cost memory on a one-line document, so surrogate pairs are subtracted instead.
    const pairs = before.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0;
    return { line: low + 1, column: before.length - pairs + 1 };
  }

  private scan(): number[] {
    const starts = [0];
    const ends = /\r\n|\n|\r/g;
    while (ends.exec(this.source) !== null) starts.push(ends.lastIndex);
    return starts;
  }
}
