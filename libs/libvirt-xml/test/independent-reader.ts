/**
 * A second reading of domain and capabilities documents, for tests that compare the library with it. It
 * shares nothing with the library but the names of the answer's fields: tags are cut out by one regular
 * expression and kept with their full path, and values are looked up by path.
 *
 * It trusts its input: only documents that libvirt accepts are read here.
 */

interface Tag {
  /** Names from the root on, joined by `/`. */
  path: string;
  attributes: Record<string, string>;
  text: string;
  /** Position of the tag among all, and of the last tag inside. */
  from: number;
  to: number;
}

const TOKEN =
  /<!--[^]*?-->|<\?[^]*?\?>|<!\[CDATA\[([^]*?)\]\]>|<\/[^>]*>|<([^\s/>]+)((?:[^>"']|"[^"]*"|'[^']*')*)>|([^<]+)/g;
const ATTRIBUTE = /([^\s=/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const NAMED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

const plain = (text: string): string =>
  text.replace(/&(#x?)?([0-9A-Za-z]+);/g, (_, number: string | undefined, name: string) =>
    number === undefined
      ? (NAMED[name] ?? '')
      : String.fromCodePoint(parseInt(name, number === '#x' ? 16 : 10)),
  );

class Tags {
  readonly all: Tag[] = [];

  constructor(xml: string) {
    const open: Tag[] = [];
    for (const match of xml.matchAll(TOKEN)) {
      const [token, cdata, name, rest = '', text] = match;
      const inner = open[open.length - 1];
      if (cdata !== undefined || text !== undefined) {
        if (inner !== undefined) inner.text += cdata ?? plain(text ?? '');
      } else if (token.startsWith('</')) {
        const closed = open.pop();
        if (closed !== undefined) closed.to = this.all.length;
      } else if (name !== undefined) {
        const tag: Tag = { path: '', attributes: {}, text: '', from: this.all.length, to: 0 };
        tag.path = inner === undefined ? name : `${inner.path}/${name}`;
        for (const [, key = '', double, single = ''] of rest.matchAll(ATTRIBUTE)) {
          tag.attributes[key] = plain(double ?? single);
        }
        this.all.push(tag);
        tag.to = this.all.length;
        if (!rest.endsWith('/')) open.push(tag);
      }
    }
  }

  below(tag: Tag, path: string): Tag[] {
    return this.all.slice(tag.from + 1, tag.to).filter((at) => at.path === `${tag.path}/${path}`);
  }

  one(tag: Tag, path: string): Tag | undefined {
    return this.below(tag, path)[0];
  }
}

const UNITS = 'kmgtpe';

/** KiB, rounded up, of a number with a unit (KiB without one). */
function kib(digits: string, unit = 'KiB'): number {
  const lower = unit.toLowerCase();
  const power = lower.startsWith('b') ? 0 : UNITS.indexOf(lower.charAt(0)) + 1;
  const base = lower.length === 2 ? 1000 : 1024;
  let bytes = BigInt(digits);
  for (let i = 0; i < power; i += 1) bytes *= BigInt(base);
  return Number(bytes / 1024n) + (bytes % 1024n === 0n ? 0 : 1);
}

const kibOf = (tag: Tag | undefined): number =>
  tag === undefined ? 0 : kib(tag.text, tag.attributes['unit']);

/** A set, item by item. */
function ids(text: string | undefined): number[] | null {
  if (text === undefined) return null;
  const set = new Set<number>();
  for (const item of text.split(',')) {
    const [first = '', last = first] = item.replace('^', '').split('-');
    for (let id = Number(first); item.trim() !== '' && id <= Number(last); id += 1) {
      if (item.includes('^')) set.delete(id);
      else set.add(id);
    }
  }
  return Array.from(set).sort((a, b) => a - b);
}

const number = (text: string | undefined): number | null =>
  text === undefined || text === '' ? null : Number(text);

type HugePages = { sizeKib: number | null; nodeset: number[] | null }[];

/** The placement view of the first domain in a document, field by field as it is answered. */
export function readDomainIndependently(xml: string) {
  const tags = new Tags(xml);
  const domain = tags.all.find((tag) => /(^|\/)domain$/.test(tag.path));
  if (domain === undefined) throw new Error('no <domain>');
  const one = (path: string): Tag | undefined => tags.one(domain, path);
  const below = (path: string): Tag[] => tags.below(domain, path);
  const qemu = /^(qemu|kvm|hvf)$/.test(domain.attributes['type'] ?? '');
  const vcpus = below('vcpus/vcpu').filter((tag) => tag.attributes['enabled'] === 'yes');
  const vcpu = one('vcpu');
  const count = Number(vcpu?.text ?? '1');
  const auto = vcpu?.attributes['placement'] === 'auto';
  const cpuset = auto ? null : ids(vcpu?.attributes['cpuset']);
  const pins = below('cputune/vcpupin')
    .filter(({ attributes }) => Number(attributes['vcpu']) < count)
    .map(({ attributes }) => ({
      vcpu: Number(attributes['vcpu']),
      cpuset: ids(attributes['cpuset']),
    }));
  const emulator = ids(one('cputune/emulatorpin')?.attributes['cpuset']);
  const iothreadPins = below('cputune/iothreadpin');

  const cells = below('cpu/numa/cell').map((tag, index) => ({
    id: number(tag.attributes['id']) ?? index,
    cpus: ids(tag.attributes['cpus']) ?? [],
    memoryKib: kib(tag.attributes['memory'] ?? '0', tag.attributes['unit']),
    memAccess: tag.attributes['memAccess'] ?? null,
  }));
  cells.sort((a, b) => a.id - b.id);
  const named = cells.flatMap((cell) => cell.cpus);
  if (qemu && cells[0] !== undefined) {
    const rest = Array.from({ length: count }, (_, id) => id).filter((id) => !named.includes(id));
    cells[0].cpus = [...cells[0].cpus, ...rest].sort((a, b) => a - b);
  }

  const memoryDevices = below('devices/memory').map((tag) => ({
    model: tag.attributes['model'],
    sizeKib: kibOf(tags.one(tag, 'target/size')),
    node: number(tags.one(tag, 'target/node')?.text),
    nodemask: ids(tags.one(tag, 'source/nodemask')?.text),
  }));
  const cellsKib = cells.reduce((sum, cell) => sum + cell.memoryKib, 0);
  const devicesKib = memoryDevices.reduce((sum, device) => sum + device.sizeKib, 0);
  const given = kibOf(one('memory'));
  const memoryKib = cellsKib > 0 && (qemu || given === 0) ? cellsKib + devicesKib : given;
  const current = kibOf(one('currentMemory'));

  const numatune = one('numatune/memory');
  const nodeset = ids(numatune?.attributes['nodeset']);
  const placement = numatune?.attributes['placement'];
  const isAuto = placement === 'auto' || (placement !== 'static' && nodeset === null && auto);
  const memory =
    numatune === undefined && !auto
      ? null
      : {
          mode: numatune?.attributes['mode'] ?? 'strict',
          placement: isAuto ? 'auto' : 'static',
          nodeset: isAuto ? null : nodeset,
        };
  const unpinned = cpuset === null && pins.length + iothreadPins.length === 0 && emulator === null;

  const pages: HugePages = below('memoryBacking/hugepages/page').map(({ attributes }) => ({
    sizeKib: kib(attributes['size'] ?? '0', attributes['unit']),
    nodeset: cells.length === 0 ? null : ids(attributes['nodeset']),
  }));
  const huge = pages.filter(({ sizeKib }) => sizeKib !== 4);
  let hugepages: HugePages | null = huge.length === 0 ? null : huge;
  if (pages.length === 0 && one('memoryBacking/hugepages') !== undefined) {
    hugepages = [{ sizeKib: null, nodeset: null }];
  }

  return {
    name: one('name')?.text,
    memoryKib,
    currentMemoryKib: current === 0 || current > memoryKib ? memoryKib : current,
    maxMemoryKib: kibOf(one('maxMemory')) || null,
    vcpu: {
      count,
      current:
        below('vcpus/vcpu').length > 0
          ? vcpus.length
          : (number(vcpu?.attributes['current']) ?? count),
      placement: auto || (memory?.placement === 'auto' && unpinned) ? 'auto' : 'static',
      cpuset,
    },
    cputune: {
      vcpupin: pins,
      emulatorpin: emulator,
      iothreadpin: iothreadPins.map(({ attributes }) => ({
        iothread: Number(attributes['iothread']),
        cpuset: ids(attributes['cpuset']),
      })),
    },
    numatune: {
      memory,
      memnodes: below('numatune/memnode').map(({ attributes }) => ({
        cellid: Number(attributes['cellid']),
        mode: attributes['mode'] ?? 'strict',
        nodeset: ids(attributes['nodeset']),
      })),
    },
    cells,
    memoryBacking: {
      hugepages,
      locked: one('memoryBacking/locked') !== undefined,
      nosharepages: one('memoryBacking/nosharepages') !== undefined,
      discard: one('memoryBacking/discard') !== undefined,
      source: one('memoryBacking/source')?.attributes['type'] ?? null,
      access: one('memoryBacking/access')?.attributes['mode'] ?? null,
      allocation: one('memoryBacking/allocation')?.attributes['mode'] ?? null,
    },
    memoryDevices,
    disks: below('devices/disk').map((tag) => ({
      target: tags.one(tag, 'target')?.attributes['dev'] ?? '',
      cache: tags.one(tag, 'driver')?.attributes['cache'] ?? null,
    })),
    memballoon: one('devices/memballoon')?.attributes['model'] ?? null,
  };
}

/** The nodes of a capabilities document, as they are answered. */
export function readNodesIndependently(xml: string) {
  const tags = new Tags(xml);
  const [root] = tags.all;
  if (root === undefined) throw new Error('no root');
  const byId = <T extends { id: number }>(list: T[]): T[] => list.sort((a, b) => a.id - b.id);
  const idOf = (tag: Tag): number => Number(tag.attributes['id']);
  return byId(
    tags.below(root, 'host/topology/cells/cell').map((cell) => ({
      id: idOf(cell),
      memoryKib: kibOf(tags.one(cell, 'memory')),
      cpus: tags
        .below(cell, 'cpus/cpu')
        .map(idOf)
        .sort((a, b) => a - b),
      pages: tags.below(cell, 'pages').map(({ attributes, text }) => ({
        sizeKib: kib(attributes['size'] ?? '0', attributes['unit']),
        count: Number(text),
      })),
      distances: byId(
        tags.below(cell, 'distances/sibling').map((tag) => ({
          id: idOf(tag),
          value: Number(tag.attributes['value']),
        })),
      ),
    })),
  );
}
