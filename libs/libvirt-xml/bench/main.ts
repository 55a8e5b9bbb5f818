/** Measures reading a domain, view included, beside fast-xml-parser, which only parses. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { XMLParser } from 'fast-xml-parser';
import { parseDomain } from '../src';

const USAGE = `Measures parseDomain (tree, rules and placement view) and fast-xml-parser (tree alone) on the same documents.
Times are CPU time of this process, the best of some tries.

  --only xml    there is this group alone
  --json FILE   writes the results there as well
`;

const PLAIN = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
};

export interface Result {
  name: string;
  bytes: number;
  /** Milliseconds for one document. */
  ms: number;
  fastXmlParserMs: number;
  /** How many times as long fast-xml-parser takes. */
  ratio: number;
  /** Disks that each of the two found. */
  disks: number;
  fastXmlParserDisks: number;
}

const disk = (index: number): string => `    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='native'/>
      <source file='/var/lib/libvirt/images/guest-${index}.qcow2' index='${index}'/>
      <target dev='vd${index}' bus='virtio'/>
      <alias name='virtio-disk${index}'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
`;

/** A domain of about so many bytes: two cells, pins, and as many disks as fit. */
export function document(bytes: number): string {
  const pins = Array.from({ length: 8 }, (_, id) => {
    return `    <vcpupin vcpu='${id}' cpuset='${id},${id + 8}'/>\n`;
  });
  const head = `<domain type='kvm' id='1'>
  <name>guest</name>
  <uuid>6a2b0f5e-0c0e-4f0a-9d3b-3c7f6d1e2a11</uuid>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>8388608</currentMemory>
  <memoryBacking>
    <hugepages>
      <page size='2048' unit='KiB' nodeset='0-1'/>
    </hugepages>
  </memoryBacking>
  <vcpu placement='static'>8</vcpu>
  <cputune>
${pins.join('')}  </cputune>
  <numatune>
    <memory mode='strict' nodeset='0-1'/>
    <memnode cellid='0' mode='preferred' nodeset='0'/>
    <memnode cellid='1' mode='strict' nodeset='1'/>
  </numatune>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
  </os>
  <cpu mode='host-passthrough' check='none'>
    <topology sockets='2' dies='1' cores='4' threads='1'/>
    <numa>
      <cell id='0' cpus='0-3' memory='4194304' unit='KiB'/>
      <cell id='1' cpus='4-7' memory='4194304' unit='KiB'/>
    </numa>
  </cpu>
  <devices>
`;
  const tail = "    <memballoon model='virtio'/>\n  </devices>\n</domain>\n";
  const parts = [head];
  let length = head.length + tail.length;
  for (let index = 0; length < bytes; index += 1) {
    const part = disk(index);
    parts.push(part);
    length += part.length;
  }
  return parts.join('') + tail;
}

/** Best CPU time in ms of one call, over some tries of several calls. */
function measure(work: () => unknown, calls: number, tries: number): number {
  let bestMs = Infinity;
  for (let left = tries; left > 0; left -= 1) {
    const begin = process.cpuUsage();
    for (let call = 0; call < calls; call += 1) work();
    const { user, system } = process.cpuUsage(begin);
    bestMs = Math.min(bestMs, (user + system) / 1000 / calls);
  }
  return bestMs;
}

export interface Size {
  name: string;
  bytes: number;
  /** Documents in one try. */
  calls: number;
  tries: number;
}

const SIZES: readonly Size[] = [
  { name: 'xml 5 KB', bytes: 5_000, calls: 400, tries: 12 },
  { name: 'xml 5 MB', bytes: 5_000_000, calls: 1, tries: 8 },
];

export function run({ name, bytes, calls, tries }: Size): Result {
  const xml = document(bytes);
  // Nothing but text, as the reader itself keeps it: what would be turned into numbers takes longer.
  const options = { ignoreAttributes: false, parseTagValue: false, parseAttributeValue: false };
  const parser = new XMLParser(options);
  const outcome = parseDomain(xml);
  const tree = parser.parse(xml) as { domain: { devices: { disk?: unknown } } };
  const found = tree.domain.devices.disk;
  const ms = measure(() => parseDomain(xml), calls, tries);
  const fastXmlParserMs = measure((): unknown => parser.parse(xml), calls, tries);
  return {
    name,
    bytes: Buffer.byteLength(xml),
    ms,
    fastXmlParserMs,
    ratio: fastXmlParserMs / ms,
    disks: outcome.ok ? outcome.value.disks.length : -1,
    fastXmlParserDisks: Array.isArray(found) ? found.length : found === undefined ? 0 : 1,
  };
}

function table(results: readonly Result[]): string {
  const lines = new Table({
    head: ['', 'bytes', 'ms', 'fast-xml-parser ms', 'times', 'disks'],
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', ...new Array<'right'>(5).fill('right')],
  });
  for (const { name, bytes, ms, fastXmlParserMs, ratio, disks } of results) {
    lines.push([
      name,
      bytes.toLocaleString('en-US'),
      ms.toFixed(3),
      fastXmlParserMs.toFixed(3),
      ratio.toFixed(2),
      disks.toLocaleString('en-US'),
    ]);
  }
  return lines
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}

/** @returns exit code: 0 measured, 1 the two read different things, 2 wrong arguments */
export function main(argv: readonly string[], sizes: readonly Size[] = SIZES): number {
  let values: { only?: string; json?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: { only: { type: 'string' }, json: { type: 'string' }, help: { type: 'boolean' } },
    }));
    if (values.only !== undefined && values.only !== 'xml') {
      throw new RangeError(`--only is '${values.only}', which is no group of measurements`);
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const results = sizes.map(run);
  process.stdout.write(`${table(results)}\n`);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ results }, null, 2)}\n`);
  }
  return results.every(({ disks, fastXmlParserDisks }) => disks === fastXmlParserDisks) ? 0 : 1;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
