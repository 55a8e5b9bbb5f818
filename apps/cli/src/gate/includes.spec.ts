import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GateVerdict } from '@zonewise/plan';
import { scratch } from '../test/scratch';
import { gate } from './gate';

const NUMACTL = `available: 1 nodes (0)
node 0 cpus: 0 1
node 0 size: 512 MB
node 0 free: 480 MB
node distances:
node   0
  0:  10
`;
const HOSTS = `hosts:
  - name: kvm1
    facts: facts
flavours:
  small: {memoryMib: 64}
  large: {memoryMib: 400}
policies:
  swap: {maxMib: 1}
`;

const its = scratch();

function write(name: string, text: string | Buffer): string {
  const path = join(its.folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

async function judged(path: string): Promise<{ code: number; stderr: string; out: string }> {
  its.stdout = '';
  its.stderr = '';
  const code = await gate([path], { output: 'table', today: '2027-01-01' });
  return { code, stderr: its.stderr, out: its.stdout };
}

describe('a plan that includes others', () => {
  beforeEach(() => {
    write('fleet/facts/numactl-hardware', NUMACTL);
    write('fleet/facts/version', '6.1.0\n');
    write('fleet/hosts.yaml', HOSTS);
  });

  it('has their hosts, flavours and policies, files relative to where they are written', async () => {
    const path = write(
      'plan.yaml',
      'include: [fleet/hosts.yaml]\nguests:\n  - {name: a, flavour: small}\nflavours: {small: {memoryMib: 32}}\n',
    );
    expect(await gate([path], { output: 'json', today: '2027-01-01' })).toBe(0);
    const verdict = JSON.parse(its.stdout) as GateVerdict;
    expect(verdict.hosts.map(({ name }) => name)).toEqual(['kvm1']);
    // What the plan itself writes goes before what it includes.
    expect(verdict.hosts[0]?.outcome.guests[0]?.memoryPages).toBe((32 * 1024) / 4);
    expect(verdict.rules.find(({ code }) => code === 'swap')?.limit).toBe(1);
  });

  it('is judged as the same plan in one file, under the same hash', async () => {
    const hash = async (path: string): Promise<string> => {
      its.stdout = '';
      await gate([path], { output: 'json', today: '2027-01-01' });
      return (JSON.parse(its.stdout) as GateVerdict).planSha256;
    };
    const guests = 'guests: [{name: a, flavour: small}]\n';
    const inOne = write('one.yaml', HOSTS.replace('facts: facts', 'facts: fleet/facts') + guests);
    const inTwo = write('two.yaml', `include: fleet/hosts.yaml\n${guests}`);
    expect(await hash(inTwo)).toBe(await hash(inOne));
  });

  it('names the file and line that a finding or problem comes from', async () => {
    write(
      'fleet/guests.yaml',
      'guests:\n  - {name: a, flavour: large}\n  - {name: b, flavour: large}\n',
    );
    const include = 'include: [fleet/hosts.yaml, fleet/guests.yaml]\n';
    const failed = await judged(write('plan.yaml', include));
    expect(failed.code).toBe(2);
    expect(failed.out).toMatch(/fleet\/guests\.yaml:[23]/);
    write('fleet/guests.yaml', 'guests:\n  - {name: a, flavour: lagre}\n');
    const refused = await judged(write('plan.yaml', include));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/fleet\/guests\.yaml:2:\d+: .*lagre.*Did you mean "large"/);
    write('fleet/guests.yaml', 'gests:\n  - {name: a, flavour: large}\n');
    expect((await judged(write('plan.yaml', include))).stderr).toMatch(
      /fleet\/guests\.yaml:1:1: .*did you mean guests\?/,
    );
  });

  it.each<[string, Record<string, string | Buffer>, RegExp]>([
    [
      'a cycle',
      {
        'plan.yaml': 'seed: 1\ninclude: [fleet/a.yaml]\n',
        'fleet/a.yaml': 'include: ../plan.yaml\n',
      },
      /fleet\/a\.yaml:1:1: .*plan\.yaml includes fleet\/a\.yaml includes plan\.yaml.*\[include-cycle\]/,
    ],
    [
      'itself',
      { 'plan.yaml': 'include: plan.yaml\n' },
      /plan\.yaml:1:1: .*plan\.yaml includes plan\.yaml.*\[include-cycle\]/,
    ],
    [
      'what is not there',
      { 'plan.yaml': 'seed: 1\ninclude:\n  - none.yaml\n' },
      /plan\.yaml:3:5: .*none\.yaml.*\[file-unreadable\]/,
    ],
    [
      'what is outside of its folder',
      { 'plan.yaml': 'include: ../../etc/hosts\n' },
      /plan\.yaml:1:1: .*outside of.*--root DIR \[outside-folder\]/,
    ],
    [
      'a plan of one host',
      { 'plan.yaml': 'include: b.yaml\n', 'b.yaml': 'host: {facts: a}\ndomains: [{xml: a.xml}]\n' },
      /b\.yaml:1:1: .*\[plan-shape\]/,
    ],
    [
      'nothing that makes a plan',
      { 'plan.yaml': 'include: b.yaml\n', 'b.yaml': 'seed: 1\n' },
      /plan\.yaml:1:1: .*hosts and guests.*\[plan-shape\]/,
    ],
    [
      'bytes that are no text',
      { 'plan.yaml': 'include: b.yaml\n', 'b.yaml': Buffer.from('seed: 1\n# \xff\n', 'latin1') },
      /b\.yaml:2:3: .*UTF-8.*found byte 0xff \[not-text\]/,
    ],
  ])('is refused when it includes %s', async (_what, files, message) => {
    for (const [name, text] of Object.entries(files)) write(name, text);
    const { code, stderr } = await judged(join(its.folder, 'plan.yaml'));
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('is refused when a link leads out of its folder', async () => {
    write('outside/b.yaml', HOSTS);
    mkdirSync(join(its.folder, 'plans'));
    symlinkSync(join(its.folder, 'outside', 'b.yaml'), join(its.folder, 'plans', 'b.yaml'));
    const path = write('plans/plan.yaml', 'include: b.yaml\n');
    const { code, stderr } = await judged(path);
    expect(code).toBe(1);
    expect(stderr).toContain('[outside-folder]');
  });
});

it('bytes that are no text are refused wherever they are, with their place', async () => {
  write('facts/numactl-hardware', Buffer.from('available: 1 nodes (0)\n\xfe\n', 'latin1'));
  const path = write(
    'plan.yaml',
    'hosts: [{name: kvm1, facts: facts}]\nflavours: {small: {memoryMib: 1}}\nguests: [{name: a, flavour: small}]\n',
  );
  const facts = await judged(path);
  expect(facts.code).toBe(1);
  expect(facts.stderr).toMatch(/facts\/numactl-hardware:2:1: .*\[not-text\]/);
  const plan = await judged(write('bad.yaml', Buffer.from('seed: 1\nguests: \xe9\n', 'latin1')));
  expect(plan.code).toBe(1);
  expect(plan.stderr).toMatch(/bad\.yaml:2:9: .*\[not-text\]/);
});
