/** Times the built command line on plans of many hosts: `--hosts N` (100), `--json FILE` also writes the results there. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/version';

interface Family {
  name: string;
  says: string;
  nodeMib: number;
  guestsPerHost: number;
  /** Free memory differs from host to host, so that each is replayed for itself. */
  differ: boolean;
  flavours: object;
  policies?: object;
}

const SMALL = { a: { memoryMib: 256 }, b: { memoryMib: 512, vcpus: 2 } };
const LARGE = { a: { memoryMib: 4096 }, b: { memoryMib: 16384, vcpus: 4 } };
const FAMILIES: Family[] = [
  {
    name: 'alike',
    says: '2 x 4 GiB, 5 guests, hosts alike but for names',
    ...{ nodeMib: 4096, guestsPerHost: 5, differ: false, flavours: SMALL },
  },
  {
    name: 'different',
    says: '2 x 4 GiB, 5 guests, every host another',
    ...{ nodeMib: 4096, guestsPerHost: 5, differ: true, flavours: SMALL },
  },
  {
    name: 'policies',
    says: 'as before, with margin and headroom on each node',
    ...{ nodeMib: 4096, guestsPerHost: 5, differ: true, flavours: SMALL },
    policies: { margin: { minPercent: 10 }, headroom: { minMib: 256, perNode: true } },
  },
  {
    name: 'large',
    says: '2 x 128 GiB, 15 guests of 4 and 16 GiB, every host another',
    ...{ nodeMib: 131072, guestsPerHost: 15, differ: true, flavours: LARGE },
  },
];

/** The plan as JSON, which is YAML. */
function planOf(family: Family, hostCount: number): string {
  const { nodeMib, guestsPerHost, differ, flavours, policies } = family;
  const hosts = Array.from({ length: hostCount }, (_, i) => {
    const freeMib = Math.floor(nodeMib * 0.95) - (differ ? i : 0);
    const numactlHardware = [
      'available: 2 nodes (0-1)',
      ...[0, 1].flatMap((node) => [
        `node ${node} cpus: ${[0, 1, 2, 3].map((cpu) => node * 4 + cpu).join(' ')}`,
        `node ${node} size: ${nodeMib} MB`,
        `node ${node} free: ${freeMib} MB`,
      ]),
      'node distances:\nnode   0   1\n  0:  10  21\n  1:  21  10\n',
    ].join('\n');
    return { name: `kvm${i}`, texts: { version: '6.1.0', numactlHardware } };
  });
  const names = Object.keys(flavours);
  const guests = hosts.flatMap(({ name }) =>
    Array.from({ length: guestsPerHost }, (_, i) => ({
      name: `${name}-g${i}`,
      flavour: names[i % names.length],
    })),
  );
  const assignments = Object.fromEntries(
    hosts.map(({ name }, i) => [
      name,
      guests.slice(i * guestsPerHost, (i + 1) * guestsPerHost).map((guest) => guest.name),
    ]),
  );
  return JSON.stringify({ hosts, guests, flavours, assignments, policies }, null, 1);
}

function measure(family: Family, hostCount: number, folder: string) {
  const plan = join(folder, `${family.name}.yaml`);
  const report = join(folder, `${family.name}.json`);
  writeFileSync(plan, planOf(family, hostCount));
  const main = join(packageRoot(), 'dist', 'apps', 'cli', 'src', 'main.js');
  const args = [main, 'gate', plan, '--output', 'json', '--out', report, '--today', '2027-01-01'];
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0 && status !== 2) throw new Error(`${family.name}: ${stderr}`);
  const text = readFileSync(report, 'utf8');
  const { verdict, hosts } = JSON.parse(text) as {
    verdict: string;
    hosts: { replays: number; sameAs?: string }[];
  };
  const own = hosts.filter(({ sameAs }) => sameAs === undefined);
  return {
    name: family.name,
    says: family.says,
    hosts: hosts.length,
    replays: own.reduce((sum, { replays }) => sum + replays, 0),
    verdict,
    seconds,
    sha256: createHash('sha256').update(JSON.stringify(hosts)).digest('hex').slice(0, 16),
  };
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    family: { type: 'string' },
    hosts: { type: 'string', default: '100' },
    json: { type: 'string' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'zonewise-bench-'));
try {
  process.stdout.write(
    `zonewise gate, whole command, ${availableParallelism()} CPUs, load ${loadavg()[0]?.toFixed(1)}, Node ${process.versions.node}\n`,
  );
  const chosen = FAMILIES.filter(
    ({ name }) => values.family === undefined || name === values.family,
  );
  const results = chosen.map((family) => {
    const result = measure(family, Number(values.hosts), folder);
    process.stdout.write(
      `${result.name.padEnd(10)} ${result.seconds.toFixed(1).padStart(6)} s  ${result.hosts} hosts, ` +
        `${result.replays} replays, ${result.verdict}, ${result.sha256}  (${result.says})\n`,
    );
    return result;
  });
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
