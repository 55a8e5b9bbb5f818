/** Sizes with libvirt's units. */
import type { ProblemCode } from './codes';

/** libvirt holds bytes in 63 bits, so this is the largest number of KiB; it is also the largest safe integer. */
export const MAX_KIB = Number.MAX_SAFE_INTEGER;

const POWERS: Record<string, number> = { k: 1, m: 2, g: 3, t: 4, p: 5, e: 6 };

/** Bytes in a unit, or null: `b`/`bytes`, `K`/`KiB` = 1024, `KB` = 1000 and so on; case does not matter. */
export function unitBytes(unit: string): bigint | null {
  const text = unit.toLowerCase();
  if (text === 'b' || text === 'byte' || text === 'bytes') return 1n;
  const match = /^([kmgtpe])(ib|b)?$/.exec(text);
  const power = POWERS[match?.[1] ?? ''];
  if (match === null || power === undefined) return null;
  return (match[2] === 'b' ? 1000n : 1024n) ** BigInt(power);
}

export type SizeOutcome =
  { ok: true; kib: number } | { ok: false; code: ProblemCode; expected: string; found: string };

/**
 * Reads a size by the rules of libvirt's virScaleInteger and virDomainParseMemory: digits only, rounded
 * up to KiB.
 * @param unit libvirt's unit; `KiB` where the document gives none
 */
export function parseSize(text: string, unit = 'KiB'): SizeOutcome {
  // strtoull takes leading blanks and a plus; libvirt refuses whatever follows the digits.
  const number = /^\s*\+?([0-9]+)$/.exec(text)?.[1];
  if (number === undefined) {
    return { ok: false, code: 'invalid-size', expected: 'digits only', found: text };
  }
  const scale = unitBytes(unit);
  if (scale === null) {
    const expected = 'bytes, KiB, MiB, GiB, TiB, PiB, EiB or KB, MB, GB, TB, PB, EB';
    return { ok: false, code: 'unknown-unit', expected, found: unit };
  }
  // 20 digits hold every 64-bit number; longer ones would only cost time.
  const digits = number.replace(/^0+(?=.)/, '');
  const kib = digits.length > 20 ? null : (BigInt(digits) * scale + 1023n) / 1024n;
  if (kib === null || kib > BigInt(MAX_KIB)) {
    return { ok: false, code: 'size-overflow', expected: 'below 8 EiB', found: `${text} ${unit}` };
  }
  return { ok: true, kib: Number(kib) };
}
