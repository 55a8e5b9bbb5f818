/** Small documents for specs, written for the case at hand. */
import type { HostPlacement } from '../src';

export const CELLS =
  "<cpu><numa><cell id='0' cpus='0-1' memory='512' unit='MiB'/><cell id='1' cpus='2-3' memory='512' unit='MiB'/></numa></cpu>";

interface Parts {
  type?: string;
  memory?: string;
  vcpu?: string;
  /** Elements between vcpu and os. */
  tune?: string;
  cpu?: string;
  devices?: string;
  backing?: string;
}

export function domainXml(parts: Parts = {}): string {
  const { type = 'kvm', memory = "<memory unit='GiB'>1</memory>", vcpu = '<vcpu>4</vcpu>' } = parts;
  const { tune = '', cpu = '', devices = '', backing = '' } = parts;
  return `<domain type='${type}'><name>guest</name>${memory}${backing}${vcpu}${tune}<os><type arch='x86_64'>hvm</type></os>${cpu}<devices>${devices}</devices></domain>`;
}

export const numatune = (inside: string): string => `<numatune>${inside}</numatune>`;

export const TWO_NODES: HostPlacement = {
  memoryNodes: [0, 1],
  nodes: [
    { nodeId: 0, cpus: [0, 1] },
    { nodeId: 1, cpus: [2, 3] },
  ],
};
