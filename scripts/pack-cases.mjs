#!/usr/bin/env node
/**
 * Packs recorded kernel cases for test/fixtures/kernel: one brotli file for each case, with what a replay starts from
 * and what its score needs, and nothing else (no boot messages, samples, texts of processes, counters after boot).
 *
 *   node scripts/pack-cases.mjs FOLDER_OF_CASES OUT_FOLDER
 *
 * The same cases give the same bytes with the same zlib.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

/** Zone fields that the expected marks and lists of a later step come from. */
function laterZone({ managed, min, low, high, boost, protection, pagesets }) {
  const first = pagesets?.[0];
  return {
    ...{ managed, min, low, high, boost, protection },
    ...(first === undefined ? {} : { pagesets: [{ high: first.high, batch: first.batch }] }),
  };
}

function laterSnapshot({ zoneinfo }) {
  const nodes = Object.entries(zoneinfo).map(([nodeId, { zones }]) => {
    const kept = Object.entries(zones).map(([name, zone]) => [name, laterZone(zone)]);
    return [nodeId, { zones: Object.fromEntries(kept) }];
  });
  return { zoneinfo: Object.fromEntries(nodes) };
}

function bootSnapshot({ zoneinfo, buddyinfo, pagetypeinfo, meminfo, sysctl, nodes }) {
  return { zoneinfo, buddyinfo, pagetypeinfo, meminfo, sysctl, nodes };
}

/** Times of the recorded machine say nothing about the model, so they are left out. */
function keptResult(result = {}) {
  const kept = Object.entries(result).filter(
    ([key]) => key === 'pid' || key === 'status' || key.startsWith('died_'),
  );
  return Object.fromEntries(kept);
}

function keptObserved(observed = {}) {
  const dropped = new Set(['wall_ms', 'waited_ms', 'status', 'pages_done']);
  return Object.fromEntries(Object.entries(observed).filter(([key]) => !dropped.has(key)));
}

function pack(recorded) {
  const { format, format_version, id, group, title, kernel, topology, boot, runs } = recorded;
  const { sysctls, mm, kernel_node_of, log } = boot;
  return {
    ...{ format, format_version, id, group, title, runs },
    kernel: { release: kernel.release, package: kernel.package },
    topology,
    boot: {
      ...{ sysctls, mm, kernel_node_of },
      log: log.filter((line) => line.startsWith('Fallback order for Node')),
    },
    steps: recorded.steps.map((entry) => ({
      n: entry.n,
      step: entry.step,
      result: keptResult(entry.result),
      observed: keptObserved(entry.observed),
      ...(entry.oom === undefined
        ? {}
        : {
            oom: entry.oom.map(({ victim_pid, constraint }) => ({ victim_pid, constraint })),
          }),
      snapshot: entry.n === 0 ? bootSnapshot(entry.snapshot) : laterSnapshot(entry.snapshot),
    })),
  };
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error('usage: node scripts/pack-cases.mjs FOLDER_OF_CASES OUT_FOLDER');
  process.exit(1);
}
mkdirSync(to, { recursive: true });
let packedCases = 0;
for (const name of readdirSync(from).sort()) {
  if (!name.endsWith('.json')) continue;
  const recorded = JSON.parse(readFileSync(join(from, name), 'utf8'));
  if (recorded.format !== 'kernel-truth') continue;
  const text = Buffer.from(JSON.stringify(pack(recorded)));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: text.length,
  };
  writeFileSync(join(to, `${name}.br`), brotliCompressSync(text, { params }));
  packedCases += 1;
}
console.log(`${packedCases} cases packed into ${to}`);
