/** Checks of a step that brings memory online or takes it offline. */
import type { SimulatorErrorCode } from './errors';
import { HOTPLUG_ACTIONS, SECTION_PAGES } from './memory-block';
import { kernelProfiles } from './profile';
import type { HostModel, HotplugSpec } from './types';

/** Blocks of one step. */
const MAX_BLOCKS = 4096;
/** 2 GiB. */
const MAX_BLOCK_PAGES = 524_288;
/** 64 TiB: what x86-64 addresses with four levels of page tables. */
const MAX_PFN = 2 ** 34;
/** Frames of a zone are 32-bit numbers, signed. */
const MAX_ZONE_FRAMES = 2 ** 31;
/** A day. */
const MAX_TIMEOUT_SECONDS = 86_400;

/** @param fail throws an input error */
export function checkHotplug(
  host: HostModel,
  step: HotplugSpec,
  path: string,
  fail: (code: SimulatorErrorCode, path: string, message: string) => never,
): void {
  const { action, nodeId, startPfn, pages, blockPages = SECTION_PAGES, timeoutSeconds = 1 } = step;
  const { kernelProfile } = host;
  if (step.memmapOnMemory === true && !kernelProfiles[kernelProfile].memmapOnMemory) {
    const message = `memmap_on_memory came with Linux 5.13, and the host is replayed as ${kernelProfile}: leave it out`;
    fail('unknown-value', `${path}.memmapOnMemory`, message);
  }
  if (!HOTPLUG_ACTIONS.includes(action))
    fail(
      'unknown-value',
      `${path}.action`,
      `${action} is not one of ${HOTPLUG_ACTIONS.join(', ')}`,
    );
  const sized = blockPages >= SECTION_PAGES && blockPages <= MAX_BLOCK_PAGES;
  if (!sized || !Number.isInteger(Math.log2(blockPages))) {
    const message = `${blockPages} pages are not a power of two from 128 MiB to 2 GiB`;
    fail('out-of-range', `${path}.blockPages`, message);
  }
  for (const [key, value] of Object.entries({ startPfn, pages })) {
    if (!Number.isSafeInteger(value) || value % blockPages !== 0)
      fail('not-an-integer', `${path}.${key}`, `${value} is not a multiple of ${blockPages}`);
    if (value < 0 || value > MAX_PFN)
      fail('out-of-range', `${path}.${key}`, `${value} is not within 0 to ${MAX_PFN}`);
  }
  if (pages > MAX_BLOCKS * blockPages) {
    const message = `${pages / blockPages} blocks; at most ${MAX_BLOCKS} come or go in a step`;
    fail('limit-exceeded', `${path}.pages`, message);
  }
  if (!(timeoutSeconds > 0 && timeoutSeconds <= MAX_TIMEOUT_SECONDS)) {
    const message = `${timeoutSeconds} is not above 0 and up to ${MAX_TIMEOUT_SECONDS}`;
    fail('out-of-range', `${path}.timeoutSeconds`, message);
  }
  const zones = host.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
  const normal = zones.filter(({ name }) => name === 'Normal' || name === 'Movable');
  const lowest = Math.min(startPfn, ...normal.map((zone) => zone.startPfn));
  const highest = Math.max(
    startPfn + pages,
    ...normal.map((zone) => zone.startPfn + zone.spannedPages),
  );
  if (highest - lowest >= MAX_ZONE_FRAMES)
    fail('out-of-range', `${path}.startPfn`, 'the zone would span 8 TiB or more');
}
