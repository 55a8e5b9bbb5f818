import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validateHostModel } from '@zonewise/simulator';
import { importHost, type FactProblem, type HostImport, type HostTexts } from '../src';

const ROOT = join(__dirname, '..', '..', '..');

export function fixture(...parts: string[]): string {
  return readFileSync(join(__dirname, 'fixtures', ...parts), 'utf8');
}

export function example(name: string): string {
  return readFileSync(join(ROOT, 'examples', 'host', name), 'utf8');
}

function perNode(file: string): Record<string, string> {
  return { '0': example(`node0.${file}`), '1': example(`node1.${file}`) };
}

/** Every text of the recorded two-node example host. */
export function exampleTexts() {
  return {
    zoneinfo: example('zoneinfo'),
    buddyinfo: example('buddyinfo'),
    pagetypeinfo: example('pagetypeinfo'),
    meminfo: example('meminfo'),
    vmstat: example('vmstat'),
    sysctl: example('sysctl'),
    thpEnabled: example('thp-enabled'),
    thpDefrag: example('thp-defrag'),
    version: example('version'),
    nodeMeminfo: perNode('meminfo'),
    nodeNumastat: perNode('numastat'),
    nodeCpulist: perNode('cpulist'),
    nodeDistance: perNode('distance'),
  } satisfies HostTexts;
}

/** The import of texts that must be accepted; the simulator accepts the model too. */
export function imported(...args: Parameters<typeof importHost>): HostImport {
  const outcome = importHost(...args);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  expect(validateHostModel(outcome.value.model)).toEqual([]);
  return outcome.value;
}

/** The problems of texts that must be refused. */
export function refused(...args: Parameters<typeof importHost>): FactProblem[] {
  const outcome = importHost(...args);
  if (outcome.ok) throw new Error('accepted');
  expect(outcome.problems.length).toBeGreaterThan(0);
  return outcome.problems;
}
