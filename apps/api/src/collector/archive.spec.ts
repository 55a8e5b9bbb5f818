import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { recordedText } from '../../../../test/support/facts';
import { gzippedTarOf, tarOf, type Entry } from '../../../../test/support/tar';
import { ARCHIVE_LIMITS, ArchiveError, readArchive } from './archive';

const FIXTURES = join(__dirname, '../../../../test/fixtures/archives');

const FILES: Entry[] = [
  { path: 'zonewise/proc/zoneinfo', text: 'zones\n' },
  { path: 'zonewise/proc/meminfo', text: 'memory\n' },
];

async function refusal(body: Buffer, limits = ARCHIVE_LIMITS): Promise<string> {
  try {
    await readArchive(body, limits);
  } catch (error) {
    if (error instanceof ArchiveError) return error.message;
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
    expect(await readArchive(await tarOf(FILES))).toEqual(expected);
    expect(await readArchive(await gzippedTarOf(FILES))).toEqual(expected);
  });

  it('passes over links, devices and folders, and reads long names', async () => {
    const folder = 'sosreport-host-2026'.padEnd(120, 'x');
    const read = await readArchive(
      await tarOf([
        { path: `${folder}/proc`, type: 'directory' },
        { path: `${folder}/proc/vmstat`, text: 'nr_free_pages 1\n' },
        { path: 'top/proc/zoneinfo', type: 'symlink', link: '/etc/passwd' },
        { path: 'top/proc/buddyinfo', type: 'link', link: '../../etc/passwd' },
        { path: 'top/proc/pagetypeinfo', type: 'fifo' },
      ]),
    );
    expect(read.texts).toEqual({ vmstat: 'nr_free_pages 1\n' });
  });

  it('reads a sosreport: outputs of commands, single settings, guests by their pid files', async () => {
    const sos = (path: string, text: string): Entry => ({ path: `sosreport-a/${path}`, text });
    const read = await readArchive(
      await tarOf([
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

  it.each(['gz', 'xz', 'bz2', 'zst'])('reads a sosreport packed as .tar.%s', async (packing) => {
    const { texts, guests, hostName, unread } = await readArchive(
      readFileSync(join(FIXTURES, `sosreport.tar.${packing}`)),
    );
    const perNode = (file: string) => ({
      '0': recordedText(`node0.${file}`),
      '1': recordedText(`node1.${file}`),
    });
    expect(texts).toEqual({
      zoneinfo: recordedText('zoneinfo'),
      buddyinfo: recordedText('buddyinfo'),
      meminfo: recordedText('meminfo'),
      sysctl: 'vm.swappiness = 60\nvm.zone_reclaim_mode = 0\nnet.ipv4.ip_forward = 0\n',
      version: expect.stringContaining('6.1.0-28-amd64') as string,
      thpEnabled: '[always] madvise never\n',
      nodeMeminfo: perNode('meminfo'),
      nodeCpulist: perNode('cpulist'),
      nodeDistance: perNode('distance'),
    });
    expect(hostName).toBe('numa-host-1');
    expect(guests).toEqual([
      {
        name: 'db1',
        pid: 4711,
        xml: readFileSync(join(__dirname, '../../../../examples/db1.xml'), 'utf8'),
        numaMaps: recordedText('guest.db1.numa_maps'),
      },
    ]);
    expect(unread).toEqual([]);
  });

  it('refuses names that lead out of the archive', async () => {
    for (const path of ['../proc/zoneinfo', '/proc/zoneinfo', 'a/../../proc/zoneinfo']) {
      expect(await refusal(await tarOf([{ path, text: 'x' }]))).toMatch(/leads out of the archive/);
    }
    const long = `${'x/'.repeat(3000)}proc/zoneinfo`;
    expect(await refusal(await tarOf([{ path: long, text: 'x' }]))).toContain('is too long');
  });

  it('leaves out a file that is no text, and says so', async () => {
    const { texts, unread } = await readArchive(
      await tarOf([...FILES, { path: 'zonewise/proc/vmstat', text: Buffer.from([0xff, 0xfe]) }]),
    );
    expect(Object.keys(texts)).toEqual(['zoneinfo', 'meminfo']);
    expect(unread).toEqual(['zonewise/proc/vmstat: it is not UTF-8 text']);
  });

  it('keeps to its limits', async () => {
    const small = { entries: 2, bytes: 8192, fileBytes: 600, keptBytes: 1000 };
    const limits = { ...small, ratio: 100, ratioFromBytes: 4096 };
    const file = (text: string): Entry => ({ path: 'a/proc/zoneinfo', text });
    const other = (text: string): Entry => ({ path: 'a/proc/uptime', text });
    const tried = async (...entries: Entry[]) => refusal(await tarOf(entries), limits);
    expect(await tried(file('x'), other('y'))).toBe('accepted');
    expect(await tried(other('x'), other('y'), other('z'))).toContain('more than 2');
    expect(await tried(file('x'.repeat(601)))).toContain('has 601 bytes, more than 600');
    expect(await tried(file('x'.repeat(600)), file('y'.repeat(401)))).toContain('more than 1000');
    // What is passed over counts too: a small body may unpack to very much.
    const bomb = await gzippedTarOf([other('x'.repeat(9000))]);
    expect(await refusal(bomb, { ...limits, ratio: 1000 })).toContain('more than 8192 bytes');
    const dense = await gzippedTarOf([other('x'.repeat(90_000))]);
    expect(await refusal(dense, { ...limits, bytes: 1e6 })).toMatch(/more than 100 times as many/);
  });

  it('names other ways to pack', async () => {
    const zip = Buffer.from('504b030414000000', 'hex');
    expect(await refusal(zip)).toContain('it is packed with zip; tar is read');
    expect(await refusal(Buffer.from('377abcaf271c0004', 'hex'))).toContain('packed with 7z');
  });

  it('does not unpack a whole block of bzip2 to find that it is too much', async () => {
    // 45.9 MB of zeros in one block.
    const bomb = Buffer.from(
      '425a68393141592653590e09e2df015f8e4000c0000008200030804d4642a025a90a809731415926' +
        '5359f87dd90d0000014000c00000082000210082607177245385090e46e1cb30',
      'hex',
    );
    const bytes = 1024 * 1024;
    expect(await refusal(bomb, { ...ARCHIVE_LIMITS, bytes })).toContain(`more than ${bytes} bytes`);
    expect(await refusal(bomb)).toMatch(/^its 72 bytes unpack to more than 200 times as many/);
  });

  it('refuses a zstd frame that asks for more memory than is given', async () => {
    const whole = readFileSync(join(FIXTURES, 'sosreport.tar.zst'));
    // A frame of its own before the others: window descriptor 0xa8 is 2 GiB.
    const greedy = Buffer.from('28b52ffd00a8010000', 'hex');
    expect(await refusal(Buffer.concat([greedy, whole]))).toContain('its window of 2147483648');
    expect(await refusal(Buffer.concat([whole, greedy]))).toContain('its window of 2147483648');
    const skipped = Buffer.from('502a4d180300000061626300', 'hex').subarray(0, 11);
    expect(await refusal(Buffer.concat([whole, skipped, greedy]))).toContain('its window');
  });

  it('refuses what is cut or broken, at every place', async () => {
    const whole = await tarOf(FILES);
    expect(await refusal(Buffer.alloc(0))).toBe('it is empty');
    expect(await refusal(Buffer.from('no archive at all'))).toContain('cannot be read as a tar');
    for (const packing of ['gz', 'xz', 'bz2', 'zst']) {
      const packed = readFileSync(join(FIXTURES, `sosreport.tar.${packing}`));
      for (const length of [8, 100, packed.length >> 1, packed.length - 20]) {
        expect([packing, length, await refusal(packed.subarray(0, length))]).toEqual([
          packing,
          length,
          expect.stringMatching(/^it cannot be (unpacked with|read as a tar)/),
        ]);
      }
    }
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 1023 }), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const broken = Buffer.from(whole);
        broken[at] = (broken[at]! + by) % 256;
        const outcome = await refusal(broken);
        // What ends the checksum itself may be anything.
        if (at === 154 || at === 155) return;
        // A blank in place of its leading zero leaves it the same number.
        if (at === 148 && [0, 9, 10, 11, 12, 13, 32].includes(broken[at])) return;
        // A header's bytes are covered by its checksum; only contents may change unseen.
        if (at < 512) expect(outcome).toMatch(/^it cannot be read as a tar archive/);
        else expect(outcome).toBe('accepted');
      }),
      { numRuns: 200 },
    );
    for (const length of [1, 511, 513, 1023]) {
      expect(await refusal(whole.subarray(0, length))).toMatch(/^it cannot be read as a tar/);
    }
  });
});

/** Whether a tool answers; says so where it does not. */
function isThere(tool: string): boolean {
  const there = spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0;
  if (!there) process.stdout.write(`archive: ${tool} skipped, this machine does not have it\n`);
  return there;
}

const FORMATS = ['gnu', 'posix', 'ustar', 'v7'];
const PACKERS = ['gzip', 'xz', 'bzip2', 'zstd'];

(isThere('tar') ? describe : describe.skip)(
  'an archive that the tools of this machine made',
  () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'zonewise-archive-'));
      const write = (path: string, text: string) => {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      };
      for (const file of ['zoneinfo', 'vmstat']) write(`host/proc/${file}`, recordedText(file));
      symlinkSync('/etc/hostname', join(folder, 'host/proc/version'));
      write(`host/${'long-name-'.repeat(8)}/${'x'.repeat(90)}`, 'passed over');
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const made = (format: string): Buffer => {
      const files = format === 'v7' ? ['host/proc'] : ['host'];
      const { stdout, status } = spawnSync('tar', [
        '-C',
        folder,
        `--format=${format}`,
        '-c',
        ...files,
      ]);
      expect(status).toBe(0);
      return stdout;
    };
    const expected = () => ({ zoneinfo: recordedText('zoneinfo'), vmstat: recordedText('vmstat') });

    it.each(FORMATS)('is read in the format %s', async (format) => {
      expect((await readArchive(made(format))).texts).toEqual(expected());
    });

    it.each(PACKERS.filter(isThere))(
      'is read as %s packs it, in several pieces too',
      async (tool) => {
        const packed = (input: Buffer): Buffer => spawnSync(tool, ['-c'], { input }).stdout;
        const plain = made('gnu');
        expect((await readArchive(packed(plain))).texts).toEqual(expected());
        const half = 512 * Math.floor(plain.length / 1024);
        const pieces = [plain.subarray(0, half), plain.subarray(half)].map(packed);
        expect((await readArchive(Buffer.concat(pieces))).texts).toEqual(expected());
      },
    );
  },
);
