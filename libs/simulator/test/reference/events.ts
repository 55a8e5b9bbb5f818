/** What the reference counts beside the kernel's own counters: how often each mechanism was at work. */
export const EVENTS = [
  'mark failed',
  'served by another node',
  'merge likely',
  'refill of a per-CPU list',
  'refill cut short',
  'per-CPU list gave back',
  'per-CPU list drained',
  'whole pageblock stolen',
  'pageblock retyped',
  'pageblock shared',
  'single block stolen',
  'NOFRAGMENT lifted',
  'boost raised',
  'HighAtomic reserved',
  'HighAtomic served',
  'HighAtomic unreserved',
  'ALLOC_HARDER served',
  'slow path',
  'direct reclaim',
  'reclaim tried again',
  'last try',
  'node reclaim',
  'node reclaim made room',
  'kswapd woken',
  'kswapd run',
  'kswapd run for a boost',
  'kswapd run went on',
  'kswapd napped',
  'kswapd woken from its nap',
  'kswapd fell asleep',
  'kswapd gave up',
  'page kept',
  'page activated',
  'page deactivated',
  'file page reclaimed',
  'page swapped out',
  'swap cache freed',
  'swap full',
  'zone skipped by reclaim',
  'cost halved',
  'huge page pool grown',
  'huge page pool shrunk',
  'huge page not to be had',
  'huge page made surplus',
  'surplus huge page kept',
  'surplus huge page taken',
  'surplus huge page freed',
  'huge page mapping refused',
  'huge page fault served by the pool',
  'huge page fault refused',
] as const;

export type ReferenceEvent = (typeof EVENTS)[number];

export type EventCounts = Record<ReferenceEvent, number>;

export function noEvents(): EventCounts {
  return Object.fromEntries(EVENTS.map((event) => [event, 0])) as EventCounts;
}

/** Counts an event. */
export function note(system: { events: EventCounts }, event: ReferenceEvent, times = 1): void {
  system.events[event] += times;
}
