import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planSchemaProblems, type GateVerdict } from '@zonewise/plan';
import { parse } from 'yaml';
import { packageRoot } from '../version';
import { gate } from './gate';

const EXAMPLES = join(packageRoot(), 'examples');
const PLANS = readdirSync(join(EXAMPLES, 'plans')).filter((name) => name.endsWith('.yaml'));

/** Plans that adding up accepts, and the rules by which the replay refuses them. */
const ACCEPTED_BY_ADDING_UP: Record<string, string[]> = {
  'fail-host-lost.yaml': ['ZW001'],
  'fail-node-full.yaml': ['ZW001'],
  'fail-strict-shared-memory.yaml': ['ZW002'],
  'fail-hugepages-fragmented.yaml': ['ZW009'],
  'fail-hugepages-other-node.yaml': ['ZW002'],
  'fail-hugepages-guest.yaml': ['ZW002', 'ZW009'],
};

async function judged(name: string): Promise<{ code: number; verdict: GateVerdict }> {
  let text = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((part) => {
    text += String(part);
    return true;
  });
  const code = await gate([join(EXAMPLES, 'plans', name)], { output: 'json', today: '2027-01-01' });
  write.mockRestore();
  return { code, verdict: JSON.parse(text) as GateVerdict };
}

it.each(PLANS)('examples/plans/%s does what its name says', async (name) => {
  const { code, verdict } = await judged(name);
  const passes = name.startsWith('pass-');
  expect([code, verdict.verdict]).toEqual(passes ? [0, 'pass'] : [2, 'fail']);
  const rules = ACCEPTED_BY_ADDING_UP[name];
  if (rules === undefined) return;
  expect(verdict.findings.map(({ rule }) => rule)).toEqual(rules);
  expect(verdict.hosts.filter(({ accounting }) => !accounting.fits)).toEqual([]);
});

it('replays guests on huge pages out of the pools that are there', async () => {
  const { verdict } = await judged('pass-hugepages.yaml');
  const [host] = verdict.hosts;
  const pagesOf = (name: string) =>
    host?.outcome.guests.find((guest) => guest.name === name)?.pagesByNode;
  expect(pagesOf('db')).toEqual([
    { nodeId: 0, pages: 0 },
    { nodeId: 1, pages: 256 * 256 },
  ]);
  expect(pagesOf('cache')).toEqual([
    { nodeId: 0, pages: 64 * 256 },
    { nodeId: 1, pages: 64 * 256 },
  ]);
  const failed = (await judged('fail-hugepages-guest.yaml')).verdict;
  expect(failed.findings[0]?.message).toBe(
    'db does not start: it needs 32 huge pages of 2048 KiB from node 1, and 3 are free there.',
  );
});

it('has both kinds of plans, and all that adding up accepts', () => {
  expect(PLANS.some((name) => name.startsWith('pass-'))).toBe(true);
  expect(PLANS.filter((name) => !/^(pass|fail)-/.test(name))).toEqual([]);
  expect(PLANS).toEqual(expect.arrayContaining(Object.keys(ACCEPTED_BY_ADDING_UP)));
});

it('examples/README.md names every plan, and first those that adding up accepts', () => {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const named = [...readme.matchAll(/^\| `((?:pass|fail)-[a-z-]+\.yaml)` \| \S/gm)].map(
    ([, name]) => name,
  );
  expect([...named].sort()).toEqual([...PLANS].sort());
  expect(readme).toContain('Adding up free memory and page cache accepts the first six.');
  const accepted = Object.keys(ACCEPTED_BY_ADDING_UP);
  expect(accepted).toHaveLength(6);
  expect(named.slice(0, 6).sort()).toEqual(accepted.sort());
});

it.each(['plan.yaml', ...PLANS.map((name) => `plans/${name}`)])(
  'examples/%s is valid by the published schema',
  (name) => {
    const plan: unknown = parse(readFileSync(join(EXAMPLES, name), 'utf8'));
    expect(planSchemaProblems(plan)).toEqual([]);
  },
);
