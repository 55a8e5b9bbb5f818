/** An instance as a request for a placement with replays: the same hosts and guests as documents. */
import { parseDomain } from '@zonewise/libvirt-xml';
import {
  buildGuestSpec,
  domainXmlOf,
  inThreads,
  placing,
  type Flavour,
  type PlacementAnswer,
  type PlacementDocument,
  type PlacementGuest,
  type Resident,
} from '@zonewise/plan';
import type { ReplayThreads } from '@zonewise/replay-threads';
import type { HostModel } from '@zonewise/simulator';
import type { DrawnCell, Instance } from './instances';

const PAGES_PER_MIB = 256;
const KIB_PER_GIB = 1_048_576;

function documentOf(name: string, cells: DrawnCell[]): string {
  let first = 0;
  const rows = cells.map(({ vcpus, gib }, id) => {
    const cpus = `${first}-${first + vcpus - 1}`;
    first += vcpus;
    return `<cell id='${id}' cpus='${cpus}' memory='${gib * KIB_PER_GIB}' unit='KiB'/>`;
  });
  const memoryKib = cells.reduce((sum, { gib }) => sum + gib * KIB_PER_GIB, 0);
  const backing =
    cells[0]?.huge === true
      ? `<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>`
      : '';
  return (
    `<domain type='kvm'><name>${name}</name><memory unit='KiB'>${memoryKib}</memory>${backing}` +
    `<vcpu>${first}</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>` +
    `<cpu><numa>${rows.join('')}</numa></cpu></domain>`
  );
}

/** What runs on a host already, by node: one guest that owns what is in use there. */
function residentsOf(model: HostModel, vcpusLeft: number[], host: number): Resident[] {
  return model.nodes.flatMap(({ nodeId, cpus, anonPages }, n): Resident[] => {
    if (anonPages === 0) return [];
    const vcpus = cpus.length - (vcpusLeft[n] ?? 0);
    const cpuset = `${cpus[0]}-${cpus[cpus.length - 1]}`;
    const memoryMib = Math.ceil(anonPages / PAGES_PER_MIB);
    const flavour = { memoryMib, vcpus: Math.max(1, vcpus), cpuset };
    const parsed = parseDomain(domainXmlOf(`resident-${host}-${nodeId}`, flavour));
    if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
    const spec = buildGuestSpec(parsed.value, model, {
      state: 'running',
      residency: [{ nodeId, pages: anonPages, hugePages: 0 }],
      residencySource: 'numa_maps',
    });
    if (!spec.ok) throw new Error(spec.problems[0]?.message);
    return [{ view: parsed.value, spec: spec.value }];
  });
}

/** The instance as flavours, or documents where guests have cells; one vCPU to a CPU. */
export function requestOf({ hosts, guests, drawn, models, family }: Instance): PlacementDocument {
  const flavours: Record<string, Flavour> = {};
  const asked = drawn.map((cells, i): PlacementGuest => {
    const path = `/guests/${i}`;
    const name = guests[i]?.name ?? '';
    const [only] = cells;
    if (family === 'numa-shaped' || only === undefined) {
      return { path, xml: documentOf(name, cells) };
    }
    const { vcpus, gib } = only;
    const flavour = `v${vcpus}g${gib}`;
    flavours[flavour] = { memoryMib: gib * 1024, vcpus };
    return { path, name, flavour };
  });
  return {
    hosts: hosts.map(({ id, nodes, occupied }, h) => {
      const model = models[h] as HostModel;
      const left = nodes.map(({ vcpus }) => vcpus);
      return {
        name: id,
        path: `/hosts/${h}`,
        host: { model },
        ...(occupied ? { residents: residentsOf(model, left, h) } : {}),
      };
    }),
    guests: asked,
    flavours,
    cpuAllocationRatio: 1,
    limits: { maxSwapMib: 0 },
  };
}

/** @throws Error when the request cannot be read: a defect of the bench */
export async function placeVerified(
  instance: Instance,
  threads: ReplayThreads,
  onHost?: (name: string, done: number, hosts: number) => void,
): Promise<PlacementAnswer> {
  const outcome = await inThreads(placing(requestOf(instance)), threads.run, onHost);
  if (outcome.ok) return outcome.value;
  throw new Error(outcome.problems[0]?.message ?? 'the request cannot be read');
}
