/** `<cpu><numa>`: the guest's own cells. */
import { LIMITS } from './limits';
import type { XmlElement } from './tree';
import { readCaches, readInterconnects } from './hmat';
import { all, attributeOf, first } from './reader';
import type { Reader } from './reader';
import type { DomainView } from './types';
import { MAX_KIB } from './units';
import { SINCE } from './version';

type Cell = DomainView['cells'][number];
/** libvirt aligns a cell's memory to 1 MiB when the guest starts. */
const ALIGN_KIB = 1024;
const DISTANCE_MIN = 10;
const DISTANCE_MAX = 255;

/** Reads and checks the cells (virDomainNumaDefParseXML); ascending by id. */
export function readCells(reader: Reader, domain: XmlElement, vcpuCount: number): Cell[] {
  const numa = first(domain, 'cpu', 'numa');
  const elements = numa === null ? [] : all(numa, 'cell');
  if (numa !== null && elements.length === 0) {
    const message = '<numa> without cells';
    reader.problem('numa-without-cells', numa, null, message, { expected: '<cell .../>' });
  }
  const extra = elements[LIMITS.cells];
  if (extra !== undefined) {
    const message = `more than ${LIMITS.cells} guest cells`;
    reader.problem('too-many-elements', extra, null, message);
    return [];
  }
  const cells = new Map<number, Cell>();
  const cellOfCpu = new Map<number, number>();
  elements.forEach((element, index) => {
    const cell = readCell(reader, element, index, elements.length);
    if (cells.has(cell.id)) {
      const message = `a second <cell> with id ${cell.id}`;
      reader.problem('duplicate-cell', element, 'id', message);
    }
    checkCpus(reader, element, cell, cellOfCpu, vcpuCount);
    cell.distances = readDistances(reader, element, cell.id, elements.length);
    cells.set(cell.id, cell);
  });
  mirrorDistances(cells);
  return [...cells.values()].sort((a, b) => a.id - b.id);
}

/** Latencies and bandwidths start at a cell with CPUs and end at one that exists (virDomainNumaDefValidate). */
export function readCellLinks(
  reader: Reader,
  domain: XmlElement,
  cells: readonly Cell[],
): DomainView['interconnects'] {
  const byId = new Map(cells.map((cell) => [cell.id, cell]));
  const check = (element: XmlElement, end: string, id: number): void => {
    const cell = byId.get(id);
    if (cell === undefined) {
      const message = `${end} names cell ${id}, which does not exist`;
      reader.problem('unknown-cell', element, end, message, { found: `${id}` });
    } else if (end === 'initiator' && cell.cpus.length === 0) {
      const message = `initiator cell ${id} has no CPUs`;
      reader.problem('initiator-without-cpus', element, end, message, { found: `${id}` });
    }
  };
  return readInterconnects(
    reader,
    first(domain, 'cpu', 'numa'),
    check,
    (id) => byId.get(id)?.caches ?? [],
  );
}

function readCell(reader: Reader, element: XmlElement, index: number, count: number): Cell {
  const id = attributeOf(element, 'id') === null ? index : (reader.uint(element, 'id') ?? index);
  if (id >= count) {
    const message = `cell ids run from 0 without a gap, so ${id} is too high for ${count} cells`;
    const detail = { expected: `0 to ${count - 1}`, found: `${id}` };
    reader.problem('cell-id-gap', element, 'id', message, detail);
  }
  const given = reader.required(element, 'memory');
  const memoryKib = given === null ? 0 : (reader.size(element, 'memory') ?? 0);
  if (memoryKib > MAX_KIB - ALIGN_KIB) {
    const message = `memory of cell ${id} overflows when it is aligned to 1 MiB`;
    reader.problem('size-overflow', element, 'memory', message, {
      expected: 'below 8 EiB - 1 MiB',
      found: attributeOf(element, 'memory') ?? '',
    });
  }
  if (reader.version < SINCE.cellsWithoutCpus) reader.required(element, 'cpus');
  const cpus = reader.setOrNone(element, 'cpus') ?? [];
  const memAccess = reader.word(element, 'memAccess', ['shared', 'private'] as const);
  const discard = reader.yesNo(element, 'discard');
  const caches = readCaches(reader, element);
  return { id, cpus, memoryKib, memAccess, discard, distances: [], caches };
}

function checkCpus(
  reader: Reader,
  element: XmlElement,
  cell: Cell,
  cellOfCpu: Map<number, number>,
  vcpuCount: number,
): void {
  const twice = cell.cpus.find((cpu) => cellOfCpu.has(cpu));
  if (twice !== undefined) {
    const message = `cells ${cellOfCpu.get(twice)} and ${cell.id} both have vCPU ${twice}`;
    reader.problem('cell-cpu-overlap', element, 'cpus', message);
  }
  cell.cpus.forEach((cpu) => cellOfCpu.set(cpu, cell.id));
  const highest = cell.cpus[cell.cpus.length - 1] ?? 0;
  if (cell.cpus.length === 0 || highest < vcpuCount) return;
  const message = `cell ${cell.id} has vCPU ${highest}, beyond the guest's ${vcpuCount}`;
  const detail = { expected: `at most ${vcpuCount - 1}`, found: `${highest}` };
  reader.problem('cell-cpu-beyond-vcpus', element, 'cpus', message, detail);
}

function readDistances(
  reader: Reader,
  cell: XmlElement,
  id: number,
  count: number,
): Cell['distances'] {
  const distances = new Map<number, number>();
  const list = first(cell, 'distances');
  const siblings = list === null ? [] : all(list, 'sibling');
  if (list !== null && siblings.length === 0) {
    const message = 'distances without a sibling';
    reader.problem('missing-element', list, null, message, { expected: '<sibling .../>' });
  }
  for (const element of siblings) {
    const given = reader.required(element, 'id');
    const sibling = given === null ? null : reader.uint(element, 'id');
    const text = reader.required(element, 'value');
    const value = text === null ? null : reader.uint(element, 'value');
    if (sibling === null || value === null) continue;
    if (sibling >= count) {
      const message = `a distance to cell ${sibling}, which does not exist`;
      reader.problem('unknown-cell', element, 'id', message, { expected: `0 to ${count - 1}` });
    }
    const own = sibling === id;
    const right = own ? value === DISTANCE_MIN : value > DISTANCE_MIN && value <= DISTANCE_MAX;
    if (right) {
      distances.set(sibling, value);
      continue;
    }
    const message = `distance ${value} from cell ${id} to cell ${sibling} is impossible`;
    const expected = own ? '10 (to itself)' : '11 to 255 (to another cell)';
    reader.problem('invalid-distance', element, 'value', message, { expected, found: `${value}` });
  }
  return [...distances].map(([to, value]) => ({ id: to, value }));
}

/** A distance that one cell of two gives holds in both directions; each cell is at 10 from itself. */
function mirrorDistances(cells: ReadonlyMap<number, Cell>): void {
  const known = new Map([...cells].map(([id, { distances }]) => [id, toMap(distances)]));
  for (const [id, { distances }] of cells) {
    for (const { id: to, value } of distances) {
      known.get(id)?.set(id, DISTANCE_MIN);
      const back = known.get(to);
      if (back === undefined) continue;
      back.set(to, DISTANCE_MIN);
      if (!back.has(id)) back.set(id, value);
    }
  }
  for (const [id, cell] of cells) {
    const values = [...(known.get(id) ?? [])].map(([to, value]) => ({ id: to, value }));
    cell.distances = values.sort((a, b) => a.id - b.id);
  }
}

const toMap = (distances: Cell['distances']): Map<number, number> =>
  new Map(distances.map(({ id, value }) => [id, value]));
