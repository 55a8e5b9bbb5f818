/** Advice, written into documents: started as libvirt starts them, the guests are where the replay has them. */
import { advise, simulate } from '@zonewise/advisor';
import type { GuestSpec } from '@zonewise/advisor';
import { parseDomain } from '@zonewise/libvirt-xml';
import { buildGuestSpec } from '@zonewise/plan';
import { host as hostOf } from '../../advisor/test/builders';
import { adviceFiles } from './advice-files';

const host = hostOf([
  { mib: 512, anonMib: 440 },
  { mib: 1024, anonMib: 40 },
]);

const documentOf = (vcpu: string, numatune: string): string =>
  `<domain type='kvm'><name>a</name><memory unit='MiB'>128</memory>${vcpu}${numatune}` +
  "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";

const specOf = (xml: string): GuestSpec => {
  const parsed = parseDomain(xml);
  const built = parsed.ok ? buildGuestSpec(parsed.value, host, { state: 'planned' }) : parsed;
  if (!built.ok) throw new Error(JSON.stringify(built.problems));
  return built.value;
};

/** All CPUs of the host where the document has no CPU set and numad has no say (qemuProcessSetupPid). */
const asStarted = (xml: string): string =>
  xml.replace(/<vcpu(?! [^>]*(cpuset|'auto'))/, "<vcpu cpuset='0-3'");

const AUTO = "<numatune><memory mode='strict' placement='auto'/></numatune>";

it.each([
  ['nothing', '<vcpu>2</vcpu>', ''],
  ['strict numatune', '<vcpu>2</vcpu>', "<numatune><memory mode='strict' nodeset='0'/></numatune>"],
  ['automatic placement', "<vcpu placement='auto'>2</vcpu>", AUTO],
])('pins a guest that has %s where the replay has it', (_, vcpu, numatune) => {
  const xml = documentOf(vcpu, numatune);
  const request = { host, guests: [specOf(xml)], demand: {}, seed: 1 };
  const content = advise(request);
  const files = adviceFiles(content, [{ name: 'a', xml }], host);
  const { text } = files.find(({ name }) => name === 'a.xml') ?? { text: '' };
  expect(text).toContain("cpuset='2-3'");
  const { outcome } = simulate({ ...request, guests: [specOf(asStarted(text))] });
  const { advised } = content.evidence;
  expect(advised.outcome.remoteCost).toBe(0);
  expect(outcome).toEqual(advised.outcome);
  const rollback = files.find(({ name }) => name === 'a.rollback.xml');
  expect(rollback?.text).toBe(xml);
});

it('pins the vCPUs that a document leaves without a pin, and keeps its pins', () => {
  const pins = "<cputune><vcpupin vcpu='0' cpuset='2'/></cputune>";
  const xml = documentOf('<vcpu>2</vcpu>', pins);
  const request = { host, guests: [specOf(xml)], demand: {}, seed: 1 };
  const content = advise(request);
  const textOf = (of: string): string =>
    adviceFiles(content, [{ name: 'a', xml: of }], host).find(({ name }) => name === 'a.xml')
      ?.text ?? '';
  const text = textOf(xml);
  expect(text).toContain("<vcpu cpuset='2-3'>2</vcpu>");
  expect(text).toContain(pins);
  const { outcome } = simulate({ ...request, guests: [specOf(text)] });
  expect(outcome).toEqual(content.evidence.advised.outcome);
  // A pin to where the advice brings nobody stays as well; one that holds all vCPUs goes along.
  const elsewhere = pins.replace("'2'", "'0'");
  expect(textOf(documentOf('<vcpu>2</vcpu>', elsewhere))).toContain(elsewhere);
  expect(textOf(documentOf('<vcpu>1</vcpu>', elsewhere))).toContain(pins.replace("'2'", "'2-3'"));
});
