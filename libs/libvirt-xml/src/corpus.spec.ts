/**
 * Real libvirt documents, read in place: ZONEWISE_LIBVIRT_CORPUS names a folder with index.json and
 * probes.json. They are under other licences and are not part of this repository.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCapabilities, parseDomain, patchNumatune } from '.';

interface Entry {
  path: string;
  kind: 'domain' | 'domain-status' | 'capabilities';
  expect: 'valid' | 'libvirt-rejects';
  reject_scope?: string;
}
/** What a reader of memory placement must notice; other refusals are about devices or the host. */
const OUR_SCOPES = ['numa-memory', 'vcpu-placement', 'xml-syntax'];

const EXAMPLES = join(__dirname, '..', '..', '..', 'examples');
const folder = process.env.ZONEWISE_LIBVIRT_CORPUS ?? '';
const read = (path: string): string => readFileSync(join(folder, path), 'utf8');

describe('the example documents', () => {
  it.each(['db1', 'web1', 'web2', 'job1'])(
    'examples/%s.xml is accepted without a warning',
    (name) => {
      const outcome = parseDomain(readFileSync(join(EXAMPLES, `${name}.xml`), 'utf8'));
      expect(outcome).toMatchObject({ ok: true, value: { name, warnings: [] } });
    },
  );
});

if (folder === '') {
  console.log(
    'real libvirt documents not read: ZONEWISE_LIBVIRT_CORPUS is not set to their folder',
  );
} else {
  const { files } = JSON.parse(read('index.json')) as { files: Entry[] };
  const { probes } = JSON.parse(read('probes.json')) as {
    probes: { label: string; xml: string; verdict: string }[];
  };
  const accepts = ({ kind, path }: Entry): boolean =>
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

    it('stay byte-identical under their own numatune, and outside it under another', () => {
      for (const file of valid.filter(({ kind }) => kind !== 'capabilities')) {
        const xml = read(file.path);
        expect(patchNumatune(xml, {})).toEqual({ ok: true, value: { xml } });
        const outcome = patchNumatune(xml, {
          memory: { mode: 'interleave', nodeset: [0, 1] },
          memnodes: [],
        });
        const strip = (text: string): string =>
          text.replace(/\s*<numatune(\/>|>[^]*<\/numatune>)/, '');
        expect([file.path, outcome.ok && strip(outcome.value.xml)]).toEqual([
          file.path,
          strip(xml),
        ]);
      }
    });
  });
}
