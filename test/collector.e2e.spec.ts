/** The collector run on a made-up root with coreutils alone, and its archive imported. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import request from 'supertest';
import { readArchive } from '../apps/api/src/collector/archive';
import { COLLECTOR_PATH } from '../apps/api/src/collector/collector.controller';
import { createTestApp, TestApp } from './support/app';
import { recordedText } from './support/facts';
import { gzippedTarOf } from './support/tar';

const EXAMPLES = join(__dirname, '../examples');
/** What coreutils has of what the script calls; cat, test and printf are among them or built in. */
const COREUTILS = ['cat', 'date', 'head', 'od', 'timeout', 'tr'];
const NODE_FILES = ['meminfo', 'numastat', 'cpulist', 'distance'];

const UNUSABLE_INDEX = `Node 1, zone   Normal ${'0.000 '.repeat(11)}\n`;

let folder: string;
let root: string;
let bin: string;

function write(path: string, text: string): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const pathOf = (name: string): string =>
  execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'zonewise-collector-'));
  root = join(folder, 'root');
  bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const name of COREUTILS) symlinkSync(pathOf(name), join(bin, name));
  for (const file of ['zoneinfo', 'buddyinfo', 'meminfo', 'vmstat', 'version'])
    write(`proc/${file}`, recordedText(file));
  for (const node of [0, 1])
    for (const file of NODE_FILES)
      write(`sys/devices/system/node/node${node}/${file}`, recordedText(`node${node}.${file}`));
  const pools = 'sys/devices/system/node/node0/hugepages/hugepages-2048kB';
  for (const file of ['nr', 'free', 'surplus']) write(`${pools}/${file}_hugepages`, '0\n');
  write('proc/sys/kernel/hostname', 'numa-host-9\n');
  write('proc/sys/vm/swappiness', '10\n');
  write('proc/sys/vm/lowmem_reserve_ratio', '256\t256\t32\t0\t0\n');
  write('proc/sys/vm/compact_memory', '');
  write('sys/kernel/mm/transparent_hugepage/enabled', 'always [madvise] never\n');
  write('sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan', '8192\n');
  write('sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none', '511\n');
  for (const state of ['possible', 'online', 'has_memory']) {
    write(`sys/devices/system/node/${state}`, '0-1\n');
  }
  write('sys/kernel/debug/extfrag/unusable_index', UNUSABLE_INDEX);
  write('proc/4711/comm', 'qemu-system-x86\n');
  write('proc/4711/cmdline', 'qemu-system-x86_64\0-name\0guest=db1,debug-threads=on\0-S\0');
  for (const file of ['numa_maps', 'smaps_rollup']) {
    write(`proc/4711/${file}`, '');
    copyFileSync(join(EXAMPLES, `host/guest.db1.${file}`), join(root, `proc/4711/${file}`));
  }
  write('proc/4712/comm', 'bash\n');
  write('run/libvirt/qemu/db1.xml', readFileSync(join(EXAMPLES, 'db1.xml'), 'utf8'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function collect(shell: string): { archive: Buffer; complaints: string } {
  const { stdout, stderr, status } = spawnSync(shell, [COLLECTOR_PATH], {
    env: { PATH: bin, ZONEWISE_ROOT: root },
    maxBuffer: 64 * 1024 * 1024,
  });
  expect(status).toBe(0);
  return { archive: stdout, complaints: stderr.toString() };
}

/** Every file with its size and time. */
function picture(path = root): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const full = join(path, entry.name);
    if (entry.isDirectory()) return picture(full);
    const { size, mtimeMs } = statSync(full);
    return [`${full} ${size} ${mtimeMs}`];
  });
}

const shells = ['/bin/sh', '/bin/dash', '/bin/bash'].filter((path) => existsSync(path));

describe.each(shells)('collector.sh in %s', (shell) => {
  it('gathers a host and its guest, changes nothing, and says what is missing', async () => {
    const before = picture();
    const { archive, complaints } = collect(shell);
    expect(picture()).toEqual(before);
    const { texts, guests, hostName, unread } = await readArchive(archive);
    expect(hostName).toBe('numa-host-9');
    expect(texts).toMatchObject({
      zoneinfo: recordedText('zoneinfo'),
      meminfo: recordedText('meminfo'),
      sysctl: 'vm.lowmem_reserve_ratio = 256 256 32 0 0\nvm.swappiness = 10\n',
      khugepaged: 'pages_to_scan:8192\nmax_ptes_none:511\n',
      nodeStates: 'possible:0-1\nonline:0-1\nhas_memory:0-1\n',
      unusableIndex: UNUSABLE_INDEX,
      nodeDistance: { '0': recordedText('node0.distance'), '1': recordedText('node1.distance') },
      nodeHugepages: {
        '0': [
          'hugepages-2048kB/nr_hugepages:0',
          'hugepages-2048kB/free_hugepages:0',
          'hugepages-2048kB/surplus_hugepages:0\n',
        ].join('\n'),
      },
    });
    expect(guests).toEqual([
      {
        name: 'db1',
        pid: 4711,
        xml: readFileSync(join(EXAMPLES, 'db1.xml'), 'utf8'),
        numaMaps: recordedText('guest.db1.numa_maps'),
        smapsRollup: recordedText('guest.db1.smaps_rollup'),
      },
    ]);
    expect(unread).toEqual(
      expect.arrayContaining([
        '/proc/pagetypeinfo: there is no such file',
        '/sys/kernel/mm/lru_gen/enabled: there is no such file',
        'numactl --hardware: there is no such command',
      ]),
    );
    expect(complaints).toContain('not read: /proc/pagetypeinfo: there is no such file\n');
  });
});

/** What a virsh prints that knows two cells. */
const VIRSH = `#!/bin/sh
case "$*" in
'-r nodememstats --cell 0') printf 'total  :              4028976 KiB\\nfree   :               911216 KiB\\n' ;;
'-r nodememstats --cell 1') printf 'total  :              4123976 KiB\\nfree   :              2686120 KiB\\n' ;;
*) exit 1 ;;
esac
`;

describe('collector.sh where there is a virsh', () => {
  it('asks it for every cell', async () => {
    writeFileSync(join(bin, 'virsh'), VIRSH, { mode: 0o755 });
    const { archive } = collect('/bin/sh');
    rmSync(join(bin, 'virsh'));
    const { texts, unread } = await readArchive(archive);
    expect(Object.keys(texts.cellMemstats ?? {})).toEqual(['0', '1']);
    expect(texts.cellMemstats?.['1']).toContain('4123976 KiB');
    expect(unread).toContain('virsh -r nodeinfo: the command failed');
  });
});

describe('the archive of a host', () => {
  let testApp: TestApp;
  beforeAll(async () => {
    testApp = await createTestApp();
  });
  afterAll(() => testApp.close());
  const http = () => request(testApp.server);
  const importArchive = (archive: Buffer, query = '', type = 'application/x-tar') =>
    http().post(`/v1/hosts/import${query}`).set('Content-Type', type).send(archive);

  it('is imported with its running guest, under its own name or another', async () => {
    const { archive } = collect('/bin/sh');
    const { body } = await importArchive(archive).expect(201);
    expect(body.name).toBe('numa-host-9');
    expect(body.summary).toMatchObject({ nodes: 2, cpus: 4 });
    expect(body.caveats).toContainEqual({
      code: 'not-collected',
      message: '/proc/pagetypeinfo: there is no such file',
    });
    const { body: domain } = await http().get(`/v1/hosts/${body.id}/domains/db1`).expect(200);
    expect(domain).toMatchObject({ state: 'running', residencySource: 'numa_maps' });
    const gzip = 'application/gzip';
    await importArchive(gzipSync(archive), '?name=numa-host-10', gzip).expect(201);
    await importArchive(gzipSync(archive), '?name=numa-host-10', gzip).expect(409);
    const { body: part } = await http()
      .post('/v1/hosts/import')
      .field('name', 'numa-host-11')
      .attach('thp-enabled', Buffer.from(''), { filename: 'x' })
      .attach('archive', archive, { filename: 'host.tar' })
      .expect(400);
    expect(part.errors[0]).toMatchObject({ code: 'unknown-field', path: 'thp-enabled' });
    const multipart = await http()
      .post('/v1/hosts/import')
      .field('name', 'numa-host-12')
      .attach('thpEnabled', Buffer.from('[always] madvise never\n'), { filename: 'x' })
      .attach('archive', archive, { filename: 'host.tar' })
      .expect(201);
    expect(multipart.body.model.thp.enabled).toBe('always');
  });

  it('may be a sosreport, packed as sos packs it', async () => {
    const sosreport = readFileSync(join(__dirname, 'fixtures/archives/sosreport.tar.xz'));
    const { body } = await importArchive(sosreport, '?name=sos-host', 'application/x-xz').expect(
      201,
    );
    expect(body.summary).toMatchObject({ nodes: 2, cpus: 4 });
    expect(body.model.kernelRelease).toBe('6.1.0-28-amd64');
    const { body: domain } = await http().get(`/v1/hosts/${body.id}/domains/db1`).expect(200);
    expect(domain).toMatchObject({ state: 'running', residencySource: 'numa_maps' });
    const cut = await importArchive(sosreport.subarray(0, 2000), '?name=cut').expect(400);
    expect(cut.body).toMatchObject({
      code: 'malformed-archive',
      detail: expect.stringContaining('cannot be unpacked with xz') as string,
    });
  });

  it('is imported without what its commands could not say, and without guests that cannot be', async () => {
    const text = (path: string, content: string) => ({ path: `a/${path}`, text: content });
    const archive = await gzippedTarOf([
      text('proc/zoneinfo', recordedText('zoneinfo')),
      text('commands/virsh_-r_nodeinfo', 'error: no connection\n'),
      text('guests/1/name', 'gone'),
      text('guests/1/numa_maps', '7f00 default anon=1 N0=1\n'),
    ]);
    const { body } = await importArchive(archive, '?name=partial', 'application/gzip').expect(201);
    const codes = body.caveats.map(({ code }: { code: string }) => code);
    expect(codes).toEqual(expect.arrayContaining(['source-left-out', 'guest-left-out']));
    const { body: domains } = await http().get(`/v1/hosts/${body.id}/domains`).expect(200);
    expect(domains.items).toEqual([]);
  });

  it('is refused as a whole where it is broken or has no host', async () => {
    const broken = await importArchive(Buffer.from('x'.repeat(600)), '?name=broken').expect(400);
    expect(broken.body.code).toBe('malformed-archive');
    const empty = await importArchive(await gzippedTarOf([{ path: 'a/b', text: '' }]), '?name=e');
    expect([empty.status, empty.body.code]).toEqual([422, 'invalid-facts']);
    const nameless = await importArchive(await gzippedTarOf([{ path: 'a/b', text: '' }])).expect(
      400,
    );
    expect(nameless.body.errors[0].path).toBe('name');
  });

  it('comes from the script that the service gives out', async () => {
    const { text, headers } = await http().get('/v1/collector.sh').buffer(true).expect(200);
    expect(headers['content-type']).toBe('text/x-shellscript; charset=utf-8');
    expect(text ?? '').toBe(readFileSync(COLLECTOR_PATH, 'utf8'));
  });
});
