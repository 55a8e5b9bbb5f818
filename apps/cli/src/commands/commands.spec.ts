import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AdviceContent, Outcome, RecommendationContent } from '@zonewise/advisor';
import type { HeadroomAnswer } from '@zonewise/plan';
import { failedAllocationLog } from '../../../api/src/diagnoses/diagnosis-examples';
import { scratch } from '../test/scratch';
import { packageRoot } from '../version';
import { diagnoseLog, importFolder } from './read-facts';
import { headroomOfPlan } from './headroom';
import { advisePlan, simulatePlan } from './replay-plan';

const EXAMPLES = join(packageRoot(), 'examples');
const TWO_HOSTS = join(EXAMPLES, 'plans', 'pass-two-hosts.yaml');

const its = scratch();

function json<T>(): T {
  return JSON.parse(its.stdout) as T;
}

describe('simulate', () => {
  it('prints outcome and steps of a plan with one host', () => {
    expect(simulatePlan(join(EXAMPLES, 'plan.yaml'))).toBe(0);
    const { outcome, host, steps } = json<{ outcome: Outcome; host: string; steps: object[] }>();
    expect(host).toBe('host');
    expect(outcome.guests.map(({ name }) => name)).toEqual(['db1', 'web1', 'web2', 'job1']);
    expect(steps.length).toBeGreaterThan(3);
  });

  it('takes all hosts or one of them', () => {
    expect(simulatePlan(TWO_HOSTS)).toBe(0);
    expect(json<{ items: { host: string }[] }>().items.map(({ host }) => host)).toEqual([
      'kvm1',
      'kvm2',
    ]);
    its.stdout = '';
    expect(simulatePlan(TWO_HOSTS, { host: 'kvm2' })).toBe(0);
    expect(json<{ host: string }>().host).toBe('kvm2');
    expect(simulatePlan(TWO_HOSTS, { host: 'kmv2' })).toBe(1);
    expect(its.stderr).toContain('Did you mean kvm2?');
  });

  it('says file and line of what is wrong with a plan', () => {
    const plan = join(its.folder, 'plan.yaml');
    writeFileSync(plan, readFileSync(TWO_HOSTS, 'utf8').replace('[web]', '[wab]'));
    expect(simulatePlan(plan)).toBe(1);
    expect(its.stderr).toMatch(/plan\.yaml:\d+:\d+: \/assignments\/kvm1\/0: .*Did you mean "web"/);
  });
});

describe('advise', () => {
  it('prints a recommendation, and writes it where it is told to', () => {
    const out = join(its.folder, 'advice.json');
    expect(advisePlan(TWO_HOSTS, { host: 'kvm2', out })).toBe(0);
    expect(its.stdout).toBe('');
    const content = JSON.parse(readFileSync(out, 'utf8')) as RecommendationContent;
    expect(content.finding).toBe('OPTIMIZED');
    expect(content.evidence.advised.outcome.guests.map(({ name }) => name)).toEqual(['db']);
  });

  it('writes the files that apply it, as the service makes them', () => {
    const files = join(its.folder, 'files');
    const plan = join(EXAMPLES, 'plan.yaml');
    expect(advisePlan(plan, { files })).toBe(0);
    const { evidence, exclusive } = json<AdviceContent>();
    expect(Object.keys(evidence.advised.pinning ?? {})).toEqual(['web2']);
    const alternatives = exclusive.map((_, i) => `alternative-${i + 1}`);
    expect(alternatives.length).toBeGreaterThan(0);
    const parts = ['web1', 'web2', 'job1'].flatMap((name) =>
      ['xml', 'diff', 'rollback.xml'].map((kind) => `${name}.${kind}`),
    );
    expect(readdirSync(files).sort()).toEqual(
      [...parts, 'apply.sh', 'rollback.sh', ...alternatives].sort(),
    );
    const web2 = readFileSync(join(files, 'web2.xml'), 'utf8');
    expect(web2).toContain("<memory mode='strict' nodeset='1'/>");
    expect(web2).toContain("cpuset='2-3'");
    const before = readFileSync(join(EXAMPLES, 'web2.xml'), 'utf8');
    expect(readFileSync(join(files, 'web2.rollback.xml'), 'utf8')).toBe(before);
    const counts = [[files, parts.length + 2] as const].concat(
      alternatives.map((name, i) => {
        const folder = join(files, name);
        const changed = Object.entries(exclusive[i]?.evidence.advised.numatune ?? {});
        for (const [guest, { mode }] of changed) {
          const xml = readFileSync(join(folder, `${guest}.xml`), 'utf8');
          if (mode !== 'none') expect(xml).toContain(`mode='${mode}'`);
        }
        expect(readdirSync(folder)).toContain('apply.sh');
        return [folder, readdirSync(folder).length] as const;
      }),
    );
    expect(its.stderr).toBe(
      counts.map(([folder, count]) => `zonewise: host: ${count} files in ${folder}\n`).join(''),
    );
  });

  it('gives the files of several hosts a folder each', () => {
    const files = join(its.folder, 'files');
    expect(advisePlan(TWO_HOSTS, { files })).toBe(0);
    expect(readdirSync(files).sort()).toEqual(['kvm1', 'kvm2']);
  });

  it('says how far it is where that is asked for, and its first answer before its last replay', () => {
    expect(advisePlan(join(EXAMPLES, 'plan.yaml'), { progress: true })).toBe(0);
    const { evidence } = json<RecommendationContent>();
    const lines = its.stderr.trimEnd().split('\n');
    const percents = lines.flatMap((line) => /: (\d+) %, \d+ replays$/.exec(line)?.[1] ?? []);
    expect(percents.map(Number)).toEqual([...new Set(percents.map(Number))].sort((a, b) => a - b));
    expect(lines.at(-1)).toBe(`zonewise: host: 100 %, ${evidence.replays} replays`);
    const first = /better than today's setting after (\d+) replays/.exec(its.stderr)?.[1];
    expect(Number(first)).toBeLessThan(evidence.replays / 2);
  });
});

describe('headroom', () => {
  it('counts further guests of the flavours of a plan, host by host', () => {
    expect(headroomOfPlan(TWO_HOSTS, { flavour: ['small'], pageCache: '0' })).toBe(0);
    const { items } = json<{ items: ({ host: string } & HeadroomAnswer)[] }>();
    expect(
      items.map(({ host, flavours }) => [host, flavours.map(({ flavour }) => flavour)]),
    ).toEqual([
      ['kvm1', ['small']],
      ['kvm2', ['small']],
    ]);
    const [kvm1, kvm2] = items.map(({ flavours }) =>
      flavours[0]!.nodes.map(({ guests }) => guests),
    );
    // kvm1 runs three of them; of node 1 of kvm2 a pool of huge pages has taken memory.
    expect(kvm1!.reduce((a, b) => a + b)).toBeGreaterThan(0);
    expect(kvm2![1]).toBeLessThan(kvm2![0]!);
  });

  it('refuses flavours that the plan does not have, and what is no size', () => {
    expect(headroomOfPlan(TWO_HOSTS, { flavour: ['smal'] })).toBe(1);
    expect(its.stderr).toContain('Did you mean small?');
    expect(headroomOfPlan(TWO_HOSTS, { pageCache: '1g' })).toBe(1);
    expect(its.stderr).toContain('[invalid-option]');
    expect(headroomOfPlan(join(EXAMPLES, 'plan.yaml'))).toBe(1);
    expect(its.stderr).toContain('[unknown-flavour]');
  });
});

describe('import', () => {
  it('reads a folder as the service reads the same texts', () => {
    const capabilities = join(EXAMPLES, 'host-capabilities.xml');
    expect(importFolder(join(EXAMPLES, 'host'), { capabilities })).toBe(0);
    const { model, provenance } = json<{ model: { nodes: object[] }; provenance: object[] }>();
    expect(model.nodes).toHaveLength(2);
    expect(provenance.length).toBeGreaterThan(10);
  });

  it('says which text is wrong, and what an empty folder lacks', () => {
    expect(importFolder(its.folder)).toBe(1);
    expect(its.stderr).toContain('[facts-missing]');
    cpSync(join(EXAMPLES, 'host'), its.folder, { recursive: true });
    writeFileSync(join(its.folder, 'zoneinfo'), 'Node 0, zone');
    its.stderr = '';
    expect(importFolder(its.folder)).toBe(1);
    expect(its.stderr).toMatch(/zoneinfo/);
  });

  it('refuses bytes that are no text, with their place', () => {
    cpSync(join(EXAMPLES, 'host'), its.folder, { recursive: true });
    const vmstat = readFileSync(join(its.folder, 'vmstat'));
    writeFileSync(join(its.folder, 'vmstat'), Buffer.concat([vmstat, Buffer.from([0xff, 0x0a])]));
    expect(importFolder(its.folder)).toBe(1);
    const line = vmstat.toString('utf8').split('\n').length;
    expect(its.stderr).toMatch(new RegExp(`vmstat:${line}:1: .*found byte 0xff \\[not-text\\]`));
  });
});

describe('diagnose', () => {
  it('explains the reports of a log', () => {
    const path = join(its.folder, 'kernel.txt');
    writeFileSync(path, failedAllocationLog.value.log);
    expect(diagnoseLog(path)).toBe(0);
    expect(json<{ items: object[] }>().items).toHaveLength(1);
    writeFileSync(path, 'nothing of the kind\n');
    expect(diagnoseLog(path)).toBe(1);
    expect(its.stderr).toContain('[no-report]');
  });
});
