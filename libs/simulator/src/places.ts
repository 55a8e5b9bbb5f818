/** Where the pages of a scattered run lie: which of its places hold one, and their frames where these follow no rule. */

/** Places of one scattered run, gaps included, at most: what finding and moving one costs stays small. */
export const MAX_PLACES = 4096;
/** Places that a new run of frames without order has room for; it doubles as often as needed. */
const FIRST_ROOM = 64;
/** Bytes of the object, its arrays' headers and their buffers, on a 64-bit V8. */
const BYTES_OF_OBJECT = 72;
const BYTES_OF_ARRAY = 200;

/**
 * Places 0 to `span` of a run. The first and the last hold a page; one bit for each says which do. Four more
 * bytes for each hold its frame, unless the frames follow the places in single steps.
 */
export class Places {
  private constructor(
    private held: Uint32Array,
    private frames: Int32Array | undefined,
    /** Bit, and entry of `frames`, of place 0. */
    private start: number,
    private places: number,
  ) {}

  /** All of them hold a page, and their frames follow a rule. */
  static filled(places: number): Places {
    const filled = new Places(new Uint32Array(wordsFor(places)), undefined, 0, places);
    filled.mark(0, places, true);
    return filled;
  }

  get span(): number {
    return this.places;
  }

  /** Are the frames listed one by one? */
  get listed(): boolean {
    return this.frames !== undefined;
  }

  get bytes(): number {
    const listed = this.frames ? BYTES_OF_ARRAY + this.frames.byteLength : 0;
    return BYTES_OF_OBJECT + BYTES_OF_ARRAY + this.held.byteLength + listed;
  }

  /** Frame of a place that holds a page; only where frames are listed. */
  frameAt(place: number): number {
    return this.frames![this.start + place]!;
  }

  /** First place at or behind one that holds a page; `span` where there is none. */
  next(place: number): number {
    return this.search(place, 0);
  }

  /** First place at or behind one that holds none; `span` where all do. */
  private nextEmpty(place: number): number {
    return this.search(place, -1);
  }

  private search(place: number, flip: number): number {
    const { held, start, places } = this;
    if (place >= places) return places;
    const at = start + place;
    let word = at >>> 5;
    let bits = (held[word]! ^ flip) & (-1 << (at & 31));
    while (bits === 0) {
      word += 1;
      if (word << 5 >= start + places) return places;
      bits = held[word]! ^ flip;
    }
    return Math.min((word << 5) + 31 - Math.clz32(bits & -bits) - start, places);
  }

  /** End of the last page before a place; 0 where there is none. */
  private endBefore(place: number): number {
    const at = this.start + place - 1;
    let word = at >>> 5;
    let bits = this.held[word]! & (-1 >>> (31 - (at & 31)));
    while (bits === 0 && word > this.start >>> 5) {
      word -= 1;
      bits = this.held[word]!;
    }
    return bits === 0 ? 0 : (word << 5) + 32 - Math.clz32(bits) - this.start;
  }

  /** End of the places from a held one on that hold pages with frames next to each other, all in one direction. */
  pieceEnd(place: number): number {
    const end = this.nextEmpty(place);
    const { frames } = this;
    if (!frames || end - place === 1) return end;
    const first = this.start + place;
    const step = frames[first + 1]! - frames[first]!;
    if (step !== 1 && step !== -1) return place + 1;
    let at = place + 2;
    while (at < end && frames[this.start + at]! - frames[this.start + at - 1]! === step) at += 1;
    return at;
  }

  /** Calls `look` with each piece [place, end), as pieceEnd() has it; many at a time cost less so. */
  eachPiece(look: (place: number, end: number) => void): void {
    const { held, start, places } = this;
    if (this.frames) {
      for (let place = 0; place < places;) {
        const end = this.pieceEnd(place);
        look(place, end);
        place = this.next(end);
      }
      return;
    }
    // A piece that reaches the end of a word waits for the next one.
    let open = -1;
    for (let word = start >>> 5; word << 5 < start + places; word += 1) {
      const base = (word << 5) - start;
      let bits = held[word]!;
      let at = 0;
      while (at < 32) {
        if (open < 0) {
          if (bits === 0) break;
          at = 31 - Math.clz32(bits & -bits);
          open = base + at;
        }
        // Ones from `at` on, so that the first clear bit there stands alone.
        const clear = ~bits & (-1 << at);
        if (clear === 0) break;
        at = 31 - Math.clz32(clear & -clear);
        look(open, base + at);
        open = -1;
        bits &= -1 << at;
      }
    }
    if (open >= 0) look(open, places);
  }

  /** Pages in places [from, to). */
  count(from: number, to: number): number {
    const { held } = this;
    const low = this.start + from;
    const high = this.start + Math.min(to, this.places);
    if (high <= low) return 0;
    const [first, last] = [low >>> 5, (high - 1) >>> 5];
    let pages = 0;
    for (let word = first; word <= last; word += 1) {
      let bits = held[word]!;
      if (word === first) bits &= -1 << (low & 31);
      if (word === last) bits &= -1 >>> (31 - ((high - 1) & 31));
      pages += bitsIn(bits);
    }
    return pages;
  }

  /** A copy of places [from, to) without what is empty at its ends; undefined where all of it is. */
  copy(from: number, to: number): { first: number; places: Places } | undefined {
    const first = this.next(from);
    if (first >= to) return undefined;
    const end = this.endBefore(to);
    const word = (this.start + first) >>> 5;
    const start = (this.start + first) & 31;
    const held = this.held.slice(word, ((this.start + end - 1) >>> 5) + 1);
    const frames = this.frames?.slice(this.start + first - start, this.start + end);
    const places = new Places(held, frames, start, end - first);
    places.mark(-start, 0, false);
    places.mark(end - first, held.length * 32 - start, false);
    return { first, places };
  }

  /**
   * Empties places [from, to) and gives up what is empty at the ends then.
   * @returns places given up at the front: place 0 is the first one that is left
   */
  empty(from: number, to: number): number {
    this.mark(from, to, false);
    return this.trim();
  }

  /** @returns places given up at the front */
  private trim(): number {
    this.places = this.endBefore(this.places);
    if (this.places === 0) return 0;
    const gone = this.next(0);
    this.start += gone;
    this.places -= gone;
    return gone;
  }

  /**
   * Moves the pages of the places that `picks` names into new places.
   * @param to behind the last place that is asked for
   * @returns the new places, the old place of the first, how many pages they hold, and how many places were
   * given up at the front here
   */
  split(
    from: number,
    to: number,
    picks: (place: number) => boolean,
  ): { places: Places; first: number; pages: number; gone: number } | undefined {
    const { held, start } = this;
    const taken = new Uint32Array(held.length);
    const [low, high] = [start + from, start + to];
    let [first, last, pages] = [-1, -1, 0];
    for (let word = low >>> 5; word << 5 < high; word += 1) {
      let due = held[word]!;
      let picked = 0;
      for (; due !== 0; due &= due - 1) {
        const at = (word << 5) + 31 - Math.clz32(due & -due);
        if (at < low || at >= high || !picks(at - start)) continue;
        picked |= due & -due;
        if (first < 0) first = at;
        last = at;
        pages += 1;
      }
      taken[word] = picked;
      held[word]! &= ~picked;
    }
    if (first < 0) return undefined;
    const places = new Places(taken, this.frames?.slice(), first, last - first + 1);
    return { places, first: first - start, pages, gone: this.trim() };
  }

  /** Adds pages behind the last one, behind a gap: their frames follow the rule of the run. */
  append(gap: number, pages: number): void {
    this.reserve(gap + pages);
    const from = this.places + gap;
    this.places = from + pages;
    this.mark(from, from + pages, true);
  }

  /** The same with their own frames, for places whose frames are listed. */
  appendListed(gap: number, pages: number, frame: number, step: number): void {
    this.append(gap, pages);
    const first = this.start + this.places - pages;
    for (let i = 0; i < pages; i += 1) this.frames![first + i] = frame + step * i;
  }

  /** From now on frames are listed; until now they began with `frame` and moved by `step`. */
  list(frame: number, step: number): void {
    this.frames = new Int32Array(Math.max(FIRST_ROOM, this.start + this.places));
    for (let i = 0; i < this.places; i += 1) this.frames[this.start + i] = frame + step * i;
  }

  private reserve(more: number): void {
    const needed = this.start + this.places + more;
    const room = this.frames ? this.frames.length : this.held.length * 32;
    if (needed <= room && needed <= this.held.length * 32) return;
    // What was given up at the front is not carried on, but for its last few bits.
    const word = this.start >>> 5;
    const length = Math.max((this.start & 31) + this.places + more, Math.min(2 * room, MAX_PLACES));
    const held = new Uint32Array(wordsFor(length));
    held.set(this.held.subarray(word, Math.min(word + held.length, this.held.length)));
    if (this.frames) {
      const frames = new Int32Array(length);
      frames.set(this.frames.subarray(word * 32, this.start + this.places));
      this.frames = frames;
    }
    this.held = held;
    this.start &= 31;
  }

  private mark(from: number, to: number, holds: boolean): void {
    const { held } = this;
    const end = this.start + to;
    for (let at = this.start + from; at < end;) {
      const bits = Math.min(32 - (at & 31), end - at);
      const mask = (-1 >>> (32 - bits)) << (at & 31);
      if (holds) held[at >>> 5]! |= mask;
      else held[at >>> 5]! &= ~mask;
      at += bits;
    }
  }
}

/** Ones of a word, added up in pairs, then fours, then bytes. */
function bitsIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function wordsFor(places: number): number {
  return Math.ceil(places / 32);
}
