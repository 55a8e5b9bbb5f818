import { fuzzFacts } from './facts';

describe('damaged texts of every format', () => {
  it('are read, or refused with documented problems', () => {
    const { accepted, refused, formats } = fuzzFacts(3, 4000);
    expect(accepted + refused).toBe(4000);
    expect(accepted).toBeGreaterThan(250);
    expect(refused).toBeGreaterThan(250);
    expect(Math.min(...Object.values(formats))).toBeGreaterThan(50);
  });

  it('are the same for the same seed', () => {
    expect(fuzzFacts(4, 200)).toEqual(fuzzFacts(4, 200));
    expect(fuzzFacts(4, 200)).not.toEqual(fuzzFacts(5, 200));
  });
});
