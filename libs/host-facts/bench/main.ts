/** Measures the parsers: `npm run bench -- --only facts`. CPU time of this process, the best of some tries. */
import { importHost } from '../src';
import { parseZoneinfo } from '../src/parse/zoneinfo';
import { wideZoneinfo } from './wide-host';

const NODES = 64;
const CPUS = 512;
const TRIES = 5;
const BYTES_PER_MB = 1_000_000;

/** @returns seconds */
function best(work: () => void): number {
  let least = Infinity;
  for (let at = 0; at < TRIES; at += 1) {
    const start = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(start);
    least = Math.min(least, (user + system) / 1e6);
  }
  return least;
}

const print = (line: string): boolean => process.stdout.write(`${line}\n`);

const text = wideZoneinfo(NODES, CPUS);
const works: [name: string, work: () => boolean][] = [
  ['parse', () => parseZoneinfo(text).ok],
  ['import', () => importHost({ zoneinfo: text }).ok],
];
const megabytes = (text.length / BYTES_PER_MB).toFixed(1);
print(`facts: zoneinfo of ${NODES} nodes and ${CPUS} CPUs, ${megabytes} MB`);
for (const [name, work] of works) {
  const seconds = best(() => {
    if (!work()) throw new Error(`${name} refuses the text`);
  });
  const pace = (text.length / BYTES_PER_MB / seconds).toFixed(1);
  print(
    `  ${name.padEnd(8)} ${(seconds * 1000).toFixed(0).padStart(6)} ms  ${pace.padStart(6)} MB/s`,
  );
}
