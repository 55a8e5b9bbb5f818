/**
 * Doubly linked lists over page numbers. A list is a circle through its own head entry, as in the kernel:
 * a page can leave its list without knowing which list that is.
 * @kernel include/linux/list.h
 */
export class Lists {
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  private heads: number;

  /** Pages are 0..pages-1; each page is on one list at a time. */
  constructor(pages: number, lists: number) {
    this.next = new Int32Array(pages + lists);
    this.prev = new Int32Array(pages + lists);
    this.heads = pages;
  }

  /** A new, empty list. */
  create(): number {
    const list = this.heads++;
    if (list >= this.next.length) {
      throw new RangeError(`all ${this.next.length} list entries are in use`);
    }
    this.next[list] = list;
    this.prev[list] = list;
    return list;
  }

  isEmpty(list: number): boolean {
    return this.next[list] === list;
  }

  /** The page at the head, -1 if the list is empty. */
  first(list: number): number {
    const page = this.next[list] ?? -1;
    return page === list ? -1 : page;
  }

  /** The page at the tail, -1 if the list is empty. */
  last(list: number): number {
    const page = this.prev[list] ?? -1;
    return page === list ? -1 : page;
  }

  /** The page behind one on its list, towards the tail; -1 at the tail. */
  after(list: number, page: number): number {
    const next = this.next[page] ?? list;
    return next === list ? -1 : next;
  }

  /** The page before one on its list, towards the head; -1 at the head. */
  before(list: number, page: number): number {
    const previous = this.prev[page] ?? list;
    return previous === list ? -1 : previous;
  }

  addHead(list: number, page: number): void {
    this.link(page, list, this.next[list] ?? list);
  }

  addTail(list: number, page: number): void {
    this.link(page, this.prev[list] ?? list, list);
  }

  remove(page: number): void {
    const before = this.prev[page] ?? page;
    const after = this.next[page] ?? page;
    this.next[before] = after;
    this.prev[after] = before;
  }

  /** From now on the list begins with this page of it; those before it follow behind the tail, in their order. */
  beginWith(list: number, page: number): void {
    this.remove(list);
    this.link(list, this.prev[page] ?? page, page);
  }

  /** From now on the list ends with this page of it; those up to it follow behind the others, in their order. */
  endWith(list: number, page: number): void {
    this.remove(list);
    this.link(list, page, this.next[page] ?? page);
  }

  /** The pages from head to tail. */
  toArray(list: number): number[] {
    const pages: number[] = [];
    for (let page = this.next[list] ?? list; page !== list; page = this.next[page] ?? list) {
      pages.push(page);
    }
    return pages;
  }

  private link(page: number, before: number, after: number): void {
    this.next[before] = page;
    this.prev[page] = before;
    this.next[page] = after;
    this.prev[after] = page;
  }
}
