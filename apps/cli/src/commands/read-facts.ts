import { diagnose, importHost, parseKernelLog } from '@zonewise/host-facts';
import { parseCapabilities } from '@zonewise/libvirt-xml';
import { readFactsFolder } from '../gate/plan-file';
import { readLimited } from '../gate/plan-folder';
import { answer, Refused, type AnswerOptions } from './answer';

/** Reads a host out of a folder of what it printed: the model with the provenance of its values. */
export function importFolder(
  folder: string,
  options: AnswerOptions & { capabilities?: string } = {},
): number {
  return answer(options, () => {
    const { capabilities: own, ...texts } = readFactsFolder(folder);
    const capabilities =
      options.capabilities === undefined
        ? own
        : readLimited(options.capabilities, '--capabilities');
    const parsed = capabilities === undefined ? undefined : parseCapabilities(capabilities);
    if (parsed !== undefined && !parsed.ok) {
      const file = options.capabilities ?? `${folder}/capabilities.xml`;
      throw new Refused(parsed.problems.map((problem) => ({ ...problem, file })));
    }
    const outcome = importHost(texts, parsed?.value.topology);
    if (!outcome.ok) {
      throw new Refused(outcome.problems.map((problem) => ({ ...problem, file: folder })));
    }
    return outcome.value;
  });
}

/** Explains the failed allocations and OOM kills of a kernel log. */
export function diagnoseLog(
  path: string,
  options: AnswerOptions & { release?: string } = {},
): number {
  return answer(options, () => {
    const parsed = parseKernelLog(readLimited(path, 'log'), 'log', options.release);
    if (parsed.ok) return { items: parsed.value.map(diagnose) };
    throw new Refused(parsed.problems.map((problem) => ({ ...problem, file: path })));
  });
}
