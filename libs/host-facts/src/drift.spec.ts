import { exampleTexts, imported } from '../test/fixtures';
import { compareHosts, type HostMoment } from './drift';

const moment = (change: (model: HostMoment['model']) => void = () => {}): HostMoment => {
  const { model } = imported(exampleTexts());
  change(model);
  return { model, guests: [] };
};

const NOTHING = {
  addedNodes: [],
  removedNodes: [],
  nodes: [],
  zones: [],
  settings: [],
  guests: [],
};

describe('compareHosts', () => {
  it('finds nothing where nothing changed', () => {
    expect(compareHosts(moment(), moment())).toEqual(NOTHING);
  });

  it('finds what a zone and its node lost, and how scattered the rest is', () => {
    const from = moment();
    const zone = from.model.nodes[1]!.zones[0]!;
    const { freePages, managedPages } = zone;
    const to = moment((model) => {
      const node = model.nodes[1]!;
      // 1000 single pages are all that is free.
      Object.assign(node.zones[0]!, { freePages: 1000, freeBlocks: [1000], minPages: 7 });
      node.filePages += 123;
    });
    const drift = compareHosts(from, to);
    expect(drift).toMatchObject({ ...NOTHING, nodes: [{}], zones: [{}] });
    expect(drift.nodes[0]).toMatchObject({
      nodeId: 1,
      freePages: { from: freePages, to: 1000 },
      filePages: { from: from.model.nodes[1]!.filePages, to: from.model.nodes[1]!.filePages + 123 },
    });
    expect(drift.zones[0]).toMatchObject({
      nodeId: 1,
      zone: zone.name,
      managedPages: { from: managedPages, to: managedPages },
      minPages: { from: zone.minPages, to: 7 },
      largestFreeOrder: { from: 10, to: 0 },
      // 1 - (1 + 1000 / 512) / 1000 blocks, in thousandths rounded as the kernel does.
      extfragIndex: { from: -1, to: 0.998 },
      unusableIndex: { to: 1 },
    });
  });

  it('names settings, nodes and guests that changed', () => {
    const from: HostMoment = {
      ...moment(),
      guests: [
        { name: 'db1', residency: [{ nodeId: 0, pages: 100 }] },
        { name: 'off', residency: null },
      ],
    };
    const to: HostMoment = {
      ...moment((model) => {
        model.sysctl.swappiness += 1;
        model.sysctl.lowmem_reserve_ratio = [256, 256, 32, 0];
        model.nodes[1]!.nodeId = 4;
      }),
      guests: [
        {
          name: 'db1',
          residency: [
            { nodeId: 1, pages: 40 },
            { nodeId: 0, pages: 60 },
          ],
        },
        { name: 'new', residency: null },
      ],
    };
    const { swappiness, lowmem_reserve_ratio } = from.model.sysctl;
    expect(compareHosts(from, to)).toEqual({
      ...NOTHING,
      addedNodes: [4],
      removedNodes: [1],
      settings: [
        {
          name: 'sysctl.lowmem_reserve_ratio',
          from: lowmem_reserve_ratio.join(' '),
          to: '256 256 32 0',
        },
        { name: 'sysctl.swappiness', from: `${swappiness}`, to: `${swappiness + 1}` },
      ].sort((a, b) => keyAt(from, a.name) - keyAt(from, b.name)),
      guests: [
        {
          name: 'db1',
          pagesByNode: {
            from: [{ nodeId: 0, pages: 100 }],
            to: [
              { nodeId: 0, pages: 60 },
              { nodeId: 1, pages: 40 },
            ],
          },
        },
      ],
    });
  });
});

/** Settings are listed in the model's order. */
function keyAt({ model }: HostMoment, name: string): number {
  return Object.keys(model.sysctl).indexOf(name.replace('sysctl.', ''));
}
