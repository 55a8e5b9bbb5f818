/** Winners in miniature that were found worse than today's setting in full. */
import type { Evaluated } from './evaluator';

/** Waiting in miniature that is as long as another's: it differs by a little between settings that change nothing about it. */
const AS_LONG_SHARE = 0.9;

/**
 * Who waits too long in full takes those along that wait as long in miniature: what is scanned in vain grows with the square
 * of the size, so they would do so in full as well.
 */
export class Refused {
  private readonly ones = new Set<Evaluated>();
  private stallMaxNs = Infinity;

  /** @param stallToleranceNs waiting that is no difference */
  constructor(private readonly stallToleranceNs: number) {}

  /** @param waits it was given up in full for how long guests waited, or they waited longer than with today's setting */
  add(one: Evaluated, waits: boolean): void {
    this.ones.add(one);
    const { stallNs } = one.candidate.outcome;
    if (!waits || stallNs <= this.stallToleranceNs) return;
    this.stallMaxNs = Math.min(this.stallMaxNs, stallNs * AS_LONG_SHARE);
  }

  has(one: Evaluated): boolean {
    return this.ones.has(one) || one.candidate.outcome.stallNs >= this.stallMaxNs;
  }
}
