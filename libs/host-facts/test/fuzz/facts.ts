/** Texts that were damaged on the way, made from a seed: each is read, or refused with problems that are documented. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  diagnose,
  FACT_CODES,
  importHost,
  parseKernelLog,
  parseNumaMaps,
  parseNumastatProcess,
  parseSmapsRollup,
  type FactProblem,
  type HostTexts,
} from '../../src';

const FIXTURES = join(__dirname, '..', 'fixtures');
const HOST = join(__dirname, '..', '..', '..', '..', 'examples', 'host');
const fixture = (...path: string[]): string => readFileSync(join(FIXTURES, ...path), 'utf8');
const recorded = (name: string): string => readFileSync(join(HOST, name), 'utf8');

type Outcome = { ok: true } | { ok: false; problems: FactProblem[] };

interface Format {
  name: string;
  texts: string[];
  read: (text: string) => Outcome;
}

const NUMACTL = fixture('numactl-4nodes.txt');
/** A source beside which another one is read: sizes are known, so that the other is used as well. */
const beside =
  (field: keyof HostTexts) =>
  (text: string): Outcome =>
    importHost({ numactlHardware: NUMACTL, [field]: text });
const ofNode =
  (
    field:
      | ('nodeMeminfo' | 'nodeNumastat' | 'nodeCpulist' | 'nodeVmstat' | 'nodeHugepages')
      | ('cellMemstats' | 'cellFreepages'),
  ) =>
  (text: string): Outcome =>
    importHost({ numactlHardware: NUMACTL, [field]: { '1': text } });

const FORMATS: Format[] = [
  {
    name: 'zoneinfo',
    texts: [
      fixture('zoneinfo-2.6.32.txt'),
      fixture('5.10-L07-4n-512-dist', 'zoneinfo'),
      fixture('6.1-L08-2n-memless1', 'zoneinfo'),
      fixture('6.12-L07-4n-512-dist', 'zoneinfo'),
    ],
    read: (zoneinfo) => importHost({ zoneinfo }),
  },
  {
    name: 'numactlHardware',
    texts: [NUMACTL],
    read: (numactlHardware) => importHost({ numactlHardware }),
  },
  { name: 'buddyinfo', texts: [recorded('buddyinfo')], read: beside('buddyinfo') },
  { name: 'pagetypeinfo', texts: [recorded('pagetypeinfo')], read: beside('pagetypeinfo') },
  { name: 'meminfo', texts: [recorded('meminfo')], read: beside('meminfo') },
  { name: 'vmstat', texts: [recorded('vmstat')], read: beside('vmstat') },
  { name: 'sysctl', texts: [recorded('sysctl')], read: beside('sysctl') },
  { name: 'version', texts: [recorded('version'), '6.1.0-56-amd64\n'], read: beside('version') },
  { name: 'thpEnabled', texts: [recorded('thp-enabled')], read: beside('thpEnabled') },
  {
    name: 'khugepaged',
    texts: ['pages_to_scan:4096\nscan_sleep_millisecs:10000\nmax_ptes_none:511\n'],
    read: beside('khugepaged'),
  },
  {
    name: 'nodeStates',
    texts: ['possible:0-3\nonline:0-3\nhas_memory:0,2-3\nhas_cpu:0-1\n'],
    read: beside('nodeStates'),
  },
  {
    name: 'zonelists',
    texts: [
      '[    0.1] Fallback order for Node 0: 0 1 2 3 \n[    0.1] Fallback order for Node 1: 1 0\n',
    ],
    read: beside('zonelists'),
  },
  {
    name: 'zoneRanges',
    texts: [
      'Zone ranges:\n  DMA      [mem 0x0000000000001000-0x0000000000ffffff]\n  Device   empty\nInitmem setup node 0 [mem 0x0000000000001000-0x0000000000ffffff]\nInitmem setup node 1 as memoryless\n',
    ],
    read: beside('zoneRanges'),
  },
  {
    name: 'memmap',
    texts: [fixture('5.10-L07-4n-512-dist', 'bootlog')],
    read: beside('memmap'),
  },
  {
    name: 'sections',
    texts: ['block_size_bytes:8000000\nnode0/memory0\nnode0/memory32\nnode1/memory33\n'],
    read: beside('sections'),
  },
  {
    name: 'extfragIndex',
    texts: [fixture('6.12-L07-4n-512-dist', 'extfrag_index')],
    read: beside('extfragIndex'),
  },
  {
    name: 'unusableIndex',
    texts: [fixture('6.12-L07-4n-512-dist', 'unusable_index')],
    read: beside('unusableIndex'),
  },
  {
    name: 'cellMemstats',
    texts: ['total  :              8152952 KiB\nfree   :              6912400 KiB\n'],
    read: ofNode('cellMemstats'),
  },
  {
    name: 'cellFreepages',
    texts: ['4KiB: 19\n2048KiB: 97\n'],
    read: ofNode('cellFreepages'),
  },
  { name: 'lruGen', texts: ['0x0007\n'], read: beside('lruGen') },
  {
    name: 'numastat',
    texts: [
      '                           node0           node1\nnuma_hit                24560557         1000000\nnuma_miss                      0             500\nnuma_foreign                 500               0\ninterleave_hit              1122            1100\nlocal_node              24560557         1000400\nother_node                     0             100\n',
    ],
    read: beside('numastat'),
  },
  {
    name: 'numastatMeminfo',
    texts: [
      '\nPer-node system memory usage (in MBs):\n                          Node 0          Node 1           Total\n                 --------------- --------------- ---------------\nMemTotal                 8154.21         4096.00        12250.21\nMemFree                  5025.74         1024.50         6050.24\nInactive(file)            440.46            0.00          440.46\n',
    ],
    read: beside('numastatMeminfo'),
  },
  {
    name: 'nodeinfo',
    texts: [
      'CPU model:           x86_64\nCPU(s):              64\nMemory size:         267268096 KiB\n',
    ],
    read: beside('nodeinfo'),
  },
  {
    name: 'freepages',
    texts: ['Node 0:\n4KiB: 19\n2048KiB: 97\n\nNode 1:\n4KiB: 5\n2048KiB: 0\n\n'],
    read: beside('freepages'),
  },
  {
    name: 'freecell',
    texts: [
      '    0:       2048 KiB\n    1:       4096 KiB\n--------------------\nTotal:       6144 KiB\n',
    ],
    read: beside('freecell'),
  },
  {
    name: 'nodememstats',
    texts: ['total  :              8152952 KiB\nfree   :              6912400 KiB\n'],
    read: beside('nodememstats'),
  },
  { name: 'nodeMeminfo', texts: [recorded('node1.meminfo')], read: ofNode('nodeMeminfo') },
  { name: 'nodeNumastat', texts: [recorded('node1.numastat')], read: ofNode('nodeNumastat') },
  { name: 'nodeCpulist', texts: ['0-3,8,10-11\n'], read: ofNode('nodeCpulist') },
  { name: 'nodeVmstat', texts: [recorded('vmstat')], read: ofNode('nodeVmstat') },
  {
    name: 'nodeHugepages',
    texts: [
      'hugepages-2048kB/free_hugepages:10\nhugepages-2048kB/nr_hugepages:512\nhugepages-2048kB/surplus_hugepages:4\n',
    ],
    read: ofNode('nodeHugepages'),
  },
  { name: 'numaMaps', texts: [recorded('guest.db1.numa_maps')], read: (t) => parseNumaMaps(t) },
  {
    name: 'smapsRollup',
    texts: [recorded('guest.db1.smaps_rollup')],
    read: (text) => parseSmapsRollup(text),
  },
  {
    name: 'numastatProcess',
    texts: [
      'Per-node process memory usage (in MBs) for PID 4711 (qemu)\n                           Node 0          Node 1           Total\n                  --------------- --------------- ---------------\nHuge                         0.00            2.00            2.00\nHeap                         4.08            0.00            4.08\nStack                        0.03            0.00            0.03\nPrivate                    512.50          100.00          612.50\n----------------  --------------- --------------- ---------------\nTotal                      516.61          102.00          618.61\n',
    ],
    read: (text) => parseNumastatProcess(text),
  },
  {
    name: 'log',
    texts: readdirSync(join(FIXTURES, 'logs')).map((name) => fixture('logs', name)),
    read: (text) => {
      const parsed = parseKernelLog(text);
      if (parsed.ok) parsed.value.forEach((report) => diagnose(report));
      return parsed;
    },
  },
  {
    name: 'kernelLog',
    texts: readdirSync(join(FIXTURES, 'logs')).map((name) => fixture('logs', name)),
    read: (kernelLog) => importHost({ kernelLog }),
  },
];

/** A small generator of numbers that are the same everywhere (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const NOISE = [
  '',
  ' ',
  '-1',
  ':',
  '=',
  ',',
  '\0',
  '\n',
  '\t',
  'x',
  'kB',
  '(',
  '9'.repeat(30),
  'é',
  'Node 0',
];

/** Cuts, doubles, overwrites or swaps pieces, or makes numbers long. */
function damage(text: string, pick: (below: number) => number): string {
  let damaged = text;
  for (let edits = pick(5) + 1; edits > 0; edits -= 1) {
    const from = pick(damaged.length + 1);
    const to = Math.min(from + pick(pick(4) === 0 ? 400 : 12), damaged.length);
    const piece = damaged.slice(from, to);
    const instead = [
      '',
      piece + piece,
      piece.replace(/\d/g, '9'),
      NOISE[pick(NOISE.length)] ?? '',
      [...piece].reverse().join(''),
    ][pick(5)];
    damaged = damaged.slice(0, from) + (instead ?? '') + damaged.slice(to);
  }
  return pick(20) === 0 ? damaged.slice(0, pick(damaged.length + 1)) : damaged;
}

export interface FuzzCounts {
  inputs: number;
  accepted: number;
  refused: number;
  /** Inputs by format. */
  formats: Record<string, number>;
}

/** What went wrong with an input; it is made again by the same seed and number. */
export class FuzzFinding extends Error {}

/**
 * Reads `inputs` damaged texts.
 * @throws FuzzFinding when a reader throws, refuses without a problem, or with one that is not documented
 */
export function fuzzFacts(seed: number, inputs: number): FuzzCounts {
  const counts: FuzzCounts = { inputs, accepted: 0, refused: 0, formats: {} };
  for (let at = 0; at < inputs; at += 1) {
    const pick = random(seed * 1_000_003 + at);
    const format = FORMATS[pick(FORMATS.length)];
    if (format === undefined) continue;
    const text = damage(format.texts[pick(format.texts.length)] ?? '', pick);
    const { ok, wrong } = judge(format, text);
    if (wrong !== null) {
      const shown = JSON.stringify(text.slice(0, 2000));
      throw new FuzzFinding(`${format.name}, seed ${seed}, input ${at}: ${wrong}\n${shown}`);
    }
    counts.formats[format.name] = (counts.formats[format.name] ?? 0) + 1;
    if (ok) counts.accepted += 1;
    else counts.refused += 1;
  }
  return counts;
}

function judge(format: Format, text: string): { ok: boolean; wrong: string | null } {
  let outcome: Outcome;
  try {
    outcome = format.read(text);
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ok: false, wrong: `throws ${what}` };
  }
  if (outcome.ok) return { ok: true, wrong: null };
  const { problems } = outcome;
  if (problems.length === 0) return { ok: false, wrong: 'is refused without a problem' };
  const codes: readonly string[] = FACT_CODES;
  const unknown = problems.find(
    ({ code, message, path }) => !codes.includes(code) || message === '' || path === '',
  );
  const wrong = unknown === undefined ? null : `has the problem ${JSON.stringify(unknown)}`;
  return { ok: false, wrong };
}
