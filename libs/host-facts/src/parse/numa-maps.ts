import { PAGES_PER_HUGE } from '@zonewise/simulator';
import { ProblemList, type Parsed } from '../errors';
import type { NodeResidency } from '../types';
import { readCount, readNodeId, splitLines, unexpectedLine, words } from './text';

/** One mapping of a process as a line of numa_maps describes it. Pages are base pages of 4 KiB. */
export interface NumaMapping {
  /** Start address, hexadecimal without 0x. */
  address: string;
  /** Policy as printed: `default`, `prefer:1`, `bind:0-1`, `interleave:0,1`. */
  policy: string;
  file?: string;
  heap: boolean;
  stack: boolean;
  hugetlb: boolean;
  anonPages: number;
  pages: number;
  pagesByNode: { nodeId: number; pages: number }[];
}

export interface NumaMaps {
  /** Every mapping that has pages. */
  mappings: NumaMapping[];
  /** Addresses of the mappings taken as guest RAM. */
  guestRamAddresses: string[];
  /** Residency of guest RAM by node, ascending. */
  guestRam: NodeResidency[];
  /** The rest of the process: QEMU's own heap, stacks, libraries. */
  overhead: NodeResidency[];
  caveats: { code: string; message: string }[];
}

const BASE_KIB = 4;
/** Mappings that cannot be guest RAM are this much smaller than the largest. */
const RAM_SHARE = 1 / 16;
/** No guest RAM is smaller: 4 MiB. */
const RAM_MIN_PAGES = 1024;

/**
 * Parses /proc/PID/numa_maps of a QEMU process and tells guest RAM from the rest.
 *
 * Guest RAM: anonymous, memfd, shared-memory or hugetlb mappings (never heap, stack or an ordinary file)
 * of at least 4 MiB and 1/16 of the largest one; one per guest cell or memory device.
 * Transparent huge pages are not in numa_maps (kernelpagesize_kB is the size of hugetlb pages only):
 * without `anonHugeKib` they count as 0; with it, AnonHugePages of smaps_rollup, they are shared over the
 * nodes by the anonymous pages of guest RAM.
 * @kernel fs/proc/task_mmu.c show_numa_map()
 */
export function parseNumaMaps(text: string, anonHugeKib?: number): Parsed<NumaMaps> {
  const problems = new ProblemList('numaMaps');
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  if (anonHugeKib !== undefined && !(Number.isFinite(anonHugeKib) && anonHugeKib >= 0)) {
    problems.add({
      code: 'out-of-range',
      message: 'AnonHugePages is not a size',
      path: 'anonHugeKib',
      expected: 'KiB, 0 or more',
      found: String(anonHugeKib),
    });
  }
  const mappings: NumaMapping[] = [];
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    if (line.trim() === '') continue;
    const mapping = readMapping(line, index + 1, problems);
    if (mapping !== null && mapping.pages > 0) mappings.push(mapping);
  }
  return problems.outcome(summarise(mappings, anonHugeKib));
}

function readMapping(line: string, n: number, problems: ProblemList): NumaMapping | null {
  const [address = '', policy = '', ...fields] = words(line);
  if (!/^[0-9a-f]{1,16}$/.test(address) || policy === '') {
    unexpectedLine(line, n, '7f98b4200000 prefer:1 anon=196608 N1=196608', problems);
    return null;
  }
  const mapping: NumaMapping = {
    address,
    policy,
    heap: fields.includes('heap'),
    stack: fields.some((field) => field.startsWith('stack')),
    hugetlb: fields.includes('huge'),
    anonPages: 0,
    pages: 0,
    pagesByNode: [],
  };
  let unitPages = 1;
  const byNode = new Map<number, number>();
  for (const field of fields) {
    const [key = '', ...rest] = field.split('=');
    const value = rest.join('=');
    if (key === 'file') mapping.file = value;
    else if (key === 'anon') mapping.anonPages = readCount(value, key, n, problems) ?? 0;
    else if (key === 'kernelpagesize_kB')
      unitPages = Math.max((readCount(value, key, n, problems, 2 ** 30) ?? BASE_KIB) / BASE_KIB, 1);
    else if (/^N\d+$/.test(key)) {
      const nodeId = readNodeId(key.slice(1), n, problems);
      const pages = readCount(value, key, n, problems, 2 ** 42);
      if (nodeId !== null && pages !== null) byNode.set(nodeId, (byNode.get(nodeId) ?? 0) + pages);
    }
  }
  // Counts are in pages of the mapping's own size.
  mapping.anonPages *= unitPages;
  for (const [nodeId, pages] of [...byNode].sort(([a], [b]) => a - b)) {
    mapping.pagesByNode.push({ nodeId, pages: pages * unitPages });
    mapping.pages += pages * unitPages;
  }
  return mapping;
}

/** True for memory that QEMU could have handed to the guest. */
function couldBeRam(mapping: NumaMapping): boolean {
  if (mapping.heap || mapping.stack) return false;
  if (mapping.hugetlb) return true;
  if (mapping.file === undefined) return mapping.anonPages > 0;
  return /^\/(memfd:|dev\/shm\/|dev\/zero|SYSV|dev\/hugepages\/|var\/lib\/libvirt\/qemu\/ram\/)/.test(
    mapping.file,
  );
}

function summarise(mappings: NumaMapping[], anonHugeKib: number | undefined): NumaMaps {
  const candidates = mappings.filter(couldBeRam);
  const largest = candidates.reduce((most, mapping) => Math.max(most, mapping.pages), 0);
  const least = Math.max(RAM_MIN_PAGES, largest * RAM_SHARE);
  const ram = new Set(candidates.filter((mapping) => mapping.pages >= least));
  const caveats: NumaMaps['caveats'] = [];
  if (ram.size === 0) {
    caveats.push({
      code: 'no-guest-ram',
      message:
        'No mapping of 4 MiB or more looks like guest RAM: the guest has touched nothing yet.',
    });
  }
  const guestRam = residency([...ram]);
  const plain = [...ram].filter((mapping) => !mapping.hugetlb);
  if (anonHugeKib === undefined) {
    if (plain.some((mapping) => mapping.anonPages > 0)) {
      caveats.push({
        code: 'huge-pages-unknown',
        message:
          'numa_maps does not show transparent huge pages: all pages count as small. AnonHugePages of smaps_rollup tells.',
      });
    }
  } else {
    shareHuge(guestRam, plain, Math.floor(anonHugeKib / BASE_KIB / PAGES_PER_HUGE));
  }
  return {
    mappings,
    guestRamAddresses: [...ram].map((mapping) => mapping.address),
    guestRam,
    overhead: residency(mappings.filter((mapping) => !ram.has(mapping))),
    caveats,
  };
}

function residency(mappings: NumaMapping[]): NodeResidency[] {
  const byNode = new Map<number, NodeResidency>();
  for (const mapping of mappings) {
    for (const { nodeId, pages } of mapping.pagesByNode) {
      const entry = byNode.get(nodeId) ?? { nodeId, pages: 0, hugePages: 0 };
      entry.pages += pages;
      if (mapping.hugetlb) entry.hugePages += Math.floor(pages / PAGES_PER_HUGE);
      byNode.set(nodeId, entry);
    }
  }
  return [...byNode.values()].sort((a, b) => a.nodeId - b.nodeId);
}

/** Gives each node huge pages in proportion to its small-page mappings, whole huge pages, at most what fits. */
function shareHuge(guestRam: NodeResidency[], plain: NumaMapping[], huge: number): void {
  const parts = residency(plain);
  const total = parts.reduce((sum, part) => sum + part.pages, 0);
  let left = Math.min(huge, Math.floor(total / PAGES_PER_HUGE));
  const give = (nodeId: number, wanted: number): void => {
    const entry = guestRam.find((candidate) => candidate.nodeId === nodeId);
    const part = parts.find((candidate) => candidate.nodeId === nodeId);
    if (entry === undefined || part === undefined) return;
    const room = Math.floor(part.pages / PAGES_PER_HUGE) - part.hugePages;
    const given = Math.min(wanted, room, left);
    entry.hugePages += given;
    part.hugePages += given;
    left -= given;
  };
  const all = left;
  for (const part of parts) give(part.nodeId, Math.floor((all * part.pages) / Math.max(total, 1)));
  for (const part of parts) give(part.nodeId, left);
}

/** AnonHugePages, KiB, out of /proc/PID/smaps_rollup (or smaps: the sum over its mappings). */
export function parseSmapsRollup(
  text: string,
): Parsed<{ rssKib: number; anonHugeKib: number; swapKib: number }> {
  const problems = new ProblemList('smapsRollup');
  const lines = splitLines(text, problems);
  if (lines === null) return { ok: false, problems: problems.problems };
  const sums = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    if (problems.full) break;
    const [name = '', value = ''] = words(line);
    if (name !== 'Rss:' && name !== 'AnonHugePages:' && name !== 'Swap:') continue;
    const kib = readCount(value, name.slice(0, -1), index + 1, problems, 2 ** 44) ?? 0;
    sums.set(name, (sums.get(name) ?? 0) + kib);
  }
  const [rssKib, anonHugeKib] = [sums.get('Rss:'), sums.get('AnonHugePages:')];
  if (problems.problems.length === 0 && (rssKib === undefined || anonHugeKib === undefined)) {
    problems.add({
      code: 'missing-field',
      message: 'Rss or AnonHugePages is not there',
      expected: 'Rss: and AnonHugePages: lines',
      found: 'the end of the text',
    });
  }
  // Kernels without swap support print no Swap line.
  const swapKib = sums.get('Swap:') ?? 0;
  return problems.outcome({ rssKib: rssKib ?? 0, anonHugeKib: anonHugeKib ?? 0, swapKib });
}
