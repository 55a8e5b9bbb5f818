import type { Parsed } from '../errors';
import { parseVmstat } from '../parse/counters';
import { parseMeminfo } from '../parse/meminfo';
import { parseZoneinfo } from '../parse/zoneinfo';
import type { HostTexts } from '../types';
import type { OwnTexts } from './kernel-layout';
import { carriedZoneKey, type CarriedCounts } from './printed-state';

/**
 * Reads what a replay does not model out of the host's own texts, so that it can be printed again.
 * A text that is not there, or that the parser refuses, carries nothing: an imported host has no such text.
 */
export function carriedCounts(texts: HostTexts): CarriedCounts {
  const own: OwnTexts = {};
  const carried: CarriedCounts = { own, nodeStats: new Map(), zoneStats: new Map() };
  const vmstat = read(texts.vmstat, parseVmstat);
  if (vmstat !== undefined) own.vmstat = carried.vmstat = vmstat;
  const meminfo = read(texts.meminfo, parseMeminfo);
  if (meminfo !== undefined) own.meminfo = carried.meminfo = meminfo;
  const zoneinfo = read(texts.zoneinfo, parseZoneinfo);
  if (zoneinfo !== undefined) own.zoneinfo = { parsed: zoneinfo, text: texts.zoneinfo ?? '' };
  const types = [...(texts.pagetypeinfo ?? '').matchAll(/^Node.*, type +(\S+)/gm)];
  if (types.length > 0) own.migrateTypes = [...new Set(types.map(([, type = '']) => type))];
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
