import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The recorded two-node host of examples/host, whose texts the tests share. */
const FOLDER = join(__dirname, '../../examples/host');

export const recordedText = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

/** Files as multipart parts: name of the part and its text. */
export function recordedParts(): [name: string, text: string][] {
  const whole = ['zoneinfo', 'buddyinfo', 'pagetypeinfo', 'meminfo', 'vmstat', 'sysctl', 'version'];
  const perNode = readdirSync(FOLDER).filter((file) =>
    /^node\d+\.(meminfo|numastat|cpulist|distance)$/.test(file),
  );
  return [...whole, ...perNode]
    .filter((file) => existsSync(join(FOLDER, file)))
    .map((file) => [file, recordedText(file)]);
}

/** The same texts as the JSON body of an import has them. */
export function recordedBody(name: string): Record<string, unknown> {
  const body: Record<string, unknown> = { name };
  for (const [part, text] of recordedParts()) {
    const match = /^node(\d+)\.([a-z])([a-z]+)$/.exec(part);
    if (match === null) body[part] = text;
    else {
      const [, nodeId = '', initial = '', rest = ''] = match;
      const field = `node${initial.toUpperCase()}${rest}`;
      body[field] = { ...(body[field] as object | undefined), [nodeId]: text };
    }
  }
  return body;
}

/** A domain document with two vCPUs; `numatune` goes in as it is. */
export function domainXml(name: string, memoryMib: number, numatune = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<domain type='kvm'>
  <name>${name}</name>
  <memory unit='MiB'>${memoryMib}</memory>
  <vcpu placement='static'>2</vcpu>
  ${numatune}
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
  </os>
</domain>
`;
}

export const preferred = (node: number): string =>
  `<numatune><memory mode='preferred' nodeset='${node}'/></numatune>`;
