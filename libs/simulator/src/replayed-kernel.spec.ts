import { guestStep, twoNodes } from '../test/host';
import { SimulatorInputError } from './errors';
import { replay } from './replay';
import { replayProfileFor } from './replayed-kernel';
import type { HostModel, KernelProfileName, MemoryPolicy } from './types';

const run = (change: Partial<HostModel>, policy: MemoryPolicy = { mode: 'default', nodes: [] }) =>
  replay({
    host: { ...twoNodes(), ...change },
    runningGuests: [],
    steps: [guestStep('g', 10, policy)],
    seed: 1,
  });

/** What a refused replay says, with its code and path. */
function refusal(change: Partial<HostModel>, policy?: MemoryPolicy) {
  try {
    run(change, policy);
  } catch (error) {
    if (error instanceof SimulatorInputError) {
      return { code: error.code, path: error.path, message: error.message };
    }
    throw error;
  }
  return undefined;
}

describe('a host with another kernel than the one replayed', () => {
  const caveatOf = (kernelRelease: string) =>
    run({ kernelRelease }).caveats.find(({ code }) => code === 'kernel-not-validated')?.message;

  it('is replayed, but not as validated, and its departures are named', () => {
    expect(run({ kernelRelease: '3.10.0-1160.el7.x86_64' }).profile).toMatchObject({
      kernel: '6.1.y',
      validated: false,
    });
    expect(caveatOf('3.10.0-1160.el7.x86_64')).toContain('LRU lists and reclaim are per zone');
    expect(caveatOf('6.18.5-1.fc43')).toMatch(/Kernel 6\.18 departs .*MGLRU/);
    expect(caveatOf('5.15.0-91-generic')).toContain('The nearest known kernel, 5.14,');
    expect(caveatOf('2.4.37')).not.toContain('departs');
  });

  it('needs no word where it runs 6.1 or is not known', () => {
    for (const change of [{}, { kernelRelease: '6.1.0-56-cloud-amd64' }]) {
      const result = run(change);
      expect(result.profile.validated).toBe(true);
      expect(result.caveats.map(({ code }) => code)).not.toContain('kernel-not-validated');
    }
  });

  it('cannot be replayed under a profile of which only formulas are known', () => {
    expect(refusal({ kernelProfile: '5.14' as KernelProfileName })).toMatchObject({
      code: 'unknown-value',
      path: 'host.kernelProfile',
      message: expect.stringContaining('a host is replayed as 6.1.y') as string,
    });
  });
});

it.each([
  ['2.6.32-754.el6.x86_64', '5.10'],
  ['4.18.0-553.el8_10.x86_64', '5.10'],
  ['5.10.0-32-cloud-amd64', '5.10'],
  ['5.14.0-427.el9.x86_64', '6.1.y'],
  ['6.1.0-56-amd64', '6.1.y'],
  ['6.8.0-45-generic', '6.1.y'],
  ['6.12.107+deb13-amd64', '6.12'],
  ['6.18.5-1.fc43', '6.12'],
  [undefined, '6.1.y'],
])('a host with %s is replayed as %s', (release, profile) => {
  expect(replayProfileFor(release)).toBe(profile);
});

describe('a replay as another kernel than 6.1', () => {
  const caveats = (change: Partial<HostModel>) =>
    new Map(run(change).caveats.map(({ code, message }) => [code, message]));

  it('names what this kernel does and replays of it do not', () => {
    expect(caveats({ kernelProfile: '6.12' }).get('kernel-unmodelled')).toContain('MGLRU');
    expect(caveats({ kernelProfile: '5.10' }).get('kernel-unmodelled')).toContain('HighAtomic');
    expect(caveats({}).has('kernel-unmodelled')).toBe(false);
  });

  it('leaves out departures of the host from 6.1 that the replay has too', () => {
    const release = '4.18.0-553.el8_10.x86_64';
    const of = (kernelProfile: KernelProfileName) =>
      caveats({ kernelProfile, kernelRelease: release }).get('kernel-not-validated');
    expect(of('6.1.y')).toContain('per-CPU lists hold single pages only');
    expect(of('5.10')).not.toContain('per-CPU lists hold single pages only');
    expect(of('5.10')).toContain('it has no watermark boost (5.0)');
  });
});

it('refuses weighted interleave as younger than the kernel replayed', () => {
  const mode = 'weighted_interleave' as MemoryPolicy['mode'];
  expect(refusal({}, { mode, nodes: [0, 1] })).toMatchObject({
    code: 'unknown-value',
    message: expect.stringMatching(/came with Linux 6\.9, and replays follow 6\.1\.y/) as string,
  });
});

it('refuses preferred_many under 5.10, which has no such policy', () => {
  const policy: MemoryPolicy = { mode: 'preferred_many', nodes: [0, 1] };
  expect(refusal({ kernelProfile: '5.10' }, policy)).toMatchObject({
    code: 'unknown-value',
    message: expect.stringMatching(/came with Linux 5\.15, .* replayed as 5\.10/) as string,
  });
  expect(refusal({}, policy)).toBeUndefined();
});
