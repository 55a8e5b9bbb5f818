/** /proc/zoneinfo of a wide host, as a 6.1 kernel prints it: every zone type of every node, a pageset per CPU. */
const EMPTY_ZONES = ['Movable', 'Device'];
const NODE_STATS = [
  ...['nr_inactive_anon', 'nr_active_anon', 'nr_inactive_file', 'nr_active_file', 'nr_unevictable'],
  ...['nr_slab_reclaimable', 'nr_slab_unreclaimable', 'nr_isolated_anon', 'nr_isolated_file'],
  ...['nr_anon_pages', 'nr_mapped', 'nr_file_pages', 'nr_dirty', 'nr_writeback', 'nr_shmem'],
  'nr_kernel_misc_reclaimable',
];
const ZONE_STATS = ['nr_free_pages', 'numa_hit', 'numa_miss', 'numa_foreign', 'numa_local'];
const ZONE_PAGES = 4_194_304;

export function wideZoneinfo(nodes: number, cpus: number): string {
  const lines: string[] = [];
  for (let node = 0; node < nodes; node += 1) {
    const lower = node === 0 ? ['DMA', 'DMA32'] : [];
    const empty = [...(node === 0 ? [] : ['DMA', 'DMA32']), ...EMPTY_ZONES];
    let isFirst = true;
    for (const zone of ['DMA', 'DMA32', 'Normal', 'Movable', 'Device']) {
      lines.push(`Node ${node}, zone ${zone.padStart(8)}`);
      if (empty.includes(zone)) {
        lines.push(...sizes(0, 0), '        protection: (0, 0, 0, 0, 0)');
        continue;
      }
      if (isFirst) {
        lines.push('  per-node stats');
        for (const name of NODE_STATS) lines.push(`      ${name.padEnd(12)} ${node * 1000}`);
        isFirst = false;
      }
      const pages = lower.includes(zone) ? 4096 : ZONE_PAGES;
      lines.push(...sizes(pages, pages / 2), '        protection: (0, 0, 0, 0, 0)');
      for (const name of ZONE_STATS) lines.push(`      ${name.padEnd(12)} ${pages}`);
      lines.push('  pagesets');
      for (let cpu = 0; cpu < cpus; cpu += 1) {
        lines.push(`    cpu: ${cpu}`, `              count: ${(cpu * 7) % 63}`);
        lines.push('              high:  378', '              batch: 63');
        lines.push('  vm stats threshold: 125');
      }
      lines.push('  node_unreclaimable:  0', `  start_pfn:           ${startOf(zone, node)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Below 4 GiB the first node alone has memory; the others follow each other above. */
function startOf(zone: string, node: number): number {
  if (zone === 'DMA') return 0;
  return zone === 'DMA32' ? 4096 : 1_048_576 + node * ZONE_PAGES;
}

function sizes(pages: number, free: number): string[] {
  const line = (name: string, count: number): string => `        ${name.padEnd(8)} ${count}`;
  const min = Math.floor(pages / 1000);
  return [
    `  pages free     ${free}`,
    ...[line('boost', 0), line('min', min), line('low', 2 * min), line('high', 3 * min)],
    ...[line('spanned', pages), line('present', pages), line('managed', pages), line('cma', 0)],
  ];
}
