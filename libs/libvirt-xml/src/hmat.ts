/** Memory-side caches, latencies and bandwidths: HMAT, in guest cells and in host capabilities alike. */
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { XmlElement } from './tree';
import type { DomainView } from './types';
import { unitBytes } from './units';

type Cache = DomainView['cells'][number]['caches'][number];
type Interconnects = DomainView['interconnects'];
type Link = Pick<Interconnects['latencies'][number], 'initiator' | 'target' | 'cache' | 'access'>;

const ASSOCIATIVITY = ['none', 'direct', 'full'] as const;
const POLICY = ['none', 'writeback', 'writethrough'] as const;
const ACCESS = ['access', 'read', 'write'] as const;
const HIGHEST_LEVEL = 3;

/**
 * Reads the `<cache>` elements of a cell (virDomainNumaDefNodeCacheParseXML).
 * @differs libvirt takes the numbers in KiB and bytes whatever the unit says; it writes no other
 */
export function readCaches(reader: Reader, cell: XmlElement): Cache[] {
  const caches: Cache[] = [];
  for (const element of all(cell, 'cache')) {
    const given = reader.required(element, 'level');
    const level = given === null ? null : reader.uint(element, 'level', 1, HIGHEST_LEVEL);
    if (level === null) continue;
    if (caches.some((cache) => cache.level === level)) {
      const message = `a second cache of level ${level} in one cell`;
      reader.problem('duplicate-cell-cache', element, 'level', message);
    }
    const associativity = requiredWord(reader, element, 'associativity', ASSOCIATIVITY);
    const policy = requiredWord(reader, element, 'policy', POLICY);
    caches.push({
      level,
      associativity: associativity ?? 'none',
      policy: policy ?? 'none',
      sizeKib: readSize(reader, element) ?? 0,
      lineBytes: readLine(reader, element) ?? 0,
    });
  }
  return caches;
}

function requiredWord<T extends string>(
  reader: Reader,
  at: XmlElement,
  name: string,
  words: readonly T[],
): T | null {
  return reader.required(at, name) === null ? null : reader.word(at, name, words);
}

function child(reader: Reader, cache: XmlElement, name: string): XmlElement | null {
  const element = first(cache, name);
  if (element === null) {
    const message = `<cache> needs <${name} value='...'>`;
    reader.problem('missing-element', cache, null, message, { expected: `<${name} value='...'/>` });
  }
  return element === null || reader.required(element, 'value') === null ? null : element;
}

function readSize(reader: Reader, cache: XmlElement): number | null {
  const element = child(reader, cache, 'size');
  return element === null ? null : reader.size(element, 'value');
}

/** A line is given in bytes, where other sizes are in KiB. */
function readLine(reader: Reader, cache: XmlElement): number | null {
  const element = child(reader, cache, 'line');
  const value = element === null ? null : reader.uint(element, 'value');
  const scale = element === null ? null : unitBytes(attributeOf(element, 'unit') ?? 'B');
  return value === null || scale === null ? null : value * Number(scale);
}

/**
 * Reads `<interconnects>`.
 * @param check looks at one end of a link and says whether the cell may stand there
 */
export function readInterconnects(
  reader: Reader,
  parent: XmlElement | null,
  check: (element: XmlElement, end: 'initiator' | 'target', id: number) => void,
  cachesOf: (id: number) => readonly Cache[],
): Interconnects {
  const found: Interconnects = { latencies: [], bandwidths: [] };
  const element = parent === null ? null : first(parent, 'interconnects');
  if (element === null) return found;
  const seen = new Map<string, Link>();
  for (const at of element.children) {
    if (at.name !== 'latency' && at.name !== 'bandwidth') continue;
    const link = readLink(reader, at, check, cachesOf);
    const given = reader.required(at, 'value');
    if (link === null || given === null) continue;
    refuseTwice(reader, at, link, seen);
    if (at.name === 'latency') {
      const valueNs = reader.uint(at, 'value', 0, Number.MAX_SAFE_INTEGER);
      if (valueNs !== null) found.latencies.push({ ...link, valueNs });
    } else {
      const valueKibPerSecond = reader.size(at, 'value');
      if (valueKibPerSecond !== null) found.bandwidths.push({ ...link, valueKibPerSecond });
    }
  }
  return found;
}

function readLink(
  reader: Reader,
  at: XmlElement,
  check: (element: XmlElement, end: 'initiator' | 'target', id: number) => void,
  cachesOf: (id: number) => readonly Cache[],
): Link | null {
  const end = (name: 'initiator' | 'target'): number | null => {
    const id = reader.required(at, name) === null ? null : reader.uint(at, name);
    if (id !== null) check(at, name, id);
    return id;
  };
  const initiator = end('initiator');
  const target = end('target');
  const level = reader.uint(at, 'cache') ?? 0;
  const access = requiredWord(reader, at, 'type', ACCESS);
  if (initiator === null || target === null || access === null) return null;
  if (level > 0 && !cachesOf(target).some((cache) => cache.level === level)) {
    const message = `cell ${target} has no cache of level ${level}`;
    reader.problem('unknown-cell-cache', at, 'cache', message, { found: `${level}` });
  }
  return { initiator, target, cache: level === 0 ? null : level, access };
}

/** One value for a link, in one direction only (virDomainNumaDefValidate). */
function refuseTwice(reader: Reader, at: XmlElement, link: Link, seen: Map<string, Link>): void {
  const { initiator, target, cache, access } = link;
  const key = `${at.name} ${initiator} ${target} ${cache ?? 0} ${access}`;
  if (seen.has(key)) {
    const message = `a second ${at.name} from cell ${initiator} to cell ${target}`;
    reader.problem('duplicate-link', at, null, message);
  }
  if (initiator !== target && seen.has(`${target} ${initiator}`)) {
    const message = `the link between cells ${target} and ${initiator} is given the other way round already`;
    reader.problem('duplicate-link', at, null, message);
  }
  seen.set(key, link);
  seen.set(`${initiator} ${target}`, link);
}
