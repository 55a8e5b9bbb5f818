import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { diagnose, type Diagnosis } from './diagnose';
import { parseKernelLog } from './log-report';

const log = (name: string): string =>
  readFileSync(join(__dirname, '..', '..', 'test', 'fixtures', 'logs', name), 'utf8');

function diagnosed(text: string): Diagnosis {
  const parsed = parseKernelLog(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return diagnose(parsed.value[0]!);
}

describe('an atomic request of order 1 on a host of 96 GB with 2.6.32', () => {
  const diagnosis = diagnosed(log('order1-2.6.32.txt'));
  const zone = (name: string) => diagnosis.zones.find((one) => one.zone === name)!;

  it('is one that may not wait, for zone Normal and below', () => {
    expect(diagnosis.request).toMatchObject({
      order: 1,
      pages: 2,
      mask: '0x20',
      flags: ['HIGH'],
      kind: 'atomic',
      zoneClass: 'Normal',
      classIndex: 2,
    });
    expect(diagnosis.kernel).toEqual({
      release: '2.6.32-220.23.1.el6.x86_64',
      checkedAs: '2.6.32',
      note: null,
    });
  });

  it('is refused by DMA32 by its reserve: 9 pages are missing at the min mark', () => {
    const { low, min, reservePages } = zone('DMA32');
    expect(reservePages).toBe(94940);
    expect(low).toMatchObject({ allowed: false, refusedBy: 'free-pages' });
    expect(low?.steps).toMatchObject([{ freePages: 95007, markPages: 250, neededPages: 95190 }]);
    expect(min).toMatchObject({ allowed: false, refusedBy: 'free-pages', missingPages: 9 });
    expect(min?.steps).toMatchObject([{ freePages: 95007, markPages: 75, neededPages: 95015 }]);
  });

  it('is refused by Normal because its free pages lie single', () => {
    const { low, min } = zone('Normal');
    expect(low?.steps).toMatchObject([
      { freePages: 14137, markPages: 12197, passes: true },
      { freePages: 1593, markPages: 6098, passes: false },
    ]);
    expect(min?.steps).toMatchObject([
      { freePages: 14137, markPages: 3660, passes: true },
      { freePages: 1593, markPages: 1830, passes: false },
    ]);
    expect(min?.refusedBy).toBe('larger-blocks');
  });

  it('is refused by DMA, which keeps itself for requests that need it', () => {
    expect(zone('DMA').min?.steps).toMatchObject([{ freePages: 3948, neededPages: 96892 }]);
  });

  it('names why nothing helped and what to change', () => {
    expect(diagnosis.reasons.map(({ code }) => code)).toEqual(['may-not-wait', 'fragmented']);
    expect(diagnosis.advice.map(({ code }) => code)).toEqual(['raise-min-free', 'larger-blocks']);
    expect(diagnosis.advice[0]!.evidence).toEqual({ missingPages: 9 });
    expect(diagnosis.victim).toBeNull();
  });

  it('reads the same from a log that Markdown escaped', () => {
    expect(diagnosed(log('order1-2.6.32.txt').replace(/_/g, '\\_').replace(/\*/g, '\\*'))).toEqual(
      diagnosis,
    );
  });
});

describe('an OOM kill of a guest bound to one node', () => {
  const text = log('policy-oom-6.1.txt');
  const diagnosis = diagnosed(text);

  it('was not asked of other nodes', () => {
    expect(diagnosis.constraint).toBe('CONSTRAINT_MEMORY_POLICY');
    expect(diagnosis.allowedNodes).toEqual([0]);
    expect(diagnosis.request).toMatchObject({ zoneClass: 'Movable', canWait: true, classIndex: 3 });
    expect(diagnosis.exhaustedNodes).toEqual([0]);
    expect(diagnosis.zones.every(({ min }) => min?.allowed === false)).toBe(true);
  });

  it('names the victim and its points', () => {
    // 243945 in memory and 1994752 bytes of page tables.
    expect(diagnosis.victim).toMatchObject({ pid: 96, rank: 1 });
    expect(diagnosis.victim?.ranking).toEqual([
      { pid: 96, name: 'init', points: 243945 + 487 },
      { pid: 97, name: 'init', points: 161709 + 327 },
    ]);
  });

  it('takes the last of equals for the victim', () => {
    const equal = text.replace(
      /^(\[ *pid.*\n)(\[ *96\])(.*\n)(\[ *97\]).*\n/m,
      (_, head: string, first: string, row: string, second: string) =>
        `${head}${first}${row}${second}${row.replace('96', '97')}`,
    );
    expect(diagnosed(equal).victim?.ranking.map(({ pid }) => pid)).toEqual([97, 96]);
  });

  it('says that there is no swap and no cache', () => {
    expect(diagnosis.reasons.map(({ code }) => code)).toEqual(['no-swap', 'cache-gone']);
  });

  it('advises more nodes, as most of the free pages are on those that the report leaves out', () => {
    // Mem-Info counts 40906 free pages; 652 + 592 + 306 of them are on node 0.
    expect(diagnosis.unlistedFreePages).toBe(40906 - 1550);
    expect(diagnosis.advice.map(({ code }) => code)).toEqual(['widen-nodes', 'add-swap']);
    expect(diagnosis.advice[0]!.evidence).toEqual({ sparePages: 0, unlistedFreePages: 39356 });
  });

  it('advises more nodes where another one has pages to spare', () => {
    const other =
      'Node 1 Normal free:80000kB boost:0kB min:1452kB low:1960kB high:2468kB reserved_highatomic:0KB present:524288kB managed:511564kB\nlowmem_reserve[]: 0 0 0 0 0\n';
    const at = text.indexOf('Node 0 DMA: ');
    const { advice, nodes } = diagnosed(text.slice(0, at) + other + text.slice(at));
    expect(nodes[1]).toMatchObject({ nodeId: 1, allowed: false, sparePages: 20000 - 617 });
    expect(advice[0]).toMatchObject({ code: 'widen-nodes', evidence: { sparePages: 19383 } });
    expect(advice[0]!.message).toContain('19383 above the high marks of node 1');
    expect(advice[0]!.message).toContain('bound to node 0');
  });
});

describe('a log', () => {
  it('without a report is refused, with what would be right', () => {
    expect(parseKernelLog('Linux version 6.1.0\nall is well\n')).toMatchObject({
      ok: false,
      problems: [{ code: 'no-report', expected: expect.stringContaining('oom-killer') as string }],
    });
  });

  it('with a number that is none is refused at its line', () => {
    const broken = log('order1-2.6.32.txt').replace('0 0 94940 94940', '0 0 9494x 94940');
    expect(parseKernelLog(broken)).toMatchObject({
      ok: false,
      problems: [{ code: 'not-a-number', line: 12, found: '9494x' }],
    });
  });

  it.each([
    ['dmesg -T', (line: string) => `[Sat Nov 21 10:00:00 2026] ${line}`],
    ['journald', (line: string) => `Nov 21 10:00:00 host kernel: ${line}`],
    ['syslog with the time since boot', (line: string) => `<4>[    1.5] [ T97] ${line}`],
  ])('as %s prints it reads the same', (_, prefixed) => {
    const text = log('policy-oom-6.1.txt');
    const lines = text.split('\n').map(prefixed).join('\n');
    expect(diagnosed(lines)).toEqual(diagnosed(text));
  });
});
