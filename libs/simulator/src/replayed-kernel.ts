/** What a replay owes its reader about a host that runs another kernel than the one replayed. */
import { kernelProfileOf, type KernelMatch } from './profile';
import type { HostModel } from './types';

type Kernel = Pick<HostModel, 'kernelProfile' | 'kernelRelease'>;

/** Is the host's own kernel, where it is known, the one that a replay follows? */
export function isReplayedKernel(host: Kernel): boolean {
  if (host.kernelRelease === undefined) return true;
  const match = kernelProfileOf(host.kernelRelease);
  return match !== undefined && match.exact && match.profile.name === host.kernelProfile;
}

/** One sentence on the host's kernel and one on what it does otherwise; undefined where there is nothing to say. */
export function replayedKernelCaveat(host: Kernel): string | undefined {
  if (isReplayedKernel(host)) return undefined;
  const release = String(host.kernelRelease);
  const rules = `the host runs ${release}; marks, reserves and decisions follow ${host.kernelProfile} all the same, and no recording of ${release} was compared`;
  const match = kernelProfileOf(release);
  return match === undefined ? rules : `${rules}. ${departuresOf(match)}`;
}

/** What a kernel does otherwise than replays, in one sentence. */
export function departuresOf({ profile, exact }: KernelMatch): string {
  const name = exact ? `Kernel ${profile.name}` : `The nearest known kernel, ${profile.name},`;
  return profile.departures.length === 0
    ? `${name} is the one replayed`
    : `${name} departs from a replay: ${profile.departures.join('; ')}`;
}
