import type { ZoneinfoZone } from '../src/parse/zoneinfo';

/** Prints zones in the shape of a 6.1 kernel, for round trips. */
export function printZoneinfo(
  zones: ZoneinfoZone[],
  nodeStats: Map<number, Record<string, number>>,
): string {
  const printed = new Set<number>();
  return zones.map((zone) => printZone(zone, nodeStats, printed)).join('');
}

function printZone(
  zone: ZoneinfoZone,
  nodeStats: Map<number, Record<string, number>>,
  printed: Set<number>,
): string {
  const lines = [`Node ${zone.nodeId}, zone ${zone.name.padStart(8)}`];
  const stats = nodeStats.get(zone.nodeId);
  if (stats !== undefined && !printed.has(zone.nodeId)) {
    printed.add(zone.nodeId);
    lines.push('  per-node stats');
    for (const [name, count] of Object.entries(stats))
      lines.push(`      ${name.padEnd(12)} ${count}`);
  }
  const { free, ...marks } = zone.pages;
  lines.push(`  pages free     ${free}`);
  for (const [name, count] of Object.entries(marks))
    lines.push(`        ${name.padEnd(8)} ${count}`);
  lines.push(`        protection: (${(zone.protectionPages ?? []).join(', ')})`);
  for (const [name, count] of Object.entries(zone.stats))
    lines.push(`      ${name.padEnd(12)} ${count}`);
  if (zone.startPfn !== null)
    lines.push(...printPagesets(zone), `  start_pfn:           ${zone.startPfn}`);
  return `${lines.join('\n')}\n`;
}

function printPagesets(zone: ZoneinfoZone): string[] {
  const lines = ['  pagesets'];
  for (const { cpu, countPages, highPages, batchPages } of zone.pagesets) {
    lines.push(`    cpu: ${cpu}`, `              count: ${countPages}`);
    lines.push(`              high:  ${highPages}`, `              batch: ${batchPages}`);
    lines.push('  vm stats threshold: 36');
  }
  lines.push('  node_unreclaimable:  0');
  return lines;
}
