/** Logs that the console offers. */

/** A 96 GiB server whose network driver was refused two pages side by side. */
export const failedAllocationLog = {
  summary: '2.6.32: an interrupt is refused two pages side by side',
  value: {
    log: [
      '[38905.295014] java: page allocation failure. order:1, mode:0x20, zone 2',
      '[38905.295020] Pid: 25174, comm: java Not tainted 2.6.32-220.23.1.el6.x86_64 #1',
      '[38905.295348] active_anon:5730961 inactive_anon:216708 isolated_anon:0',
      '[38905.295349]  active_file:2251981 inactive_file:15562505 isolated_file:0',
      '[38905.295355] Node 0 DMA free:15796kB min:4kB low:4kB high:4kB active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB present:15332kB pages_scanned:0 all_unreclaimable? yes',
      '[38905.295365] lowmem_reserve[]: 0 1951 96891 96891',
      '[38905.295369] Node 0 DMA32 free:380032kB min:800kB low:1000kB high:1200kB active_anon:46056kB inactive_anon:10876kB active_file:15968kB inactive_file:129772kB unevictable:0kB present:1998016kB pages_scanned:576 all_unreclaimable? no',
      '[38905.295379] lowmem_reserve[]: 0 0 94940 94940',
      '[38905.295383] Node 0 Normal free:56552kB min:39032kB low:48788kB high:58548kB active_anon:22877788kB inactive_anon:855956kB active_file:8991956kB inactive_file:62120248kB unevictable:5024kB present:97218560kB dirty:3140604kB pages_scanned:0 all_unreclaimable? no',
      '[38905.295393] lowmem_reserve[]: 0 0 0 0',
      '[38905.295396] Node 0 DMA: 1*4kB 2*8kB 0*16kB 1*32kB 2*64kB 0*128kB 1*256kB 0*512kB 1*1024kB 1*2048kB 3*4096kB = 15796kB',
      '[38905.295405] Node 0 DMA32: 130*4kB 65*8kB 75*16kB 72*32kB 95*64kB 22*128kB 10*256kB 7*512kB 4*1024kB 2*2048kB 86*4096kB = 380032kB',
      '[38905.295414] Node 0 Normal: 12544*4kB 68*8kB 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 1*4096kB = 54816kB',
      '[38905.295423] 17816926 total pagecache pages',
    ].join('\n'),
  },
};
