/** The scripts of a recommendation, run by a shell below a root of their own with commands that only write down. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Operation, RecommendationContent } from '@zonewise/advisor';
import { kernelProfiles, type HostModel } from '@zonewise/simulator';
import { adviceFiles } from './advice-files';

const xml = readFileSync(join(__dirname, '../../../examples/web1.xml'), 'utf8');
const THP = '/sys/kernel/mm/transparent_hugepage/defrag';
const POOL = '/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages';

const HOST = {
  sysctl: { min_free_kbytes: 90112, ...kernelProfiles['6.1.y'].defaultSysctls },
  nodes: [
    { nodeId: 0, cpus: [0, 1, 4, 5] },
    { nodeId: 1, cpus: [2, 3] },
  ],
} as unknown as HostModel;

function operation(change: Partial<Operation>): Operation {
  return {
    ...{ action: 'replace', resourceType: 'domain', resource: 'web1', path: '/domain/numatune' },
    ...{ value: { mode: 'strict', nodeset: [0] }, previousValue: null },
    ...{ reason: 'because', requiresRestart: false },
    ...change,
  };
}

const OPERATIONS = [
  operation({
    ...{ resourceType: 'sysctl', resource: 'zone_reclaim_mode', path: '/vm/zone_reclaim_mode' },
    ...{ value: 1, previousValue: 0 },
  }),
  operation({
    ...{ resourceType: 'thp', resource: 'defrag', path: THP },
    ...{ value: 'defer', previousValue: 'madvise' },
  }),
  operation({
    ...{ resourceType: 'hugepages', resource: 'node1', path: POOL },
    ...{ value: 512, previousValue: 0 },
  }),
  operation({}),
  operation({ path: '/domain/vcpu/@cpuset', value: { nodes: [0] } }),
  operation({ path: '/domain/memoryBacking', value: 2048 }),
  operation({
    ...{ resourceType: 'start-order', resource: 'host', path: '/startOrder' },
    ...{ value: ['web1', "it's"], previousValue: ["it's", 'web1'] },
  }),
];

const CONTENT = {
  content: { operationGroups: [{ description: '', operations: OPERATIONS }] },
  routes: [
    {
      ...{ guest: 'db1', state: 'running', awayPages: 1000 },
      routes: [
        { kind: 'live', possible: false, gainPages: 0, message: 'no', commands: [] },
        {
          ...{ kind: 'migrate-pages', possible: true, gainPages: 1000, message: 'moves\nthem' },
          commands: ['migratepages 1 0 1'],
        },
      ],
    },
  ],
} as unknown as RecommendationContent;

describe('the scripts of a recommendation', () => {
  let folder: string;
  let files: ReturnType<typeof adviceFiles>;
  const at = (path: string): string => join(folder, 'root', path);
  const written = (): string => readFileSync(join(folder, 'calls'), 'utf8');

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-scripts-'));
    files = adviceFiles(CONTENT, [{ name: 'web1', xml }], HOST);
    for (const { name, text } of files) writeFileSync(join(folder, name), text);
    for (const path of [THP, POOL, '/etc/sysctl.d/x']) {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), '');
    }
    mkdirSync(join(folder, 'bin'));
    for (const name of ['virsh', 'sysctl', 'migratepages', 'systemd-tmpfiles']) {
      const script = `#!/bin/sh\necho ${name} "$@" >> "${join(folder, 'calls')}"\n`;
      writeFileSync(join(folder, 'bin', name), script, { mode: 0o755 });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const environment = (): Record<string, string> => ({
    PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
    ZONEWISE_ROOT: join(folder, 'root'),
  });
  const run = (name: string, cwd = folder): void => {
    writeFileSync(join(folder, 'calls'), '');
    execFileSync('sh', [name], { cwd, env: environment(), stdio: 'pipe' });
  };

  const fileText = (name: string): string => files.find((file) => file.name === name)?.text ?? '';
  /** Lines of an installed file that set something. */
  const settingsIn = (path: string): string[] =>
    readFileSync(at(path), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));

  it('install everything', () => {
    run('apply.sh');
    const conf = at('/etc/sysctl.d/90-zonewise.conf');
    expect(readFileSync(conf, 'utf8')).toBe(fileText('90-zonewise.conf'));
    expect(readFileSync(conf, 'utf8')).toMatch(/^vm\.zone_reclaim_mode = 1$/m);
    expect(settingsIn('/etc/tmpfiles.d/zonewise.conf')).toEqual([
      `w ${THP} - - - - defer`,
      `w ${POOL} - - - - 512`,
    ]);
    expect(readFileSync(at(THP), 'utf8')).toBe('defer\n');
    expect(readFileSync(at(POOL), 'utf8')).toBe('512\n');
    expect(written()).toBe('sysctl -p ./90-zonewise.conf\nvirsh define ./web1.xml\n');
    const patched = readFileSync(join(folder, 'web1.xml'), 'utf8');
    expect(patched).toContain("cpuset='0-1,4-5'");
    expect(patched).toMatch(/<hugepages>\s*<page size='2048' unit='KiB'\/>/);
  });

  it('take everything back', () => {
    run('rollback.sh');
    expect(readdirSync(at('/etc/sysctl.d'))).toEqual(['x']);
    expect(readdirSync(at('/etc/tmpfiles.d'))).toEqual([]);
    expect(readFileSync(at(THP), 'utf8')).toBe('madvise\n');
    expect(readFileSync(at(POOL), 'utf8')).toBe('0\n');
    expect(written()).toBe('sysctl -p ./rollback.conf\nvirsh define ./web1.rollback.xml\n');
    expect(readFileSync(join(folder, 'web1.rollback.xml'), 'utf8')).toBe(xml);
  });

  describe('where an earlier file is installed', () => {
    const SYSCTLS = '/etc/sysctl.d/90-zonewise.conf';
    const TMPFILES = '/etc/tmpfiles.d/zonewise.conf';
    const EARLIER = {
      [SYSCTLS]:
        '# of earlier advice\nvm.min_free_kbytes = 180224\n-vm/zone_reclaim_mode=0\n; vm.swappiness = 1\n  vm.dirty_ratio=5\n',
      [TMPFILES]: `w ${THP} - - - - always\nw /sys/kernel/mm/ksm/run - - - - 0\n`,
    };
    beforeEach(() => {
      for (const [path, text] of Object.entries(EARLIER)) writeFileSync(at(path), text);
    });
    const installed = () =>
      Object.fromEntries(
        Object.keys(EARLIER).map((path) => [path, readFileSync(at(path), 'utf8')]),
      );

    it('keep what it sets besides, and give it back, however often they run', () => {
      for (let times = 0; times < 2; times += 1) {
        run('apply.sh');
        expect(settingsIn(SYSCTLS)).toEqual([
          'vm.zone_reclaim_mode = 1',
          'vm.min_free_kbytes = 180224',
          '  vm.dirty_ratio=5',
        ]);
        expect(settingsIn(TMPFILES)).toEqual([
          `w ${THP} - - - - defer`,
          `w ${POOL} - - - - 512`,
          'w /sys/kernel/mm/ksm/run - - - - 0',
        ]);
      }
      for (let times = 0; times < 2; times += 1) {
        run('rollback.sh');
        expect(installed()).toEqual(EARLIER);
      }
      expect(readdirSync(folder).filter((name) => name.includes('.before'))).toEqual([]);
    });

    it('do not take back what other advice installed over it', () => {
      run('apply.sh');
      const second = join(folder, 'second');
      mkdirSync(second);
      const other = {
        content: {
          operationGroups: [
            {
              description: '',
              operations: [
                operation({
                  ...{ resourceType: 'sysctl', resource: 'swappiness', path: '/vm/swappiness' },
                  ...{ value: 10, previousValue: 60 },
                }),
              ],
            },
          ],
        },
        routes: [],
      } as unknown as RecommendationContent;
      for (const { name, text } of adviceFiles(other, [], HOST)) {
        writeFileSync(join(second, name), text);
      }
      const first = installed();
      run('apply.sh', second);
      expect(settingsIn(SYSCTLS)).toEqual([
        'vm.swappiness = 10',
        'vm.zone_reclaim_mode = 1',
        'vm.min_free_kbytes = 180224',
        '  vm.dirty_ratio=5',
      ]);
      const both = installed();
      writeFileSync(join(folder, 'calls'), '');
      const refused = spawnSync('sh', ['rollback.sh'], {
        ...{ cwd: folder, env: environment(), encoding: 'utf8' },
      });
      expect([refused.status, installed(), written()]).toEqual([1, both, '']);
      expect(refused.stderr).toContain('90-zonewise.conf was changed after apply.sh');
      run('rollback.sh', second);
      expect(installed()).toEqual(first);
      run('rollback.sh');
      expect(installed()).toEqual(EARLIER);
    });

    it('leave it where nothing was applied', () => {
      run('rollback.sh');
      expect(installed()).toEqual(EARLIER);
      expect(existsSync(join(folder, '90-zonewise.conf.before'))).toBe(false);
    });
  });

  it('start the guests in the order of the advice, whatever they are called', () => {
    run('start.sh');
    expect(written()).toBe("virsh start web1\nvirsh start it's\n");
  });

  it('show the ways of running guests and take none of them', () => {
    run('apply-live.sh');
    expect(written()).toBe('');
    const { text } = files.find(({ name }) => name === 'apply-live.sh')!;
    expect(text).toContain(
      '# live (not possible): no\n# migrate-pages: moves them\n# migratepages 1 0 1\n',
    );
  });
});
