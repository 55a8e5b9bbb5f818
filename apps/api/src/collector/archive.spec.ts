import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { gzippedTarOf, tarOf, type Entry } from '../../../../test/support/tar';
import { ProblemException } from '../http/problem';
import { ARCHIVE_LIMITS, readArchive } from './archive';

const FILES: Entry[] = [
  { path: 'zonewise/proc/zoneinfo', text: 'zones\n' },
  { path: 'zonewise/proc/meminfo', text: 'memory\n' },
];

async function refusal(body: Buffer, limits = ARCHIVE_LIMITS): Promise<string> {
  try {
    await readArchive(body, limits);
  } catch (error) {
    if (error instanceof ProblemException) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('readArchive', () => {
  it('sorts the files of an archive, packed or not', async () => {
    const expected = {
      texts: { zoneinfo: 'zones\n', meminfo: 'memory\n' },
      guests: [],
      unread: [],
    };
    expect(await readArchive(tarOf(FILES))).toEqual(expected);
    expect(await readArchive(gzippedTarOf(FILES))).toEqual(expected);
  });

  it('takes names of both extended forms, and passes over links and folders', async () => {
    const folder = 'sosreport-host-2026'.padEnd(120, 'x');
    const record = `path=${folder}/proc/vmstat\n`;
    const pax = `${record.length + 4} ${record}`;
    const read = await readArchive(
      tarOf([
        { path: `${folder}/proc`, type: '5' },
        { path: 'header', type: 'x', text: pax },
        { path: 'short', text: 'nr_free_pages 1\n' },
        { path: '././@LongLink', type: 'L', text: `${folder}/proc/meminfo\0` },
        { path: 'short', text: 'MemTotal\n' },
        { path: 'top/proc/zoneinfo', type: '2', link: '/etc/passwd' },
      ]),
    );
    expect(read.texts).toEqual({ vmstat: 'nr_free_pages 1\n', meminfo: 'MemTotal\n' });
  });

  it('reads a sosreport: outputs of commands, single settings, guests by their pid files', async () => {
    const sos = (path: string, text: string): Entry => ({ path: `sosreport-a/${path}`, text });
    const read = await readArchive(
      tarOf([
        sos('sos_commands/numa/numactl_--hardware', 'available: 1 nodes (0)\n'),
        sos('sos_commands/virsh/virsh_-r_nodeinfo', 'CPU(s): 4\n'),
        sos('sos_commands/virsh/virsh_-r_dumpxml_db1', "<domain type='kvm' id='3'/>"),
        sos('sos_commands/virsh/virsh_-r_dumpxml_off', "<domain type='kvm'/>"),
        sos('sos_commands/virsh/virsh_-r_dumpxml_on', "<domain type='kvm' id='4'/>"),
        sos('run/libvirt/qemu/db1.pid', '4711'),
        sos('proc/4711/numa_maps', '7f00 default\n'),
        sos('proc/4712/numa_maps', '7f00 default\n'),
        sos('proc/sys/vm/swappiness', '60\n'),
        sos('proc/sys/vm/zone_reclaim_mode', '1\n'),
        sos('sys/devices/system/node/node3/distance', '10\n'),
        sos('sys/devices/system/node/node3/hugepages/hugepages-2048kB/nr_hugepages', '2\n'),
        sos('proc/sys/kernel/hostname', 'numa-host-1\n'),
        sos('proc/uptime', '1\n'),
      ]),
    );
    expect(read).toEqual({
      hostName: 'numa-host-1',
      texts: {
        numactlHardware: 'available: 1 nodes (0)\n',
        nodeinfo: 'CPU(s): 4\n',
        sysctl: 'vm.swappiness = 60\nvm.zone_reclaim_mode = 1\n',
        nodeDistance: { '3': '10\n' },
        nodeHugepages: { '3': 'hugepages-2048kB/nr_hugepages:2\n' },
      },
      guests: [
        {
          name: 'db1',
          pid: 4711,
          xml: "<domain type='kvm' id='3'/>",
          numaMaps: '7f00 default\n',
        },
        { name: 'on', pid: null, xml: "<domain type='kvm' id='4'/>" },
      ],
      unread: [],
    });
  });

  it('refuses names that lead out of the archive', async () => {
    for (const path of ['../proc/zoneinfo', '/proc/zoneinfo', 'a/../../proc/zoneinfo']) {
      expect(await refusal(tarOf([{ path, text: 'x' }]))).toMatch(
        /^malformed-archive: .*leads out of the archive/,
      );
    }
  });

  it('keeps to its limits', async () => {
    const limits = { entries: 2, bytes: 8192, fileBytes: 600, keptBytes: 1000 };
    const file = (text: string): Entry => ({ path: 'a/proc/zoneinfo', text });
    const other = (text: string): Entry => ({ path: 'a/proc/uptime', text });
    expect(await refusal(tarOf([file('x'), other('y')]), limits)).toBe('accepted');
    expect(await refusal(tarOf([other('x'), other('y'), other('z')]), limits)).toContain(
      'more than 2 entries',
    );
    expect(await refusal(tarOf([file('x'.repeat(601))]), limits)).toContain('more than 600');
    expect(await refusal(tarOf([file('x'.repeat(600)), file('y'.repeat(401))]), limits)).toContain(
      'more than 1000',
    );
    // What is passed over counts too: a small body may unpack to very much.
    const bomb = gzippedTarOf([other('x'.repeat(9000))]);
    expect(bomb.length).toBeLessThan(200);
    expect(await refusal(bomb, limits)).toContain('unpacks to more than 8192 bytes');
  });

  it('names other ways to pack', async () => {
    const xz = Buffer.from('fd377a585a0000', 'hex');
    expect(await refusal(xz)).toContain('packed with xz');
    expect(await refusal(Buffer.from('BZh9'))).toContain('packed with bzip2');
  });

  it('refuses what is cut or broken, at every place', async () => {
    const whole = tarOf(FILES);
    const packed = gzipSync(whole);
    expect(await refusal(Buffer.alloc(0))).toContain('the archive is empty');
    expect(await refusal(Buffer.from('no archive at all'))).toContain('ends inside');
    expect(await refusal(packed.subarray(0, 40))).toContain('cannot be unpacked');
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 1023 }), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const broken = Buffer.from(whole);
        broken[at] = (broken[at]! + by) % 256;
        const outcome = await refusal(broken);
        // A header's bytes are covered by its checksum; only contents may change unseen, and what ends the checksum itself.
        if (at === 154 || at === 155) return;
        if (at < 512) expect(outcome).toMatch(/^malformed-archive/);
        else expect(outcome).toBe('accepted');
      }),
      { numRuns: 200 },
    );
    for (const length of [1, 511, 512, 513, 1023]) {
      expect(await refusal(whole.subarray(0, length))).toMatch(/ends inside a file/);
    }
  });
});
