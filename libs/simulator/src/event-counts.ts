/** Counters of /proc/vmstat's events by name, in the order in which they were first counted. */
export class EventCounts {
  /** Boxes, so that counting one more looks a name up once. */
  private readonly boxes = new Map<string, { count: number }>();

  add(name: string, by: number): void {
    const known = this.boxes.get(name);
    if (known === undefined) this.boxes.set(name, { count: by });
    else known.count += by;
  }

  /** 0 for what was never counted. */
  get(name: string): number {
    return this.boxes.get(name)?.count ?? 0;
  }

  *[Symbol.iterator](): Generator<[name: string, count: number]> {
    for (const [name, { count }] of this.boxes) yield [name, count];
  }
}
