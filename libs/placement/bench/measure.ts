/** One instance packed, checked and held against its rivals and its bound. */
import { createHash } from 'node:crypto';
import { lowerBound, pack, type Packing } from '../src';
import type { Family, Instance } from './instances';
import { bestFitDecreasing, firstFitDecreasing, type RivalResult } from './rivals';
import { brokenRules } from './verify';

export interface Measured {
  family: Family;
  seed: number;
  hosts: number;
  guests: number;
  hostsUsed: number;
  refused: number;
  method: string;
  lowerBound: { hosts: number; dimension: string };
  aboveLowerBoundPct: number;
  firstFit: RivalResult;
  bestFit: RivalResult;
  /** Refuses more guests than a rival, or as many and uses more hosts. */
  worse: boolean;
  /** CPU time of packing. */
  arithmeticSeconds: number;
  /** Of the whole packing. */
  hash: string;
}

/** CPU time that `work` takes in this process, seconds. */
export function cpuSeconds<T>(work: () => T): { value: T; seconds: number } {
  const before = process.cpuUsage();
  const value = work();
  const { user, system } = process.cpuUsage(before);
  return { value, seconds: (user + system) / 1e6 };
}

/** The same of work that waits for threads of this process, with the time that passed. */
export async function threadSeconds<T>(
  work: () => Promise<T>,
): Promise<{ value: T; seconds: number; elapsedSeconds: number }> {
  const before = process.cpuUsage();
  const begin = performance.now();
  const value = await work();
  const elapsedSeconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { value, seconds: (user + system) / 1e6, elapsedSeconds };
}

export function packingHash({ placed, refused }: Packing): string {
  const text = JSON.stringify([placed, refused]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** @throws Error when the packing breaks a rule: a defect of the packer */
export function measure({ family, seed, hosts, guests }: Instance): Measured {
  const { value: packing, seconds } = cpuSeconds(() =>
    pack({ hosts, guests, objective: 'density' }),
  );
  const broken = brokenRules(hosts, guests, packing);
  if (broken.length > 0)
    throw new Error(`${family}, seed ${seed}: ${broken.slice(0, 5).join('; ')}`);
  const bound = lowerBound(hosts, guests);
  const refused = packing.refused.length;
  const { hostsUsed, method } = packing;
  const firstFit = firstFitDecreasing(hosts, guests);
  const bestFit = bestFitDecreasing(hosts, guests);
  const worse = [firstFit, bestFit].some(
    (rival) =>
      refused > rival.refused || (refused === rival.refused && hostsUsed > rival.hostsUsed),
  );
  return {
    ...{ family, seed, hosts: hosts.length, guests: guests.length, hostsUsed, refused, method },
    lowerBound: bound,
    aboveLowerBoundPct: bound.hosts === 0 ? 0 : (hostsUsed / bound.hosts - 1) * 100,
    ...{ firstFit, bestFit, worse },
    arithmeticSeconds: seconds,
    hash: packingHash(packing),
  };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
