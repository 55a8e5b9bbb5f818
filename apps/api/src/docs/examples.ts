import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostTextsOf, importHost, type HostTexts } from '@zonewise/host-facts';
import { parseCapabilities } from '@zonewise/libvirt-xml';
import { failedAllocationLog } from '../diagnoses/diagnosis-examples';
import { packageRoot } from '../health/version';

/**
 * Request examples of the console, read from examples/: recorded from a real kernel, so that each can be
 * sent as it stands. A file that is not there leaves its example out; nothing is ever made up.
 */
const FOLDER = join(packageRoot(), 'examples');

export function exampleFile(path: string): string | undefined {
  const file = join(FOLDER, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** The recorded host's texts as `POST /v1/hosts/import` takes them. */
export function exampleTexts(): HostTexts & { capabilities?: string } {
  const folder = join(FOLDER, 'host');
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const texts = hostTextsOf(names, (name) => readFileSync(join(folder, name), 'utf8'));
  const capabilities = exampleFile('host-capabilities.xml');
  return capabilities === undefined ? texts : { capabilities, ...texts };
}

type Examples = Record<string, { summary: string; value: unknown }>;

const one = (name: string, summary: string, value: unknown): Examples =>
  value === undefined ? {} : { [name]: { summary, value } };

/** True once examples/host is there. */
const recordedTexts = exampleTexts();
const hasRecordedHost = 'zoneinfo' in recordedTexts;

export const importExamples: Examples = {
  ...(hasRecordedHost
    ? one('recorded', 'A two-node host, recorded from Linux 6.1', {
        name: 'numa-host-1',
        description: 'Two nodes, four CPUs, 2 GiB each',
        ...recordedTexts,
      })
    : {}),
  ...one('kernelLog', 'A host of 96 GiB from the log of a failed allocation alone', {
    name: 'numa-host-3',
    kernelLog: failedAllocationLog.value.log,
  }),
};

export const inspectExamples: Examples = {
  ...(hasRecordedHost
    ? one('recorded', 'A two-node host, recorded from Linux 6.1', recordedTexts)
    : {}),
  ...('capabilities' in recordedTexts
    ? one('capabilities', 'Its capabilities document alone', {
        capabilities: recordedTexts.capabilities,
      })
    : {}),
};

export const verifyExamples: Examples =
  hasRecordedHost && exampleFile('host/guest.db1.numa_maps') !== undefined
    ? one('recorded', 'The host as it was recorded, with the guest that runs on it', {
        ...recordedTexts,
        guests: {
          db1: {
            numaMaps: exampleFile('host/guest.db1.numa_maps'),
            smapsRollup: exampleFile('host/guest.db1.smaps_rollup'),
          },
        },
      })
    : {};

export const createExamples: Examples = one(
  'recorded',
  'The recorded two-node host in the canonical form',
  canonicalHost(),
);

function canonicalHost(): unknown {
  if (!hasRecordedHost) return undefined;
  const { capabilities, ...texts } = recordedTexts;
  const view = capabilities === undefined ? undefined : parseCapabilities(capabilities);
  const outcome = importHost(texts, view?.ok === true ? view.value.topology : undefined);
  return outcome.ok ? { name: 'numa-host-2', model: outcome.value.model } : undefined;
}

/** Domain documents by name: db1 runs on the recorded host, the others are planned. */
export const domainExamples: Examples = Object.fromEntries(
  ['db1', 'web1', 'web2', 'job1'].flatMap((name) =>
    Object.entries(one(name, `${name}.xml`, exampleFile(`${name}.xml`))),
  ),
);
