import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importHost } from '@zonewise/host-facts';
import { parseCapabilities } from '@zonewise/libvirt-xml';
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

/** Import fields by the name of the file that holds their text. */
const HOST_FILES: Record<string, string> = {
  zoneinfo: 'zoneinfo',
  buddyinfo: 'buddyinfo',
  pagetypeinfo: 'pagetypeinfo',
  meminfo: 'meminfo',
  vmstat: 'vmstat',
  sysctl: 'sysctl',
  version: 'version',
  thpEnabled: 'thp-enabled',
  thpDefrag: 'thp-defrag',
  numactlHardware: 'numactl-hardware',
};

/** The recorded host's texts as `POST /v1/hosts/import` takes them. */
export function exampleTexts(): Record<string, string | Record<string, string>> {
  const texts: Record<string, string | Record<string, string>> = {};
  const capabilities = exampleFile('host-capabilities.xml');
  if (capabilities !== undefined) texts.capabilities = capabilities;
  for (const [field, file] of Object.entries(HOST_FILES)) {
    const text = exampleFile(join('host', file));
    if (text !== undefined) texts[field] = text;
  }
  return { ...texts, ...nodeTexts() };
}

function nodeTexts(): Record<string, Record<string, string>> {
  const maps: Record<string, Record<string, string>> = {};
  const folder = join(FOLDER, 'host');
  for (const file of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const match = /^node(\d+)\.(meminfo|numastat|cpulist|distance)$/.exec(file);
    if (match === null) continue;
    const [, nodeId = '', kind = ''] = match;
    const field = `node${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    (maps[field] ??= {})[nodeId] = readFileSync(join(folder, file), 'utf8');
  }
  return maps;
}

type Examples = Record<string, { summary: string; value: unknown }>;

const one = (name: string, summary: string, value: unknown): Examples =>
  value === undefined ? {} : { [name]: { summary, value } };

/** True once examples/host is there. */
const recordedTexts = exampleTexts();
const hasRecordedHost = 'zoneinfo' in recordedTexts;

export const importExamples: Examples = hasRecordedHost
  ? one('recorded', 'A two-node host, recorded from Linux 6.1', {
      name: 'numa-host-1',
      description: 'Two nodes, four CPUs, 2 GiB each',
      ...recordedTexts,
    })
  : {};

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

export const createExamples: Examples = one(
  'recorded',
  'The recorded two-node host in the canonical form',
  canonicalHost(),
);

function canonicalHost(): unknown {
  if (!hasRecordedHost) return undefined;
  const { capabilities, ...texts } = recordedTexts;
  const view = typeof capabilities === 'string' ? parseCapabilities(capabilities) : undefined;
  const outcome = importHost(texts, view?.ok === true ? view.value.topology : undefined);
  return outcome.ok ? { name: 'numa-host-2', model: outcome.value.model } : undefined;
}

/** Domain documents by name: db1 runs on the recorded host, the others are planned. */
export const domainExamples: Examples = Object.fromEntries(
  ['db1', 'web1', 'web2', 'job1'].flatMap((name) =>
    Object.entries(one(name, `${name}.xml`, exampleFile(`${name}.xml`))),
  ),
);
