/** What the ways of moving a running guest's memory are said to gain, against replays that take as much there. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB, host, planned, running, type NodeShape } from '../../test/builders';
import { simulate } from '../simulate';
import type { GuestSpec, NumatuneValue, SimulationRequest } from '../types';
import { routesOf, type Route } from './routes';

const STRICT: NumatuneValue = { mode: 'strict', nodeset: [0] };
const AWAY_MIB = 512;
/** Memory comes in blocks and per-CPU batches, and page tables take some: a replay stops this near a mark. */
const MARK_STEP_PAGES = 4 * MIB;

/** db1 has its CPUs on node 0 and all of its memory on node 1. */
function requestOn(home: NodeShape, over: Partial<GuestSpec> = {}): SimulationRequest {
  const db1 = { ...running('db1', AWAY_MIB, 0, { 1: AWAY_MIB }), ...over } as GuestSpec;
  return {
    host: host([home, { mib: 2048, anonMib: AWAY_MIB }]),
    guests: [db1],
    demand: {},
    seed: 1,
  };
}

const todayOf = (request: SimulationRequest) => ({
  sysctl: {},
  outcome: simulate(request).outcome,
});

function routesOn(request: SimulationRequest): Record<Route['kind'], Route> {
  const [guest] = routesOf(request, todayOf(request));
  expect(guest).toMatchObject({ guest: 'db1', state: 'running', awayPages: AWAY_MIB * MIB });
  return Object.fromEntries((guest?.routes ?? []).map((route) => [route.kind, route])) as Record<
    Route['kind'],
    Route
  >;
}

/** Takes memory for db1's pages near its CPUs, beside db1 where it is. */
function taken(request: SimulationRequest, pages: number, numatune?: NumatuneValue) {
  const moved = planned('moved', 1, 0);
  for (const region of moved.guest.regions) region.sizePages = pages;
  const { outcome } = simulate({
    ...request,
    guests: [...request.guests, moved],
    ...(numatune && { numatune: { moved: numatune } }),
  });
  const its = outcome.guests.find(({ name }) => name === 'moved');
  const home = its?.pagesByNode.find(({ nodeId }) => nodeId === 0)?.pages ?? 0;
  return { homePages: home, kills: outcome.oomKills.length };
}

describe.each<[what: string, home: NodeShape]>([
  ['is empty', { mib: 2048 }],
  ['is full of droppable page cache', { mib: 2048, cacheMib: 1800 }],
  ['has room for a part', { mib: 1024, anonMib: 700, cacheMib: 200 }],
])('where the node of its CPUs %s', (_what, home) => {
  const request = requestOn(home);
  const routes = routesOn(request);
  const { gainPages } = routes['migrate-pages'];

  it('a migration of its pages gains what a replay can take there', () => {
    expect(routes['migrate-pages'].possible).toBe(true);
    expect(gainPages).toBeGreaterThan(0);
    expect(taken(request, gainPages, STRICT)).toEqual({ homePages: gainPages, kills: 0 });
  });

  it('a restart gains as much where its numatune is strict', () => {
    const [db1] = request.guests as [GuestSpec];
    const strict = { ...request, guests: [{ ...db1, numatune: STRICT }] };
    expect(routesOn(strict).restart.gainPages).toBe(gainPages);
  });

  it('a restart of a guest that may fall back gains what a replay of it finds free there', () => {
    const { homePages, kills } = taken(request, AWAY_MIB * MIB);
    expect(kills).toBe(0);
    expect(Math.abs(homePages - routes.restart.gainPages)).toBeLessThanOrEqual(MARK_STEP_PAGES);
    const { message } = routes.restart;
    if (homePages < gainPages - MARK_STEP_PAGES) expect(message).toContain('With numatune strict');
    else expect(message).not.toContain('With numatune strict');
  });

  it('with zone_reclaim_mode 1 page cache is not in the way of a restart', () => {
    const reclaiming = { ...request, sysctl: { zone_reclaim_mode: 1 } };
    expect(routesOn(reclaiming).restart.gainPages).toBe(gainPages);
    const { homePages } = taken(reclaiming, gainPages);
    // Node reclaim leaves min_unmapped_ratio (1 %) of a node's memory as page cache.
    const keptPages = (home.mib * MIB) / 100 + MARK_STEP_PAGES;
    expect(homePages).toBeGreaterThanOrEqual(gainPages - keptPages);
  });

  it('nothing is gained live by a guest that was not started restrictive', () => {
    expect(routes.live).toMatchObject({ possible: false, gainPages: 0, commands: [] });
    expect(routes.live.message).toContain('db1 was started with preferred');
  });
});

it('what has no room there is told, and no replay finds it', () => {
  const request = requestOn({ mib: 1024, anonMib: 700, cacheMib: 200 });
  const { gainPages, message } = routesOn(request)['migrate-pages'];
  expect(gainPages).toBeLessThan(AWAY_MIB * MIB);
  const restMib = Math.round(AWAY_MIB - gainPages / MIB);
  expect(message).toContain(`for ${restMib} MiB there is no room`);
  // The marks that the kernel keeps free lie in between.
  expect(taken(request, gainPages + 16 * MIB, STRICT).kills).toBeGreaterThan(0);
});

it('no way gains anything where nothing is free', () => {
  const routes = routesOn(requestOn({ mib: 1024, anonMib: 1020 }));
  for (const kind of ['live', 'migrate-pages', 'restart'] as const) {
    expect([kind, routes[kind].possible, routes[kind].gainPages]).toEqual([kind, false, 0]);
  }
  expect(routes['migrate-pages'].message).toContain('node 0 has no room for them');
});

it('a guest that was started restrictive takes another nodeset live, and gains by it what migratepages gains', () => {
  const numatune = { mode: 'restrictive' as const, nodeset: [1] };
  const request = requestOn({ mib: 2048, cacheMib: 1800 }, { numatune });
  const routes = routesOn(request);
  expect(routes.live).toMatchObject({
    possible: true,
    gainPages: routes['migrate-pages'].gainPages,
    commands: ['virsh numatune db1 --nodeset 0 --live'],
  });
  expect(taken(request, routes.live.gainPages, STRICT).kills).toBe(0);
  expect(routes.restart.message).toContain('Its numatune names node 1: change that first.');
});

it('a guest that was started without numatune takes a nodeset live too, once', () => {
  const numatune = { mode: 'none' as const, nodeset: [] };
  const routes = routesOn(requestOn({ mib: 2048, cacheMib: 1800 }, { numatune }));
  expect(routes.live).toMatchObject({
    possible: true,
    gainPages: routes['migrate-pages'].gainPages,
    commands: ['virsh numatune db1 --nodeset 0 --live'],
  });
  expect(routes.live.message).toContain('another nodeset only after a restart');
});

describe('the commands of a restart', () => {
  /** What a shell makes of them where virsh writes its words down and the guest is off from the given question on. */
  function typed(name: string, offAfter: number) {
    const folder = mkdtempSync(join(tmpdir(), 'zonewise-routes-'));
    const virsh = `#!/bin/sh
echo "$@" >> '${folder}/calls'
if [ "$1" != domstate ]; then exit 0; fi
[ "$(grep -c domstate '${folder}/calls')" -gt ${offAfter} ] && echo 'shut off' || echo running
`;
    const answer = '#!/bin/sh\nexit 0\n';
    // Nobody waits here: a turn of the loop is a second of the guest's.
    const timeout = '#!/bin/sh\nshift\nexec "$@"\n';
    const late = '#!/bin/sh\nexit 124\n';
    const tools = { virsh, sleep: answer, timeout: offAfter > 3 ? late : timeout };
    for (const [tool, text] of Object.entries(tools)) {
      writeFileSync(join(folder, tool), text, { mode: 0o755 });
    }
    const request = requestOn({ mib: 2048 });
    for (const { guest } of request.guests) guest.name = name;
    const [guest] = routesOf(request, todayOf(request));
    const restart = guest!.routes.find(({ kind }) => kind === 'restart')!;
    const { status, stderr } = spawnSync('sh', ['-e'], {
      input: restart.commands.join('\n'),
      env: { PATH: `${folder}:${process.env.PATH ?? ''}` },
      encoding: 'utf8',
    });
    const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
    rmSync(folder, { recursive: true });
    return { status, stderr, calls };
  }

  it('start the guest when it is off', () => {
    const { status, calls } = typed("it's", 2);
    const asked = Array.from({ length: 3 }, () => "domstate it's");
    expect([status, calls]).toEqual([0, ["shutdown it's", ...asked, "start it's"]]);
  });

  it('name a domain as such where virsh would take it for an option', () => {
    const { status, calls } = typed('-x', 0);
    const named = ['shutdown', 'domstate', 'start'].map((command) => `${command} --domain -x`);
    expect([status, calls]).toEqual([0, named]);
  });

  it('do not start a guest that stays, and say so', () => {
    const { status, stderr, calls } = typed("it's", 4);
    expect([status, calls]).toEqual([1, ["shutdown it's"]]);
    expect(stderr).toBe("it's did not shut down within 300 s: start it when it is off.\n");
  });
});

it('pinned pages stay until a restart', () => {
  const request = requestOn({ mib: 2048 });
  for (const region of request.guests[0]?.guest.regions ?? []) region.pinned = true;
  const routes = routesOn(request);
  expect(routes['migrate-pages']).toMatchObject({ possible: false, gainPages: 0, commands: [] });
  expect(routes['migrate-pages'].message).toContain('its pages are pinned');
  expect(routes.restart).toMatchObject({ possible: true, gainPages: AWAY_MIB * MIB });
});

it('a guest whose memory is near its CPUs has nothing to move', () => {
  const near = running('db1', AWAY_MIB, 1, { 1: AWAY_MIB });
  const request: SimulationRequest = { ...requestOn({ mib: 2048 }), guests: [near] };
  expect(routesOf(request, todayOf(request))).toEqual([]);
});
