/** The shape of a host model that arrives as JSON, before anything reads it as one. */
import { MIGRATE_TYPE_NAMES } from '@zonewise/simulator';
import type { PlanProblem } from './plan-request';

/** A JSON type, an array of one shape, or an object; a key that ends in `?` may be absent. */
type Shape = 'number' | 'string' | readonly [Shape] | { readonly [key: string]: Shape };

const LRU = {
  inactiveAnonPages: 'number',
  activeAnonPages: 'number',
  inactiveFilePages: 'number',
  activeFilePages: 'number',
  unevictablePages: 'number',
} as const;

/** Every migrate type may be absent. */
function byMigrateType(value: Shape): Shape {
  return Object.fromEntries(MIGRATE_TYPE_NAMES.map((name) => [`${name}?`, value]));
}

const ZONE = {
  name: 'string',
  startPfn: 'number',
  spannedPages: 'number',
  presentPages: 'number',
  managedPages: 'number',
  freePages: 'number',
  boostPages: 'number',
  minPages: 'number',
  lowPages: 'number',
  highPages: 'number',
  protectionPages: ['number'],
  freeBlocks: ['number'],
  'freeBlocksByType?': byMigrateType(['number']),
  'pageblocksByType?': byMigrateType('number'),
  pagesets: [{ cpu: 'number', countPages: 'number', highPages: 'number', batchPages: 'number' }],
  'lru?': LRU,
} as const;

const NODE = {
  nodeId: 'number',
  cpus: ['number'],
  zones: [ZONE],
  lru: LRU,
  filePages: 'number',
  mappedPages: 'number',
  shmemPages: 'number',
  anonPages: 'number',
  dirtyPages: 'number',
  writebackPages: 'number',
  slabReclaimablePages: 'number',
  slabUnreclaimablePages: 'number',
  hugepages: [
    { sizeKib: 'number', totalPages: 'number', freePages: 'number', 'surplusPages?': 'number' },
  ],
  numastat: {
    numaHit: 'number',
    numaMiss: 'number',
    numaForeign: 'number',
    interleaveHit: 'number',
    localNode: 'number',
    otherNode: 'number',
  },
} as const;

const HOST_MODEL: Shape = {
  kernelProfile: 'string',
  'kernelRelease?': 'string',
  nodes: [NODE],
  distances: [['number']],
  sysctl: {
    min_free_kbytes: 'number',
    watermark_scale_factor: 'number',
    watermark_boost_factor: 'number',
    lowmem_reserve_ratio: ['number'],
    zone_reclaim_mode: 'number',
    min_unmapped_ratio: 'number',
    min_slab_ratio: 'number',
    swappiness: 'number',
    percpu_pagelist_high_fraction: 'number',
    dirty_ratio: 'number',
    dirty_background_ratio: 'number',
    dirty_writeback_centisecs: 'number',
    'compaction_proactiveness?': 'number',
    'compact_unevictable_allowed?': 'number',
    'extfrag_threshold?': 'number',
  },
  thp: {
    enabled: 'string',
    defrag: 'string',
    'khugepaged?': {
      scanSleepMs: 'number',
      allocSleepMs: 'number',
      pagesToScan: 'number',
      maxPtesNone: 'number',
    },
  },
  swap: { totalPages: 'number', freePages: 'number' },
};

const MAX_PROBLEMS = 20;

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'an array' : typeof value;
}

function check(value: unknown, shape: Shape, path: string, problems: PlanProblem[]): void {
  if (problems.length >= MAX_PROBLEMS) return;
  const wrong = (expected: string) =>
    problems.push({
      code: 'host-model-shape',
      path,
      message: `Expected ${expected}, found ${typeName(value)}.`,
    });
  if (typeof shape === 'string') {
    if (typeof value !== shape) wrong(`a ${shape}`);
  } else if (isArrayShape(shape)) {
    if (!Array.isArray(value)) wrong('an array');
    else value.forEach((item, index) => check(item, shape[0], `${path}/${index}`, problems));
  } else if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    wrong('an object');
  } else {
    checkKeys(value as Record<string, unknown>, shape, path, problems);
  }
}

function isArrayShape(shape: object): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function checkKeys(
  value: Record<string, unknown>,
  shape: { readonly [key: string]: Shape },
  path: string,
  problems: PlanProblem[],
): void {
  for (const [key, part] of Object.entries(shape)) {
    const name = key.replace(/\?$/, '');
    if (name !== key && value[name] === undefined) continue;
    check(value[name], part, `${path}/${name}`, problems);
  }
}

/** What keeps a JSON value from being a host model as `GET /v1/hosts/{hostId}` answers it; meaning is not checked. */
export function modelShapeProblems(model: unknown): PlanProblem[] {
  const problems: PlanProblem[] = [];
  check(model, HOST_MODEL, '', problems);
  return problems;
}
