/** The scripts of a recommendation, run by a shell below a root of their own with commands that only write down. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Operation, RecommendationContent } from '@zonewise/advisor';
import { kernelProfiles, type HostModel } from '@zonewise/simulator';
import { adviceFiles } from './advice-files';

const xml = readFileSync(join(__dirname, '../../../../examples/web1.xml'), 'utf8');
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
    for (const name of ['virsh', 'sysctl', 'migratepages']) {
      const script = `#!/bin/sh\necho ${name} "$@" >> "${join(folder, 'calls')}"\n`;
      writeFileSync(join(folder, 'bin', name), script, { mode: 0o755 });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (name: string): void => {
    writeFileSync(join(folder, 'calls'), '');
    execFileSync('sh', [name], {
      cwd: folder,
      env: {
        PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
        ZONEWISE_ROOT: join(folder, 'root'),
      },
    });
  };

  it('install everything', () => {
    run('apply.sh');
    const conf = at('/etc/sysctl.d/90-zonewise.conf');
    expect(readFileSync(conf, 'utf8')).toMatch(/^vm\.zone_reclaim_mode = 1$/m);
    expect(readFileSync(at(THP), 'utf8')).toBe('defer\n');
    expect(readFileSync(at(POOL), 'utf8')).toBe('512\n');
    expect(written()).toBe(`sysctl -p ${conf}\nvirsh define ./web1.xml\n`);
    const patched = readFileSync(join(folder, 'web1.xml'), 'utf8');
    expect(patched).toContain("cpuset='0-1,4-5'");
    expect(patched).toMatch(/<hugepages>\s*<page size='2048' unit='KiB'\/>/);
  });

  it('take everything back', () => {
    run('rollback.sh');
    expect(() => readFileSync(at('/etc/sysctl.d/90-zonewise.conf'))).toThrow(/ENOENT/);
    expect(readFileSync(at(THP), 'utf8')).toBe('madvise\n');
    expect(readFileSync(at(POOL), 'utf8')).toBe('0\n');
    expect(written()).toBe('sysctl -p ./rollback.conf\nvirsh define ./web1.rollback.xml\n');
    expect(readFileSync(join(folder, 'web1.rollback.xml'), 'utf8')).toBe(xml);
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
