/** A place in a document as editors count: 1-based, columns in characters (not UTF-16 units). */
export interface Position {
  line: number;
  column: number;
}

/** Turns offsets into lines and columns; CR LF, LF and CR each end a line, as XML says. */
export class LineIndex {
  private lines: number[] | null = null;
  /** Offsets of surrogate pairs: two UTF-16 units that are one character. */
  private pairs: number[] = [];

  constructor(private readonly source: string) {}

  at(offset: number): Position {
    const lines = (this.lines ??= this.scan());
    const line = countUpTo(lines, offset);
    const start = lines[line - 1] ?? 0;
    const pairs = countUpTo(this.pairs, offset - 1) - countUpTo(this.pairs, start - 1);
    return { line, column: offset - start - pairs + 1 };
  }

  private scan(): number[] {
    const { source } = this;
    const lines = [0];
    if (/[\r\ud800-\udbff]/.test(source)) this.scanAll(lines);
    else
      for (let at = source.indexOf('\n') + 1; at > 0; at = source.indexOf('\n', at) + 1)
        lines.push(at);
    return lines;
  }

  private scanAll(lines: number[]): void {
    const marks = /\r\n|\n|\r|[\ud800-\udbff][\udc00-\udfff]/g;
    for (let mark = marks.exec(this.source); mark !== null; mark = marks.exec(this.source)) {
      if (mark[0] > '\r\n') this.pairs.push(mark.index);
      else lines.push(marks.lastIndex);
    }
  }
}

/** How many of the ascending numbers are at most `limit`. */
function countUpTo(numbers: number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
