import { parseDomain } from '@zonewise/libvirt-xml';
import { host as hostModel } from '../../advisor/test/builders';
import { domainXmlOf, type Flavour } from './flavour';
import { readResidency } from './residency';

/** 96 of 128 huge pages are in use on node 0, 32 of 64 on node 1; each node has 300 MiB of anonymous memory. */
function host() {
  const model = hostModel([
    { mib: 1024, anonMib: 300 },
    { mib: 1024, anonMib: 300 },
  ]);
  model.nodes[0]!.hugepages = [{ sizeKib: 2048, totalPages: 128, freePages: 32 }];
  model.nodes[1]!.hugepages = [{ sizeKib: 2048, totalPages: 64, freePages: 32 }];
  return model;
}

function estimate(flavour: Flavour) {
  const view = parseDomain(domainXmlOf('db', flavour));
  if (!view.ok) throw new Error(JSON.stringify(view.problems));
  const read = readResidency({}, view.value, host());
  return read.ok ? read.value.residency : [];
}

it('estimates a running guest on huge pages by the pools, any other by anonymous memory', () => {
  const pages = (nodeId: number, mib: number) => ({ nodeId, pages: mib * 256, hugePages: 0 });
  const pooled = { memoryMib: 128, hugepagesKib: 2048 as const };
  expect(estimate(pooled)).toEqual([
    { ...pages(0, 96), cell: 0 },
    { ...pages(1, 32), cell: 0 },
  ]);
  const bound = { ...pooled, numatune: { mode: 'strict' as const, nodeset: '1' } };
  // The pool of its node has no more in use.
  expect(estimate({ ...bound, memoryMib: 100 })).toEqual([{ ...pages(1, 64), cell: 0 }]);
  expect(estimate({ memoryMib: 128, numatune: bound.numatune })).toEqual([pages(1, 128)]);
});
