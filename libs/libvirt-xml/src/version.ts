/** libvirt's versions as it numbers them itself: 9.4.0 is 9004000. */

/** No rule is newer than this one. */
export const NEWEST = Number.MAX_SAFE_INTEGER;

/** Versions that rules read here came with (libvirt's NEWS). */
export const SINCE = {
  nvdimm: 3_002_000,
  cellsWithoutCpus: 6_006_000,
  virtioPmem: 7_001_000,
  restrictive: 7_003_000,
  virtioMem: 7_009_000,
  hvf: 8_001_000,
  sgxEpc: 8_010_000,
  preferredMany: 9_000_000,
  restrictiveNeedsMemory: 9_004_000,
  slotsOfDimmsOnly: 9_005_000,
  memoryAddresses: 9_008_000,
  vhostUserShared: 11_002_000,
} as const;

/** Number of a version such as `9.4.0` or `9.4`; the newest when none is given; null for other text. */
export function versionNumber(text: string | undefined): number | null {
  if (text === undefined) return NEWEST;
  const match = /^([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * 1_000_000 + Number(match[2]) * 1000 + Number(match[3] ?? 0);
}
