/** Requests of the console, made of the recorded host and its guests: each can be sent as it stands. */
import { exampleFile, exampleTexts } from '../docs/examples';

type Examples = Record<string, { summary: string; value: object }>;

function example(name: string): { xml: string }[] {
  const xml = exampleFile(`${name}.xml`);
  return xml === undefined ? [] : [{ xml }];
}

function runningDb(): object[] {
  return example('db1').map(({ xml }) => ({
    xml,
    state: 'running',
    numaMaps: exampleFile('host/guest.db1.numa_maps'),
    smapsRollup: exampleFile('host/guest.db1.smaps_rollup'),
  }));
}

/** Without the recorded files there are no examples. */
export function placementExamples(): Examples {
  const facts = exampleTexts();
  const [db, guests] = [runningDb(), ['web1', 'web2', 'job1'].flatMap(example)];
  if (!('zoneinfo' in facts) || db.length === 0 || guests.length < 3) return {};
  const hosts = [
    { name: 'kvm1', facts, domains: db, group: 'rack-a' },
    { name: 'kvm2', facts, group: 'rack-b' },
  ];
  return {
    threeGuests: {
      summary: 'Three guests on two recorded hosts, of which one runs a database',
      value: { hosts, guests },
    },
    flavours: {
      summary: 'Guests by flavour, kept apart, in one rack',
      value: {
        hosts,
        flavours: { small: { memoryMib: 512, vcpus: 1 } },
        guests: [{ name: 'web', flavour: 'small', count: 2, hostGroups: ['rack-a', 'rack-b'] }],
        antiAffinity: [['web']],
        objective: 'spread',
        limits: { maxSwapMib: 0 },
      },
    },
    evacuation: {
      summary: 'What if the first host is emptied',
      value: { hosts, evacuate: 'kvm1' },
    },
  };
}
