/** The settings of advice beside what a host and the documents of its running guests have in their place. */
import type { HostModel } from '@zonewise/simulator';
import { sameOfAll } from '../change';
import { formatNodeset, nodesText, nodeUnion } from '../host-nodes';
import { DEFAULT_HUGEPAGE_KIB } from '../hugepages';
import { lossesOf, type Losses } from '../losses';
import { ownValue } from '../own-value';
import type {
  BackingValue,
  Candidate,
  HugepageDemand,
  NumatuneSetting,
  NumatuneValue,
  PinningValue,
} from '../types';

/** What the document that libvirt runs a guest from says, as it takes effect on the host. */
export interface ObservedDocument {
  /** `<memory>`, `none` where there is none, and every `<memnode>`. */
  numatune: NumatuneValue;
  /** Host nodes whose CPUs the vCPUs of a cell may run on; the only cell of a guest without cells is 0. */
  cpuNodes: { cell: number; nodes: number[] }[];
  /** Host nodes of the pins that the advice left as they were, of a guest that pinned some of its vCPUs only. */
  keptNodes?: { cell: number; nodes: number[] }[];
  /** Host nodes whose CPUs QEMU's own threads may run on. */
  emulatorNodes: number[];
  /** Cells whose memory lies on huge pages of a pool, with their size; those on other pages are left out. */
  hugepages: { cell: number; sizeKib: number }[];
  /** Target names of the disks that go through the host's page cache. */
  cachedDisks: string[];
}

/** What settings are looked for in. */
export interface SettingFacts {
  host: HostModel;
  /**
   * Paths of the host model that the texts say themselves, such as `sysctl.swappiness`, `thp.enabled` and
   * `nodes.1.hugepages`; what is not among them is derived or a default. Absent: all were read.
   */
  read?: readonly string[];
  /** Documents of the running guests, by name. */
  documents: ReadonlyMap<string, ObservedDocument>;
}

/** A setting of the advice, and what was found in its place. */
export interface ComparedSetting {
  name: string;
  advised: string;
  found: string;
  applied: boolean;
}

export interface AppliedSettings {
  compared: ComparedSetting[];
  /** Settings that the facts could have shown and do not. */
  missing: { what: string; why: string }[];
  /** Settings that no facts show, and those of guests that were predicted not to be there. */
  hidden: { what: string; why: string }[];
}

export type Fate = 'to be killed' | 'not to start';

/** What was predicted of a guest that was not to live; undefined for the others. */
export function fateOf({ killed, notStarted }: Losses, name: string): Fate | undefined {
  if (killed.includes(name)) return 'to be killed';
  return notStarted.includes(name) ? 'not to start' : undefined;
}

/** Every setting of the advice is in one of the three lists. */
export function appliedSettings(advised: Candidate, facts: SettingFacts): AppliedSettings {
  const found: AppliedSettings = { compared: [], missing: [], hidden: [] };
  compareHost(advised, facts, found);
  compareDocuments(advised, facts, found);
  if (advised.startOrder !== undefined) {
    const why = 'What a host prints does not tell in which order its guests were started.';
    found.hidden.push({ what: 'order of starts', why });
  }
  return found;
}

function compareHost(
  { sysctl, thp = {}, hugepages = [] }: Candidate,
  { host, read }: SettingFacts,
  found: AppliedSettings,
): void {
  const compare = (name: string, path: string, advised: unknown, now: unknown): void => {
    if (read !== undefined && !read.includes(path)) {
      found.missing.push({ what: name, why: 'No text that was gathered says it.' });
      return;
    }
    found.compared.push(row(name, text(advised), text(now)));
  };
  for (const [name, value] of Object.entries(sysctl)) {
    compare(`vm.${name}`, `sysctl.${name}`, value, ownValue<unknown>({ ...host.sysctl }, name));
  }
  for (const file of ['enabled', 'defrag'] as const) {
    if (thp[file] === undefined) continue;
    compare(`transparent_hugepage/${file}`, `thp.${file}`, thp[file], host.thp[file]);
  }
  for (const pool of hugepages) {
    const name = poolName(pool);
    const node = host.nodes.find(({ nodeId }) => nodeId === pool.node);
    if (node === undefined) {
      const why = 'The host that was gathered has no such node.';
      found.missing.push({ what: name, why });
      continue;
    }
    const { sizeKib = DEFAULT_HUGEPAGE_KIB } = pool;
    const now = node.hugepages.find((one) => one.sizeKib === sizeKib);
    compare(name, `nodes.${pool.node}.hugepages`, pool.count, now?.totalPages ?? 0);
  }
}

const poolName = ({ node, sizeKib = DEFAULT_HUGEPAGE_KIB }: HugepageDemand): string =>
  `huge pages of ${sizeKib} KiB on node ${node}`;

function compareDocuments(
  advised: Candidate,
  { documents }: SettingFacts,
  found: AppliedSettings,
): void {
  const losses = lossesOf(advised.outcome);
  const of = <T>(
    settings: Record<string, T> | undefined,
    what: string,
    rows: (name: string, value: T, document: ObservedDocument) => ComparedSetting[],
  ): void => {
    for (const [name, value] of Object.entries(settings ?? {})) {
      const document = documents.get(name);
      if (document !== undefined) {
        found.compared.push(...rows(name, value, document));
        continue;
      }
      const setting = `${what} of ${name}`;
      const fate = fateOf(losses, name);
      if (fate === undefined) {
        const why = 'No document of the running guest was gathered.';
        found.missing.push({ what: setting, why });
      } else {
        const why = `It was predicted ${fate}, and no document of it was gathered.`;
        found.hidden.push({ what: setting, why });
      }
    }
  };
  of(advised.numatune, 'numatune', numatuneRows);
  of(advised.pinning, 'pins', pinRows);
  of(advised.backing, 'memory backing', backingRows);
  of(advised.diskCache, 'disk cache', (name, value, { cachedDisks }) => {
    const uncached = cachedDisks.length === 0;
    const now = uncached ? 'none' : `through the host's page cache (${cachedDisks.join(', ')})`;
    const applied = uncached === (value === 'none');
    return [{ name: `disk cache of ${name}`, advised: value, found: now, applied }];
  });
}

function numatuneRows(
  name: string,
  advised: NumatuneValue,
  { numatune }: ObservedDocument,
): ComparedSetting[] {
  const cells = nodeUnion(...[advised, numatune].map((one) => (one.memnodes ?? []).map(cellOf)));
  const applied =
    sameOfAll(advised, numatune) &&
    cells.every((cell) => sameOfAll(ofCell(advised, cell), ofCell(numatune, cell)));
  const [wanted, now] = [numatuneText(advised), numatuneText(numatune)];
  return [{ name: `numatune of ${name}`, advised: wanted, found: now, applied }];
}

const cellOf = ({ cellid }: { cellid: number }): number => cellid;

const ofCell = (value: NumatuneValue, cell: number): NumatuneSetting =>
  value.memnodes?.find(({ cellid }) => cellid === cell) ?? value;

function numatuneText(value: NumatuneValue): string {
  const one = ({ mode, nodeset }: NumatuneSetting): string =>
    mode === 'none' ? mode : `${mode} ${formatNodeset(nodeset)}`;
  const cells = (value.memnodes ?? []).map((memnode) => `cell ${memnode.cellid} ${one(memnode)}`);
  return cells.length > 0 ? `${one(value)} (${cells.join(', ')})` : one(value);
}

/** Pins to some of the CPUs that the advice allows are in force: the advised document leaves them as they are. */
function pinRows(
  name: string,
  { nodes, cells = [] }: PinningValue,
  { cpuNodes, keptNodes = [], emulatorNodes }: ObservedDocument,
): ComparedSetting[] {
  const allowed = (cell: number): number[] =>
    nodeUnion(
      cells.find(({ cellid }) => cellid === cell)?.nodes ?? nodes,
      ...keptNodes.filter((kept) => kept.cell === cell).map((kept) => kept.nodes),
    );
  const all = nodeUnion(nodes, ...cells.map((cell) => cell.nodes));
  const isIn = (part: number[], whole: number[]): boolean =>
    part.every((node) => whole.includes(node));
  const list = (entries: [cell: number, nodes: number[]][]): string =>
    cells.length === 0
      ? nodesText(nodeUnion(...entries.map(([, own]) => own)))
      : entries.map(([cell, own]) => `cell ${cell} ${nodesText(own)}`).join(', ');
  return [
    {
      name: `nodes of the CPUs of ${name}'s vCPUs`,
      advised: list(cpuNodes.map(({ cell }) => [cell, allowed(cell)])),
      found: list(cpuNodes.map((entry) => [entry.cell, entry.nodes])),
      applied: cpuNodes.every((entry) => isIn(entry.nodes, allowed(entry.cell))),
    },
    {
      name: `nodes of the CPUs of ${name}'s emulator`,
      advised: nodesText(all),
      found: nodesText(emulatorNodes),
      applied: isIn(emulatorNodes, all),
    },
  ];
}

/** QEMU asks for transparent huge pages by itself: a document tells them from base pages in nothing. */
function backingRows(
  name: string,
  advised: BackingValue,
  { cpuNodes, hugepages }: ObservedDocument,
): ComparedSetting[] {
  const of = (sizeKib: number | undefined): string =>
    sizeKib === undefined ? 'no pool of huge pages' : `huge pages of ${sizeKib} KiB of a pool`;
  const wanted = of(typeof advised === 'number' ? advised : undefined);
  const now = cpuNodes.map(({ cell }) => of(hugepages.find((one) => one.cell === cell)?.sizeKib));
  const found = [...new Set(now)].join(' and ');
  return [row(`memory backing of ${name}`, wanted, found)];
}

const row = (name: string, advised: string, found: string): ComparedSetting => ({
  ...{ name, advised, found },
  applied: advised === found,
});

const text = (value: unknown): string => (Array.isArray(value) ? value.join(' ') : String(value));
