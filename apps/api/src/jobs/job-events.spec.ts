import { JobEvent, JobEvents } from './job-events';

describe('JobEvents', () => {
  const state = { type: 'state', state: 'running' } as const;

  it('tells the listeners of a job and nobody else', () => {
    const events = new JobEvents();
    const seen: JobEvent[] = [];
    const other: JobEvent[] = [];
    events.subscribe('a', (event) => seen.push(event));
    events.subscribe('b', (event) => other.push(event));
    events.publish('a', state);
    expect([seen, other]).toEqual([[state], []]);
  });

  it('forgets who leaves, even while it tells them', () => {
    const events = new JobEvents();
    const seen: string[] = [];
    const leave = events.subscribe('a', () => {
      seen.push('first');
      leave();
    });
    events.subscribe('a', () => seen.push('second'));
    events.publish('a', state);
    events.publish('a', state);
    expect(seen).toEqual(['first', 'second', 'second']);
    expect(events.size).toBe(1);
    leave();
    expect(events.size).toBe(1);
  });

  it('sends everybody away when it stops, and whoever comes later', () => {
    const events = new JobEvents();
    const seen: JobEvent[] = [];
    events.subscribe('a', (event) => seen.push(event));
    events.stop();
    events.subscribe('a', (event) => seen.push(event));
    expect(seen).toEqual([{ type: 'stopping' }, { type: 'stopping' }]);
    expect(events.size).toBe(0);
  });
});
