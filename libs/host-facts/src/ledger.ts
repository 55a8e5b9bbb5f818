import type { Difference, HostImport, Provenance } from './types';

/** Differences listed one by one; beyond this a host would drown its reader, and a caveat says how many follow. */
const MAX_DIFFERENCES = 500;

/** Collects where values came from, what disagreed and what a reader must know. */
export class Ledger {
  readonly provenance: Provenance[] = [];
  readonly differences: Difference[] = [];
  readonly caveats: HostImport['caveats'] = [];
  private unlisted = 0;

  read(path: string, source: string, note?: string): void {
    this.note('read', path, source, note);
  }

  derived(path: string, source: string, note: string): void {
    this.note('derived', path, source, note);
  }

  default(path: string, note: string): void {
    this.note('default', path, 'kernel 6.1 default', note);
  }

  /** Lists a disagreement unless both values are equal. */
  differ(path: string, taken: Difference['taken'], other: Difference['other'], rule: string): void {
    if (taken.value === other.value) return;
    if (this.differences.length < MAX_DIFFERENCES) {
      this.differences.push({ path, taken, other, rule });
    } else {
      this.unlisted += 1;
    }
  }

  caveat(code: string, message: string): void {
    if (this.caveats.some((known) => known.code === code && known.message === message)) return;
    this.caveats.push({ code, message });
  }

  finish(): void {
    if (this.unlisted === 0) return;
    this.caveat(
      'differences-cut',
      `${this.unlisted} further differences between the sources are not listed.`,
    );
  }

  private note(kind: Provenance['kind'], path: string, source: string, note?: string): void {
    this.provenance.push({ path, source, kind, ...(note === undefined ? {} : { note }) });
  }
}
