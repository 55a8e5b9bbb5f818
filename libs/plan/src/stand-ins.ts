/**
 * Guests under numbers instead of names: hosts that differ in nothing else share a replay, and what comes out of it
 * gets the names of each host's own guests.
 */
import type { SimulationRequest } from '@zonewise/advisor';

/** No domain may be called so: libvirt refuses a slash in names. */
const STAND_IN = /zw\/(\d+)\//g;

export function standIn(index: number): string {
  return `zw/${index}/`;
}

/** The request with its guests numbered, in their order, instead of named. */
export function withoutNames(request: SimulationRequest): SimulationRequest {
  const numbers = new Map(request.guests.map(({ guest }, i) => [guest.name, standIn(i)]));
  const nameOf = (name: string): string => numbers.get(name) ?? name;
  const renamed = <T>(record: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [nameOf(name), value]));
  const { demand, numatune } = request;
  const { startOrder, guests, events } = demand;
  return {
    ...request,
    guests: request.guests.map((spec) => {
      const name = nameOf(spec.guest.name);
      return spec.state === 'running'
        ? { ...spec, guest: { ...spec.guest, name } }
        : { ...spec, guest: { ...spec.guest, name } };
    }),
    demand: {
      ...demand,
      ...(startOrder === undefined ? {} : { startOrder: startOrder.map(nameOf) }),
      ...(guests === undefined ? {} : { guests: renamed(guests) }),
      ...(events === undefined
        ? {}
        : {
            events: events.map(({ label: _label, ...event }) => ({
              ...event,
              guest: nameOf(event.guest),
            })),
          }),
    },
    ...(numatune === undefined ? {} : { numatune: renamed(numatune) }),
  };
}

/**
 * What came out of a replay of numbered guests, for a host whose guests have these names.
 * @param names in the order of the request's guests
 */
export function withNames<T>(value: T, names: readonly string[]): T {
  const text = JSON.stringify(value).replace(STAND_IN, (_all, number: string) =>
    JSON.stringify(names[Number(number)] ?? '').slice(1, -1),
  );
  return JSON.parse(text) as T;
}
