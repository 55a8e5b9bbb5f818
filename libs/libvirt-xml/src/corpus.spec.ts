import { parseCapabilities, parseDomain } from '.';
import type { DomainView } from '.';
import { openCorpus } from '../test/corpus';
import type { CorpusEntry } from '../test/corpus';
import { readDomainIndependently, readNodesIndependently } from '../test/independent-reader';
import { OWN_DOCUMENTS, exampleXml } from '../test/own-documents';

/** What a reader of memory placement must notice; other refusals are about devices or the host. */
const OUR_SCOPES = ['numa-memory', 'vcpu-placement', 'xml-syntax'];

/** Where each refused document is wrong: the element that libvirt's own message is about. */
const WRONG_AT: Record<string, string> = {
  'cpu-numa-distance-nonexistent-sibling': '/domain/cpu/numa/cell[1]/distances/sibling/@id',
  'cpuset-invalid': '/domain/vcpu/@cpuset',
  'cputune-iothreadsched-toomuch': '/domain/cputune/iothreadsched[2]/@iothreads',
  'cputune-vcpusched-overlap': '/domain/cputune/vcpusched[2]/@vcpus',
  'hugepages-default-1G-nodeset-2M': '/domain/memoryBacking/hugepages/page[2]',
  'hugepages-memaccess-invalid': '/domain/cpu/numa/cell[2]/@memAccess',
  'hugepages-nodeset-nonexist': '/domain/memoryBacking/hugepages/page/@nodeset',
  'memory-align-fail': '/domain/cpu/numa/cell/@memory',
  'memory-hotplug-nonuma': '/domain/maxMemory',
  'numad-auto-vcpu-static-numatune-no-nodeset': '/domain/numatune/memory',
  'numatune-memnode-invalid-mode': '/domain/numatune/memnode[2]/@mode',
  'numatune-memnode-nocpu': '/domain/numatune/memnode',
  'numatune-memory-invalid-nodeset': '/domain/numatune/memory/@nodeset',
  'pseries-default-phb-numa-node': '/domain/devices/controller[1]/target/node',
  'cpu-hotplug-granularity': '/domain/vcpu',
  'no-memory': '/domain',
  'broken-xml-invalid': '/dom',
  'domainschemadata__domain-openvz-simple': '/domain/memory',
};

/** Probes that libvirt 9.0.0 accepts and later ones refuse. */
const OLDER = ['memnode restrictive alone'];

/** The fields that both readers find. */
const shared = (view: DomainView): ReturnType<typeof readDomainIndependently> => ({
  name: view.name,
  memoryKib: view.memoryKib,
  currentMemoryKib: view.currentMemoryKib,
  maxMemoryKib: view.maxMemoryKib,
  vcpu: view.vcpu,
  cputune: view.cputune,
  numatune: view.numatune,
  cells: view.cells.map(({ id, cpus, memoryKib, memAccess }) => {
    return { id, cpus, memoryKib, memAccess };
  }),
  memoryBacking: view.memoryBacking,
  memoryDevices: view.memoryDevices.map(({ model, sizeKib, node, nodemask }) => {
    return { model, sizeKib, node, nodemask };
  }),
  disks: view.disks.map(({ target, cache }) => ({ target, cache })),
  memballoon: view.memballoon?.model ?? null,
});

describe('the example documents', () => {
  it.each(['db1', 'web1', 'web2', 'job1'])(
    'examples/%s.xml is accepted without a warning',
    (name) => {
      const outcome = parseDomain(exampleXml(name));
      expect(outcome).toMatchObject({ ok: true, value: { name, warnings: [] } });
    },
  );
});

describe('our own documents', () => {
  it.each(Object.entries(OWN_DOCUMENTS))('%s is read as a second reader reads it', (_, xml) => {
    const outcome = parseDomain(xml);
    expect(outcome.ok ? shared(outcome.value) : outcome.problems).toEqual(
      readDomainIndependently(xml),
    );
  });
});

const corpus = openCorpus();
if (corpus !== null) {
  const { files, probes, read } = corpus;
  const accepts = ({ kind, path }: CorpusEntry): boolean =>
    kind === 'capabilities' ? parseCapabilities(read(path)).ok : parseDomain(read(path)).ok;
  const valid = files.filter((file) => file.expect === 'valid');
  const ours = files.filter(({ reject_scope }) => OUR_SCOPES.includes(reject_scope ?? ''));

  describe('real libvirt documents', () => {
    it('are accepted where libvirt accepts them', () => {
      const refused = valid.filter((file) => !accepts(file)).map(({ path }) => path);
      console.log(`valid documents accepted: ${valid.length - refused.length} of ${valid.length}`);
      expect(refused).toEqual([]);
    });

    it('are refused where libvirt refuses them for memory, vCPU placement or syntax', () => {
      const accepted = ours.filter(accepts).map(({ path }) => path);
      console.log(`refusals noticed: ${ours.length - accepted.length} of ${ours.length}`);
      expect(accepted).toEqual([]);
    });

    it('are refused at the element that is wrong', () => {
      const places = ours.map(({ path }): [string, string] => {
        const outcome = parseDomain(read(path));
        const name = path.replace(/^domain\/|\.xml$/g, '');
        return [name, outcome.ok ? 'accepted' : (outcome.problems[0]?.path ?? '')];
      });
      for (const [name, place] of places) {
        const wrongAt = WRONG_AT[name];
        // A document that came later has no place here yet, but one of its own.
        expect([name, place]).toEqual([name, wrongAt ?? expect.stringMatching(/^\/dom/)]);
      }
    });

    it('get the verdict of a real virsh 9.0.0 on every probe', () => {
      const virsh = { libvirtVersion: '9.0.0' };
      const wrong = probes.filter(
        ({ xml, verdict }) => parseDomain(xml, virsh).ok !== (verdict === 'accepted'),
      );
      console.log(`probes right: ${probes.length - wrong.length} of ${probes.length}`);
      expect(wrong.map(({ label }) => label)).toEqual([]);
      const stricterNow = probes.filter(
        ({ xml, verdict }) => parseDomain(xml).ok !== (verdict === 'accepted'),
      );
      expect(stricterNow.map(({ label }) => label)).toEqual(['memnode restrictive alone']);
    });

    it('get the view that a second reader finds, field by field', () => {
      const domains = valid.filter(({ kind }) => kind !== 'capabilities');
      const documents = [
        ...domains.map(({ path }) => ({ label: path, xml: read(path) })),
        ...probes.filter(({ label, verdict }) => verdict === 'accepted' && !OLDER.includes(label)),
      ];
      for (const { label, xml } of documents) {
        const outcome = parseDomain(xml);
        const view = outcome.ok ? shared(outcome.value) : outcome.problems;
        expect([label, view]).toEqual([label, readDomainIndependently(xml)]);
      }
      console.log(`domains read alike by two readers: ${documents.length}`);
    });

    it('get the nodes that a second reader finds in capabilities', () => {
      const capabilities = valid.filter(({ kind }) => kind === 'capabilities');
      for (const { path } of capabilities) {
        const outcome = parseCapabilities(read(path));
        const nodes = outcome.ok
          ? outcome.value.topology.nodes.map(({ id, memoryKib, cpus, pages, distances }) => {
              return { id, memoryKib, cpus, pages, distances };
            })
          : outcome.problems;
        expect([path, nodes]).toEqual([path, readNodesIndependently(read(path))]);
      }
      console.log(`capabilities read alike by two readers: ${capabilities.length}`);
    });
  });
}
