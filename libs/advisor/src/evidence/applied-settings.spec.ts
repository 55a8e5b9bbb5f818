/** Advice of every kind held against documents and hosts that follow it, and against those that miss one setting of it. */
import { host } from '../../test/builders';
import type { Candidate } from '../types';
import { appliedSettings, type ObservedDocument, type SettingFacts } from './applied-settings';
import { verifyPrediction } from './verification';

const OUTCOME = {
  ...{ guests: [], nodes: [], oomKills: [], failedStarts: [] },
} as unknown as Candidate['outcome'];

const ADVISED: Candidate = {
  id: 'all',
  sysctl: { zone_reclaim_mode: 1, lowmem_reserve_ratio: [256, 256, 32, 0] },
  thp: { defrag: 'defer' },
  hugepages: [{ node: 1, count: 64 }],
  numatune: { web1: { mode: 'strict', nodeset: [0, 1] } },
  pinning: {
    web1: {
      nodes: [0, 1],
      cells: [
        { cellid: 0, nodes: [0] },
        { cellid: 1, nodes: [1] },
      ],
    },
  },
  backing: { web1: 2048 },
  diskCache: { web1: 'none' },
  startOrder: ['web1'],
  outcome: OUTCOME,
};

const FOLLOWED: ObservedDocument = {
  numatune: { mode: 'strict', nodeset: [0, 1], memnodes: [] },
  cpuNodes: [
    { cell: 0, nodes: [0] },
    { cell: 1, nodes: [1] },
  ],
  emulatorNodes: [0, 1],
  hugepages: [
    { cell: 0, sizeKib: 2048 },
    { cell: 1, sizeKib: 2048 },
  ],
  cachedDisks: [],
};

function after(over: Partial<SettingFacts['host']> = {}): SettingFacts['host'] {
  const found = host([{ mib: 512 }, { mib: 512 }], {
    zone_reclaim_mode: 1,
    lowmem_reserve_ratio: [256, 256, 32, 0],
  });
  found.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: 64, freePages: 0 }];
  return { ...found, thp: { enabled: 'always', defrag: 'defer' }, ...over };
}

const documented = (over: Partial<ObservedDocument> = {}) =>
  new Map([['web1', { ...FOLLOWED, ...over }]]);

/** Names of the settings that are not in force. */
const missed = (facts: SettingFacts): string[] =>
  appliedSettings(ADVISED, facts)
    .compared.filter(({ applied }) => !applied)
    .map(({ name }) => name);

it('finds every setting that was followed, and says which one no host shows', () => {
  const { compared, missing, hidden } = appliedSettings(ADVISED, {
    host: after(),
    documents: documented(),
  });
  expect(compared.map(({ name, applied }) => [name, applied])).toEqual(
    [
      'vm.zone_reclaim_mode',
      'vm.lowmem_reserve_ratio',
      'transparent_hugepage/defrag',
      'huge pages of 2048 KiB on node 1',
      'numatune of web1',
      "nodes of the CPUs of web1's vCPUs",
      "nodes of the CPUs of web1's emulator",
      'memory backing of web1',
      'disk cache of web1',
    ].map((name) => [name, true]),
  );
  expect([missing, hidden.map(({ what }) => what)]).toEqual([[], ['order of starts']]);
});

it('takes pins that the advice left for applied', () => {
  const cpuNodes = FOLLOWED.cpuNodes.map(({ cell, nodes }) => ({ cell, nodes: [...nodes, 2] }));
  const keptNodes = cpuNodes.map(({ cell }) => ({ cell, nodes: [2] }));
  expect(missed({ host: after(), documents: documented({ cpuNodes }) })).toHaveLength(1);
  expect(missed({ host: after(), documents: documented({ cpuNodes, keptNodes }) })).toEqual([]);
});

describe('a setting that is not in force is named', () => {
  it.each<[string, Partial<ObservedDocument>]>([
    ['numatune of web1', { numatune: { mode: 'preferred', nodeset: [0, 1] } }],
    ['numatune of web1', { numatune: { mode: 'strict', nodeset: [1] } }],
    [
      'numatune of web1',
      {
        numatune: {
          ...FOLLOWED.numatune,
          memnodes: [{ cellid: 1, mode: 'strict', nodeset: [0] }],
        },
      },
    ],
    [
      "nodes of the CPUs of web1's vCPUs",
      {
        cpuNodes: [
          { cell: 0, nodes: [0] },
          { cell: 1, nodes: [0] },
        ],
      },
    ],
    ["nodes of the CPUs of web1's emulator", { emulatorNodes: [0, 2] }],
    ['memory backing of web1', { hugepages: [{ cell: 0, sizeKib: 2048 }] }],
    [
      'memory backing of web1',
      { hugepages: FOLLOWED.hugepages.map((one) => ({ ...one, sizeKib: 1048576 })) },
    ],
    ['disk cache of web1', { cachedDisks: ['vda'] }],
  ])('%s in its document', (name, over) => {
    expect(missed({ host: after(), documents: documented(over) })).toEqual([name]);
  });

  it('of the host', () => {
    const documents = documented();
    const thp = { enabled: 'always', defrag: 'madvise' } as const;
    expect(missed({ host: after({ thp }), documents })).toEqual(['transparent_hugepage/defrag']);
    const small = after();
    small.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: 63, freePages: 0 }];
    expect(missed({ host: small, documents })).toEqual(['huge pages of 2048 KiB on node 1']);
    const none = after();
    none.nodes[1]!.hugepages = [{ sizeKib: 1048576, totalPages: 64, freePages: 0 }];
    expect(missed({ host: none, documents })).toEqual(['huge pages of 2048 KiB on node 1']);
  });
});

it('a document that names what a replay kept for each cell is the advised one', () => {
  const memnodes = [0, 1].map((cell) => ({
    ...{ cellid: cell, mode: 'strict' as const, nodeset: [cell] },
  }));
  const value = { mode: 'strict' as const, nodeset: [0, 1], memnodes };
  const operation = { resource: 'web1', path: '/domain/numatune', value };
  const content = {
    operationGroups: [{ description: '', operations: [operation] }],
  } as unknown as NonNullable<Parameters<typeof verifyPrediction>[0]['content']>;
  const verdictOf = (numatune: ObservedDocument['numatune']) => {
    const guests = [{ name: 'web1', document: { ...FOLLOWED, numatune } }];
    const prediction = { evidence: { advised: ADVISED }, content };
    return verifyPrediction(prediction, { host: after(), guests }).verdict;
  };
  expect(verdictOf(value)).toBe('AGREES');
  expect(verdictOf(FOLLOWED.numatune)).toBe('NOT_APPLIED');
});

it('pins that match a replay, and that it does not need, are compared as well', () => {
  const operation = { resource: 'web1', path: '/domain/vcpu/@cpuset', value: { nodes: [1] } };
  const content = {
    operationGroups: [{ description: '', operations: [operation] }],
  } as unknown as NonNullable<Parameters<typeof verifyPrediction>[0]['content']>;
  const unpinned: Partial<typeof ADVISED> = { ...ADVISED };
  delete unpinned.pinning;
  const prediction = { evidence: { advised: unpinned as typeof ADVISED }, content };
  const namesWith = (cpuNodes: number[]): string[] => {
    const document = { ...FOLLOWED, cpuNodes: [{ cell: 0, nodes: cpuNodes }], emulatorNodes: [1] };
    const { settings } = verifyPrediction(prediction, {
      host: after(),
      guests: [{ name: 'web1', document }],
    });
    return settings.filter(({ applied }) => !applied).map(({ name }) => name);
  };
  expect(namesWith([1])).toEqual([]);
  expect(namesWith([0, 1])).toEqual(["nodes of the CPUs of web1's vCPUs"]);
});

it('what nothing says is missing, and there is no agreement then', () => {
  const read = ['sysctl.zone_reclaim_mode', 'nodes.1.hugepages'];
  const { compared, missing } = appliedSettings(ADVISED, {
    ...{ host: after(), read, documents: new Map() },
  });
  expect(compared.map(({ name }) => name)).toEqual([
    'vm.zone_reclaim_mode',
    'huge pages of 2048 KiB on node 1',
  ]);
  expect(missing.map(({ what }) => what)).toEqual([
    ...['vm.lowmem_reserve_ratio', 'transparent_hugepage/defrag'],
    ...['numatune of web1', 'pins of web1', 'memory backing of web1', 'disk cache of web1'],
  ]);
  const { verdict, summary } = verifyPrediction(
    {
      evidence: { advised: { ...ADVISED, numatune: {}, pinning: {}, backing: {}, diskCache: {} } },
    },
    { host: after(), read: [...read, 'sysctl.lowmem_reserve_ratio'], guests: [] },
  );
  expect([verdict, summary]).toEqual([
    'INCOMPLETE',
    'Not gathered: whether transparent_hugepage/defrag is as advised.',
  ]);
});

it('a guest that was predicted to be killed needs no document', () => {
  const advised = { ...ADVISED, outcome: { ...OUTCOME, oomKills: ['web1'] } };
  const { missing, hidden } = appliedSettings(advised, { host: after(), documents: new Map() });
  expect(missing).toEqual([]);
  expect(hidden.map(({ what }) => what)).toContain('pins of web1');
});
