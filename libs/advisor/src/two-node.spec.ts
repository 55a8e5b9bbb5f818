import { host, planned, running } from '../test/builders';
import { advise } from './advise';
import type { SimulationRequest } from './types';

/** Two nodes of 1 GiB; node 0 full of droppable cache; three guests preferred on node 0. */
const request: SimulationRequest = {
  host: host([
    { mib: 1024, cacheMib: 750 },
    { mib: 1024, cacheMib: 100, anonMib: 128 },
  ]),
  guests: [
    planned('web1', 256, 0),
    planned('web2', 256, 0),
    planned('job1', 128, 0),
    running('db1', 128, 1, { 1: 128 }),
  ],
  demand: {},
  seed: 1,
};

describe('node 0 full of droppable page cache, guests preferred on it', () => {
  const started = process.hrtime.bigint();
  const content = advise(request);
  console.log(Number(process.hrtime.bigint() - started) / 1e6);
  test('x', () => {
    console.log(JSON.stringify({...content, evidence: {...content.evidence, baseline: content.evidence.baseline, advised: content.evidence.advised, alternatives: content.evidence.alternatives.map(a=>[a.id,a.sysctl,Object.entries(a.numatune).map(([k,v])=>k+v.mode+v.nodeset).join(),a.outcome.remoteShare,a.outcome.cacheLostPages,a.outcome.stallNs/1e6,a.outcome.oomKills,a.whyNot])}}, null, 1));
  });
});
