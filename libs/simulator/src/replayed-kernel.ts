/** What a replay owes its reader about a host that runs another kernel than the one replayed. */
import { kernelProfileOf, kernelProfiles, type KernelMatch } from './profile';
import type { HostModel, KernelProfileName } from './types';

type Kernel = Pick<HostModel, 'kernelProfile' | 'kernelRelease'>;

/** Is the host's own kernel, where it is known, the one that a replay follows? */
export function isReplayedKernel(host: Kernel): boolean {
  if (host.kernelRelease === undefined) return true;
  const match = kernelProfileOf(host.kernelRelease);
  return match !== undefined && match.exact && match.profile.name === host.kernelProfile;
}

/** What a host is replayed as whose release is known, or not. */
export function replayProfileFor(release: string | undefined): KernelProfileName {
  const match = release === undefined ? undefined : kernelProfileOf(release);
  return match?.profile.replayedAs ?? '6.1.y';
}

/** What the host's kernel does and its replay does not, in one sentence; undefined where there is nothing to say. */
export function unmodelledCaveat({ kernelProfile }: Kernel): string | undefined {
  const { name, unmodelled } = kernelProfiles[kernelProfile];
  return unmodelled.length === 0
    ? undefined
    : `Not in replays of kernel ${name}: ${unmodelled.join('; ')}`;
}

/** One sentence on the host's kernel and one on what it does otherwise; undefined where there is nothing to say. */
export function replayedKernelCaveat(host: Kernel): string | undefined {
  if (isReplayedKernel(host)) return undefined;
  const release = String(host.kernelRelease);
  const rules = `the host runs ${release}; marks, reserves and decisions follow ${host.kernelProfile} all the same, and no recording of ${release} was compared`;
  const match = kernelProfileOf(release);
  return match === undefined ? rules : `${rules}. ${departuresOf(match, host.kernelProfile)}`;
}

/** What a kernel does otherwise than replays as another one, in one sentence. */
export function departuresOf({ profile, exact }: KernelMatch, replayed: KernelProfileName): string {
  const name = exact ? `Kernel ${profile.name}` : `The nearest known kernel, ${profile.name},`;
  const { departures, unmodelled } = kernelProfiles[replayed];
  const has = new Set(departures.filter((one) => !unmodelled.includes(one)));
  const left = profile.departures.filter((one) => !has.has(one));
  return left.length === 0
    ? `${name} is the one replayed`
    : `${name} departs from a replay as ${replayed}: ${left.join('; ')}`;
}
