import type { Parsed } from '../errors';
import { parseVmstat } from '../parse/counters';
import { parseMeminfo } from '../parse/meminfo';
import { parseZoneinfo } from '../parse/zoneinfo';
import type { HostTexts } from '../types';
import { carriedZoneKey, type CarriedCounts } from './printed-state';

/**
 * Reads what a replay does not model out of the host's own texts, so that it can be printed again.
 * A text that is not there, or that the parser refuses, carries nothing: an imported host has no such text.
 */
export function carriedCounts(texts: HostTexts): CarriedCounts {
  const carried: CarriedCounts = { nodeStats: new Map(), zoneStats: new Map() };
  const vmstat = read(texts.vmstat, parseVmstat);
  if (vmstat !== undefined) carried.vmstat = vmstat;
  const meminfo = read(texts.meminfo, parseMeminfo);
  if (meminfo !== undefined) carried.meminfo = meminfo;
  const zoneinfo = read(texts.zoneinfo, parseZoneinfo);
  for (const [nodeId, stats] of zoneinfo?.nodeStats ?? []) carried.nodeStats.set(nodeId, stats);
  for (const { nodeId, name, stats } of zoneinfo?.zones ?? [])
    carried.zoneStats.set(carriedZoneKey(nodeId, name), stats);
  return carried;
}

function read<T>(text: string | undefined, parse: (text: string) => Parsed<T>): T | undefined {
  if (text === undefined) return undefined;
  const parsed = parse(text);
  return parsed.ok ? parsed.value : undefined;
}
