/** What differs between processor architectures in how physical memory is laid out, as data. */

export const ARCHITECTURE_NAMES = [
  'x86-64',
  'i386',
  'i386-pae',
  'arm64-4k',
  'arm64-16k',
  'arm64-64k',
  'loongarch-16k',
] as const;
export type ArchitectureName = (typeof ARCHITECTURE_NAMES)[number];

/** A zone of any architecture; HighMem exists on 32-bit kernels only, Device holds no buddy pages. */
export type ArchitectureZone = 'DMA' | 'DMA32' | 'Normal' | 'HighMem' | 'Movable' | 'Device';

export interface Architecture {
  name: ArchitectureName;
  /** Bytes of a base page are 2^pageShift. */
  pageShift: number;
  /** Bytes of a memory section are 2^sectionSizeBits (`SECTION_SIZE_BITS`). */
  sectionSizeBits: number;
  /** sizeof(struct page) with the usual configuration. */
  structPageBytes: number;
  /** sizeof(struct mem_section), with page extensions where the usual configuration has them. */
  memSectionBytes: number;
  /** Zones by index, each with the frame behind its last; Movable and Device have no place of their own. */
  zones: { name: ArchitectureZone; endPfn: number }[];
  /** vm.lowmem_reserve_ratio as the kernel boots with it, by zone index. */
  lowmemReserveRatio: number[];
}

/** Bytes below which ISA devices reach memory; below which 32-bit devices do; that a 32-bit kernel maps at all times. */
const ISA_BYTES = 16 * 2 ** 20;
const DMA32_BYTES = 2 ** 32;
const LOWMEM_BYTES = 896 * 2 ** 20;

function architecture(
  name: ArchitectureName,
  pageShift: number,
  sectionSizeBits: number,
  bands: [ArchitectureZone, number][],
): Architecture {
  const wide = name.startsWith('i386') ? 32 : 64;
  const ratios: Record<ArchitectureZone, number> = {
    DMA: 256,
    DMA32: 256,
    Normal: 32,
    HighMem: 0,
    Movable: 0,
    Device: 0,
  };
  return {
    name,
    pageShift,
    sectionSizeBits,
    structPageBytes: wide === 64 ? 64 : 40,
    memSectionBytes: wide === 64 ? 32 : 16,
    zones: bands.map(([zone, bytes]) => ({ name: zone, endPfn: bytes / 2 ** pageShift })),
    lowmemReserveRatio: bands.map(([zone]) => ratios[zone]),
  };
}

/** Movable and Device start behind everything: only a setting or a device gives them frames. */
const TAIL: [ArchitectureZone, number][] = [
  ['Movable', Infinity],
  ['Device', Infinity],
];
const X86_64: [ArchitectureZone, number][] = [
  ['DMA', ISA_BYTES],
  ['DMA32', DMA32_BYTES],
  ['Normal', Infinity],
  ...TAIL,
];
const I386: [ArchitectureZone, number][] = [
  ['DMA', ISA_BYTES],
  ['Normal', LOWMEM_BYTES],
  ['HighMem', Infinity],
  ['Movable', Infinity],
];
/** Since 5.11 DMA ends at the reach of the narrowest device, 4 GiB where all reach that far. */
const ARM64: [ArchitectureZone, number][] = [
  ['DMA', DMA32_BYTES],
  ['DMA32', DMA32_BYTES],
  ['Normal', Infinity],
  ...TAIL,
];
const LOONGARCH: [ArchitectureZone, number][] = [
  ['DMA32', DMA32_BYTES],
  ['Normal', Infinity],
  ...TAIL,
];

/**
 * The architectures by name.
 * @kernel arch/x86/include/asm/sparsemem.h, arch/arm64/…, arch/loongarch/…; enum zone_type, sysctl_lowmem_reserve_ratio
 */
export const architectures: Record<ArchitectureName, Architecture> = {
  'x86-64': architecture('x86-64', 12, 27, X86_64),
  i386: architecture('i386', 12, 26, I386),
  'i386-pae': architecture('i386-pae', 12, 29, I386),
  'arm64-4k': architecture('arm64-4k', 12, 27, ARM64),
  'arm64-16k': architecture('arm64-16k', 14, 27, ARM64),
  'arm64-64k': architecture('arm64-64k', 16, 29, ARM64),
  'loongarch-16k': architecture('loongarch-16k', 14, 29, LOONGARCH),
};
