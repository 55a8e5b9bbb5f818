import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GateVerdict } from '@zonewise/plan';
import { scratch } from '../test/scratch';
import { plan as twoHosts } from '../test/two-host-plan';
import { packageRoot } from '../version';
import { gate } from './gate';

const EXAMPLES = join(packageRoot(), 'examples');

/** A domain of the given size, bound as numatune says, with CPUs on node 0. */
function domainXml(name: string, memoryMib: number, numatune: string): string {
  return `<domain type='kvm'>
  <name>${name}</name>
  <memory unit='MiB'>${memoryMib}</memory>
  <vcpu placement='static' cpuset='0-1'>2</vcpu>
  <numatune>
    ${numatune}
  </numatune>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
</domain>
`;
}

describe('zonewise gate', () => {
  const its = scratch();

  beforeEach(() => {
    cpSync(join(EXAMPLES, 'host'), join(its.folder, 'host'), { recursive: true });
    cpSync(join(EXAMPLES, 'host-capabilities.xml'), join(its.folder, 'host-capabilities.xml'));
  });

  function write(name: string, content: string): string {
    const path = join(its.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** A plan on the example host for the given domain documents. */
  function plan(domains: string[], rest = ''): string {
    const entries = domains.map((xml, index) => `  - xml: ${write(`d${index}.xml`, xml)}`);
    return write(
      'plan.yaml',
      `host:
  facts: host
  capabilities: host-capabilities.xml
domains:
${entries.join('\n')}
${rest}`,
    );
  }

  const verdict = () => JSON.parse(its.stdout) as GateVerdict & { zonewise: string };
  const refusal = () =>
    JSON.parse(its.stdout) as { problems: { code: string; path: string; line?: number }[] };

  it.each(['strict', 'restrictive'])(
    'fails a guest of which the second cell does not fit its node (%s)',
    async (mode) => {
      const cells = [512, 8192].map(
        (mib, id) => `<cell id='${id}' cpus='${id}' memory='${mib}' unit='MiB'/>`,
      );
      const nodes = [0, 1].map((id) => `<memnode cellid='${id}' mode='${mode}' nodeset='${id}'/>`);
      const memory = `<memory mode='${mode}' nodeset='0-1'/>${nodes.join('')}`;
      const xml = domainXml('big', 8704, memory).replace(
        '<os>',
        `<cpu><numa>${cells.join('')}</numa></cpu><os>`,
      );
      expect(await gate([plan([xml])], { output: 'json' })).toBe(2);
      expect(verdict().findings.map(({ code, guest }) => `${code} ${guest}`)).toContain(
        'failed-start big',
      );
    },
  );

  it('fails the example plan with exit code 2, for the three guests that end up remote', async () => {
    expect(await gate([join(EXAMPLES, 'plan.yaml')], { output: 'json' })).toBe(2);
    expect(verdict().verdict).toBe('fail');
    expect(verdict().findings.map(({ code, guest }) => `${code} ${guest}`)).toEqual([
      'remote-share web1',
      'remote-share web2',
      'remote-share job1',
    ]);
  });

  it('passes with exit code 0 when the plan keeps its limits', async () => {
    const path = plan([domainXml('small', 256, `<memory mode='strict' nodeset='1'/>`)]);
    expect(await gate([path], { output: 'json' })).toBe(0);
    expect(verdict().findings).toEqual([]);
  });

  it('fails a guest that is bound to a node it cannot fit: it is killed while it starts', async () => {
    const path = plan([domainXml('big', 6000, `<memory mode='strict' nodeset='0'/>`)]);
    expect(await gate([path], { output: 'json' })).toBe(2);
    expect(verdict().findings.map(({ code, guest }) => ({ code, guest }))).toContainEqual({
      code: 'failed-start',
      guest: 'big',
    });
  });

  it('prints a table by default that starts with the verdict', async () => {
    expect(await gate([join(EXAMPLES, 'plan.yaml')], { output: 'table' })).toBe(2);
    expect(its.stdout).toMatch(/^FAIL: the plan does not hold\n/);
    expect(its.stdout).toContain('remote-share: web2');
  });

  it('gives the same verdict and state on every run', async () => {
    await gate([join(EXAMPLES, 'plan.yaml')], { output: 'json' });
    const first = its.stdout;
    its.stdout = '';
    await gate([join(EXAMPLES, 'plan.yaml')], { output: 'json' });
    expect(its.stdout).toBe(first);
  });

  const ok = domainXml('ok', 64, `<memory mode='strict' nodeset='0'/>`);
  it.each([
    ['a plan that is not YAML', () => write('plan.yaml', 'host: [\n'), 'malformed-yaml'],
    ['a plan that is a list', () => write('plan.yaml', '- 1\n'), 'malformed-plan'],
    ['an unknown field', () => plan([ok], 'limitz: {}'), 'unknown-field'],
    ['a limit out of range', () => plan([ok], 'limits: {maxRemoteShare: 2}'), 'invalid-field'],
    ['a plan without domains', () => plan([], 'seed: 1'), 'invalid-field'],
    ['a missing plan', () => join(its.folder, 'none.yaml'), 'file-unreadable'],
    [
      'a missing domain file',
      () => write('plan.yaml', `host: {facts: host}\ndomains: [{xml: none.xml}]\n`),
      'file-unreadable',
    ],
    [
      'a host model that is not JSON',
      () =>
        write('plan.yaml', `host: {model: ${write('m.json', '{bad')}}\ndomains: [{xml: a.xml}]\n`),
      'malformed-json',
    ],
    [
      'a host model of the wrong shape',
      () =>
        write('plan.yaml', `host: {model: {nodes: 3}}\ndomains: [{xml: ${write('ok.xml', ok)}}]\n`),
      'host-model-shape',
    ],
    [
      'an inline text that is no text',
      () => write('plan.yaml', 'host: {texts: {zoneinfo: 5}}\ndomains: [{xml: a.xml}]\n'),
      'invalid-field',
    ],
    [
      'an inline text that does not exist',
      () => write('plan.yaml', 'host: {texts: {zones: a}}\ndomains: [{xml: a.xml}]\n'),
      'unknown-field',
    ],
    ['a setting that is no number', () => plan([ok], 'sysctl: {swappiness: x}'), 'invalid-sysctl'],
    ['a demand that is no object', () => plan([ok], 'demand: {guests: {ok: 5}}'), 'invalid-field'],
    ['a domain that is not XML', () => plan(['<domain>']), 'xml-syntax'],
    [
      'an unknown numatune mode',
      () => plan([domainXml('m', 64, `<memory mode='tight' nodeset='0'/>`)]),
      'unknown-numatune-mode',
    ],
    [
      'a node that the host lacks',
      () => plan([domainXml('n', 64, `<memory mode='strict' nodeset='7'/>`)]),
      'unknown-host-node',
    ],
  ])('cannot judge %s: exit code 1 and the problem with its place', async (_what, path, code) => {
    expect(await gate([path()], { output: 'json' })).toBe(1);
    const problem = refusal().problems.find((found) => found.code === code);
    expect(problem).toBeDefined();
    expect(its.stderr).toBe('');
  });

  it('says line and column of a fault in a domain document', async () => {
    expect(
      await gate([plan([domainXml('m', 64, `<memory mode='tight' nodeset='0'/>`)])], {
        output: 'table',
      }),
    ).toBe(1);
    expect(its.stderr).toMatch(/d0\.xml:6:\d+: \/domains\/0\/xml.*tight/);
  });

  it('says file, line and column of an event whose time contradicts the order', async () => {
    const events = `events:
  - {at: 2027-03-01T22:00Z, migrate: a-1, to: kvm2}
  - {at: 2027-03-01T21:00Z, migrate: b, to: kvm1}`;
    expect(await gate([write('plan.yaml', twoHosts(1, events))], { output: 'table' })).toBe(1);
    expect(its.stderr).toMatch(
      /plan\.yaml:\d+:6: \/events\/1\/at: .*event 1 is later: at 2027-03-01T22:00Z.*; expected 2027-03-01T22:00Z or later; found 2027-03-01T21:00Z \[plan-event\]/,
    );
  });

  it('refuses an alias bomb without expanding it', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 12; level += 1) {
      lines.push(
        `a${level}: &a${level} [${Array(10)
          .fill(`*a${level - 1}`)
          .join(', ')}]`,
      );
    }
    const path = write('plan.yaml', lines.join('\n'));
    expect(await gate([path], { output: 'json' })).toBe(1);
    expect(refusal().problems).toMatchObject([{ code: 'malformed-yaml', line: 5 }]);
    expect(await gate([path])).toBe(1);
    // The aliases of a1 to a3 stand for 10 * (11 + 111 + 1111) values; with those of a4 it is 123,430.
    expect(its.stderr).toMatch(
      /^zonewise: .*plan\.yaml:5:\d+: With \*a3 the plan's aliases stand for \d+ values, and at most 100000 are read: write the values out, or .* flavour with a count\. \[malformed-yaml\]\n$/,
    );
  });

  it.each([
    ['without an anchor', 'seed: *one', /:1:7: No anchor &one .*: define it, or correct the name/],
    ['inside of its anchor', 'demand: &d {guests: *d}', /:1:21: The alias \*d .*: take it out/],
    [
      'by the thousand',
      `seed: &s 1\nwaivers: [${Array(1001).fill('*s').join(', ')}]`,
      /:2:\d+: The plan has more than 1000 aliases: write the values out/,
    ],
  ])('refuses an alias %s, with its place and what to do', async (_what, text, said) => {
    expect(await gate([write('plan.yaml', text)])).toBe(1);
    expect(its.stderr).toMatch(said);
  });

  it('takes a value that many guests name by an alias', async () => {
    const guests = Array.from({ length: 150 }, (_, i) => `  - {name: g${i}, flavour: *f}`);
    const path = write(
      'plan.yaml',
      `hosts: [{name: h, facts: host}]\nflavours: {tiny: {memoryMib: 8}}\npolicies: {}\nguests:\n  - {name: first, flavour: &f tiny}\n${guests.join('\n')}\n`,
    );
    await gate([path], { output: 'json' });
    expect(its.stdout).not.toContain('malformed-yaml');
    expect(verdict().hosts[0]?.outcome.guests).toHaveLength(151);
  });

  it('says where a missing file is named, and what to do', async () => {
    const path = write('plan.yaml', 'host: {facts: none}\ndomains:\n  - xml: web1.xml\n');
    expect(await gate([path])).toBe(1);
    const advice = String.raw`cannot be read: there is no such file: write it, or correct the name \(names count from \S+\) \[file-unreadable\]`;
    expect(its.stderr).toMatch(new RegExp(`plan\\.yaml:1:8: /host/facts: none ${advice}`));
    expect(its.stderr).toMatch(new RegExp(`plan\\.yaml:3:5: /domains/0/xml: web1\\.xml ${advice}`));
    expect(its.stderr).not.toContain('ENOENT');
    its.stderr = '';
    expect(await gate([join(its.folder, 'other.yaml')])).toBe(1);
    expect(its.stderr).toMatch(
      /^zonewise: \S*other\.yaml: \S*other\.yaml cannot be read: there is no such file: write it, or correct the name \[file-unreadable\]\n$/,
    );
  });

  it('says which host and guest there are twice, and what to do', async () => {
    const path = write(
      'plan.yaml',
      `flavours: {tiny: {memoryMib: 8}}
hosts:
  - {name: h, facts: host}
  - {name: h, facts: host}
guests:
  - {name: g, flavour: tiny}
  - {name: g, flavour: tiny}
`,
    );
    expect(await gate([path])).toBe(1);
    const twice = (line: number, list: string, what: string, name: string) =>
      new RegExp(
        `plan\\.yaml:${line}:5: /${list}/1: Two ${what} of the plan are called "${name}"; the other is /${list}/0\\. Rename one of them\\.`,
      );
    expect(its.stderr).toMatch(twice(4, 'hosts', 'hosts', 'h'));
    expect(its.stderr).toMatch(twice(7, 'guests', 'guests', 'g'));
  });
});
