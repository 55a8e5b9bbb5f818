/** The kernel's own image in memory: what of it never comes to the allocator, and which gaps do. */
import { PAGES_PER_HUGE } from './constants';

const PAGE_KIB = 4;

/** Sizes of a kernel's sections in KiB, as its log's line `Memory: ... (14343K kernel code, ...)` prints them. */
export interface KernelImageKib {
  code: number;
  rodata: number;
  rwdata: number;
  init: number;
  bss: number;
}

/** First pfn of the image where its address is not randomised (CONFIG_PHYSICAL_START, 16 MiB). */
export const IMAGE_PFN = 4096;

/** Pages of the image, counted from its start. */
export interface KernelImage {
  pages: number;
  /** What came free once the kernel ran, ascending. */
  freed: { frame: number; pages: number }[];
}

/**
 * Code and read-only data begin at 2 MiB, so that each has its own protection: the pages between them are freed, as is what
 * only boot needed.
 * @kernel arch/x86/mm/init_64.c mark_rodata_ro(), arch/x86/mm/init.c free_initmem()
 * @differs page tables of boot (brk) behind the image are left out
 */
export function kernelImage(kib: KernelImageKib): KernelImage {
  const pagesOf = (size: number): number => Math.ceil(size / PAGE_KIB);
  const aligned = (frame: number): number => Math.ceil(frame / PAGES_PER_HUGE) * PAGES_PER_HUGE;
  const codeEnd = pagesOf(kib.code);
  const rodata = aligned(codeEnd);
  const rodataEnd = rodata + pagesOf(kib.rodata);
  const data = aligned(rodataEnd);
  const init = data + pagesOf(kib.rwdata);
  const initEnd = init + pagesOf(kib.init);
  return {
    pages: initEnd + pagesOf(kib.bss),
    freed: [
      { frame: codeEnd, pages: rodata - codeEnd },
      { frame: rodataEnd, pages: data - rodataEnd },
      { frame: init, pages: initEnd - init },
    ].filter(({ pages }) => pages > 0),
  };
}
