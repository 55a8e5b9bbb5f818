/**
 * What kind of value an observable is, and how far outside the kernel's own range a simulated one may lie.
 *
 * The range is that of several boots of the same machine. It does not span what the kernel can do, because pages
 * free at boot differ by some hundreds from boot to boot, and whatever depends on the room left on a nearly full
 * node inherits that: hence tolerances in shares of a node.
 */

export const KINDS = [
  'layout',
  'oom',
  'placement',
  'numa',
  'levels',
  'reclaim',
  'compaction',
  'pace',
  'informative',
] as const;
export type Kind = (typeof KINDS)[number];

/** Kinds whose values are counted from step to step; one that the model does not count is zero. */
export const COUNTED: ReadonlySet<Kind> = new Set(['numa', 'reclaim', 'pace', 'compaction']);

export interface Tolerance {
  kind: Kind;
  keys: RegExp;
  /** Share of the kernel's nearest bound. */
  relative?: number;
  /** In the unit of the value: pages for most, KiB, bytes or an index for some. */
  absolute?: number;
  /** Share of the managed pages of the node that the key names, of the largest node where it names none. */
  node?: number;
}

/** The first rule that matches a key holds; of its tolerances the widest. A rule without any wants the exact range. */
const TOLERANCES: readonly Tolerance[] = [
  {
    kind: 'layout',
    keys: /^(fallback\.\d+|zone\.\d+\.\w+\.(min|low|high|pcp_high|pcp_batch|protection\.\d+))$/,
  },
  { kind: 'oom', keys: /^(oom_victims|oom_constraint|alive\..*)$/ },
  {
    kind: 'placement',
    keys: /^guest\.[^.]+\.node\d+$/,
    ...{ relative: 0.01, absolute: 512, node: 0.005 },
  },
  {
    kind: 'placement',
    keys: /^guest\.[^.]+\.anon_huge_kib$/,
    ...{ relative: 0.02, absolute: 8192 },
  },
  { kind: 'placement', keys: /^obtained$/, relative: 0.02, absolute: 2 },
  { kind: 'levels', keys: /^guest\.[^.]+\.swap_kib$/, relative: 0.05, absolute: 4096 },
  { kind: 'levels', keys: /^swap_used_kib$/, relative: 0.05, absolute: 4096 },
  { kind: 'levels', keys: /^cgroup\.[^.]+\.current$/, relative: 0.02, absolute: 2_097_152 },
  { kind: 'levels', keys: /^zone\.\d+\.\w+\.free_pcp$/, relative: 0.02, node: 0.005 },
  { kind: 'levels', keys: /^zone\.\d+\.\w+\.boost$/, relative: 0.1, absolute: 512 },
  {
    kind: 'levels',
    keys: /^node\.\d+\.nr_(inactive_anon|active_anon|inactive_file|active_file|file_pages|anon_pages|dirty|anon_transparent_hugepages)$/,
    ...{ relative: 0.02, node: 0.005 },
  },
  { kind: 'levels', keys: /^extfrag\./, absolute: 0.05 },
  {
    kind: 'numa',
    keys: /^d\.(vmstat\.numa_|numastat\.)/,
    ...{ relative: 0.02, absolute: 512, node: 0.005 },
  },
  {
    kind: 'pace',
    keys: /^d\.vmstat\.(pgscan_kswapd|pgscan_direct|pgsteal_kswapd|pgsteal_direct|allocstall_|pageoutrun|kswapd_)/,
    ...{ relative: 0.25, absolute: 2048 },
  },
  {
    kind: 'reclaim',
    keys: /^d\.vmstat\.(pgscan_|pgsteal_|pswp|zone_reclaim_|pgactivate|pgdeactivate|pgrefill|workingset_refault|workingset_activate)/,
    ...{ relative: 0.15, absolute: 1024 },
  },
  {
    kind: 'compaction',
    keys: /^d\.vmstat\.(thp_|htlb_|compact_|pgmigrate_)/,
    ...{ relative: 0.2, absolute: 256 },
  },
];
const INFORMATIVE: Tolerance = { kind: 'informative', keys: /^/ };

const ruleOfKey = new Map<string, Tolerance>();

/** The rule that a key falls under; keys without a rule are informative. */
export function toleranceOf(key: string): Tolerance {
  let rule = ruleOfKey.get(key);
  if (rule === undefined) {
    rule = TOLERANCES.find(({ keys }) => keys.test(key)) ?? INFORMATIVE;
    ruleOfKey.set(key, rule);
  }
  return rule;
}

/** Managed pages of a case's nodes, which tolerances in shares of a node refer to. */
export interface NodeSizes {
  pagesOf: ReadonlyMap<string, number>;
  largestPages: number;
}

const NAMES_NODE = /^(?:zone|node)\.(\d+)\.|\.node(\d+)$|^d\.numastat\.(\d+)\./;

/** Absolute tolerance of a key in a machine with these nodes: the wider of its own and its node's share. */
export function widthOf(
  key: string,
  { absolute = 0, node = 0 }: Tolerance,
  sizes: NodeSizes,
): number {
  const match = NAMES_NODE.exec(key);
  const nodeId = match?.[1] ?? match?.[2] ?? match?.[3];
  const nodePages =
    (nodeId === undefined ? undefined : sizes.pagesOf.get(nodeId)) ?? sizes.largestPages;
  return Math.max(absolute, node * nodePages);
}
