import { guestStep, twoNodes } from '../test/host';
import { replay } from './replay';
import type { HostModel, ReplayResult } from './types';

/** Two nodes of 128 MiB; the first has four file pages, of which `held` cannot be freed, and pages on the list of a CPU elsewhere. */
const hostWith = (held: number): HostModel => {
  const host = twoNodes();
  const node = host.nodes[0]!;
  node.lru.inactiveFilePages = 4;
  node.filePages = 4;
  node.heldFilePages = held;
  const zone = node.zones[0]!;
  zone.lru = { ...node.lru };
  zone.pagesets[1]!.countPages = 2000;
  zone.freePages -= 2004;
  return host;
};

const killOn = (held: number): ReplayResult['steps'][number] => {
  const steps = [guestStep('g', 40_000, { mode: 'bind', nodes: [0] })];
  return replay({ host: hostWith(held), runningGuests: [], steps, seed: 1, verify: true })
    .steps[0]!;
};

describe('file pages that somebody holds', () => {
  it('are looked at and activated, and come back, until the guest is killed', () => {
    const { status, snapshot } = killOn(4);
    expect(status).toBe('killed');
    expect(snapshot.vmstat.pgsteal_file).toBeUndefined();
    expect(snapshot.vmstat.pgactivate).toBeGreaterThan(10);
    const { lru } = snapshot.nodes[0]!;
    expect(lru.inactiveFilePages + lru.activeFilePages).toBe(4);
  });

  it("make no progress, so that other CPUs' lists are not drained for the guest", () => {
    const pages = (held: number): number => killOn(held).pagesDone;
    expect(killOn(0).snapshot.vmstat.pgsteal_file).toBe(4);
    expect(pages(0) - pages(4)).toBeGreaterThan(1900);
  });
});
