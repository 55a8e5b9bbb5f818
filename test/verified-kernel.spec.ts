/**
 * Predictions for the host of examples/ held against what a real kernel printed when the guests were started there: the
 * recordings begin with the same host and apply the settings that the predictions are about.
 */
import { join } from 'node:path';
import { evaluate, verifyPrediction } from '@zonewise/advisor';
import type { Change, NumatuneValue, ObservedGuest } from '@zonewise/advisor';
import { planRequests } from '@zonewise/plan';
import { caseHost } from '../apps/cli/src/fidelity/case-host';
import { ownCases, readCases } from '../apps/cli/src/fidelity/read-cases';
import { readPlanFile } from '../apps/cli/src/gate/plan-file';

const WANTED = ['I05-host-zrm0', 'I06-host-zrm1', 'I07-host-strict'];
const recordings = new Map(
  [...readCases(ownCases())]
    .filter(({ id }) => WANTED.includes(id))
    .map((recorded) => [recorded.id, recorded]),
);

const plan = readPlanFile(join(__dirname, '../examples/plan.yaml'));
const built = planRequests(plan.document);
if (!built.ok) throw new Error(JSON.stringify(built.problems));
const { request } = built.value[0]!;

/** A case's last step as the fixtures keep it: each observable's least, middle and greatest value over the boots. */
type Observed = Record<string, [least: number, middle: number, greatest: number]>;

/** Host and guests after the last step of a recording, as the middle one of its boots. */
function after(id: string) {
  const recorded = recordings.get(id)!;
  const { observed } = recorded.steps.at(-1) as unknown as { observed: Observed };
  const value = (key: string): number => observed[key]?.[1] ?? 0;
  const boot = caseHost(recorded);
  const nodes = boot.nodes.map((node) => {
    const of = (name: string): number => value(`node.${node.nodeId}.nr_${name}`);
    return {
      ...node,
      zones: node.zones.map((zone) => ({
        ...zone,
        freePages: value(`zone.${node.nodeId}.${zone.name}.free`),
        pagesets: [
          { ...zone.pagesets[0]!, countPages: value(`zone.${node.nodeId}.${zone.name}.pcp`) },
        ],
      })),
      lru: {
        ...node.lru,
        activeFilePages: of('active_file'),
        inactiveFilePages: of('inactive_file'),
      },
      anonPages: of('anon_pages'),
    };
  });
  const guests = ['db1', 'web1', 'web2', 'job1'].map((name): ObservedGuest => ({
    name,
    pagesByNode: [0, 1].map((nodeId) => ({ nodeId, pages: value(`guest.${name}.node${nodeId}`) })),
  }));
  return { host: { ...boot, nodes, sysctl: { ...boot.sysctl, ...settingOf(id).sysctl } }, guests };
}

/** The setting that a recording was made under; the settings of its boot do not show what was written later. */
function settingOf(id: string): Change {
  const strict = { mode: 'strict', nodeset: [0] } as const;
  if (id === 'I06-host-zrm1') return { sysctl: { zone_reclaim_mode: 1 }, numatune: {} };
  return {
    sysctl: {},
    numatune:
      id === 'I07-host-strict'
        ? Object.fromEntries(
            ['web1', 'web2', 'job1'].map((name) => [name, { ...strict, nodeset: [0] }]),
          )
        : {},
  };
}

/** The recordings started processes by a policy and have no documents: what such a guest's would say of numatune. */
const documentWith = (numatune: NumatuneValue): ObservedGuest['document'] => ({
  ...{ numatune, cpuNodes: [], emulatorNodes: [], hugepages: [], cachedDisks: [] },
});

const held = (prediction: string, reality: string) => {
  const setting = settingOf(prediction);
  const { candidate } = evaluate(request, setting);
  const found = after(reality);
  const guests = found.guests.map((guest): ObservedGuest => {
    const numatune = setting.numatune[guest.name];
    return numatune === undefined ? guest : { ...guest, document: documentWith(numatune) };
  });
  return verifyPrediction({ evidence: { advised: candidate } }, { ...found, guests });
};

describe('the prediction of a setting', () => {
  it.each(['I05-host-zrm0', 'I07-host-strict'])('agrees with the kernel in %s', (id) => {
    const { verdict, summary, nodes, guests } = held(id, id);
    expect([verdict, summary]).toEqual([
      'AGREES',
      expect.stringMatching(/^All \d+ figures of 2 nodes/),
    ]);
    expect(nodes).toHaveLength(2);
    expect(guests.map(({ name }) => name)).toEqual(['db1', 'web1', 'web2', 'job1']);
  });

  it('places every guest where the kernel does under zone_reclaim_mode 1', () => {
    const { guests } = held('I06-host-zrm1', 'I06-host-zrm1');
    expect(guests.map(({ agrees }) => agrees)).toEqual([true, true, true, true]);
  });

  it('differs from the kernel under another setting, first of all where the guests are', () => {
    const { verdict, guests } = held('I07-host-strict', 'I05-host-zrm0');
    expect(verdict).toBe('DIFFERS');
    expect(guests.filter(({ agrees }) => !agrees).map(({ name }) => name)).toEqual([
      ...['web1', 'web2', 'job1'],
    ]);
  });
});
