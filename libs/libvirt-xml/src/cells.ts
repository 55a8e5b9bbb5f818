/** `<cpu><numa>`: the guest's own cells. */
import { LIMITS } from './document';
import type { XmlElement } from './document';
import { all, attributeOf } from './reader';
import type { Reader } from './reader';
import type { DomainView } from './types';
import { MAX_KIB } from './units';

type Cell = DomainView['cells'][number];
/** libvirt aligns a cell's memory to 1 MiB when the guest starts. */
const ALIGN_KIB = 1024;
const DISTANCE_MIN = 10;
const DISTANCE_MAX = 255;

/** Reads and checks the cells (virDomainNumaDefParseXML); ascending by id. */
export function readCells(reader: Reader, domain: XmlElement, vcpuCount: number): Cell[] {
  const elements = all(domain, 'cpu', 'numa', 'cell');
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
    checkDistances(reader, element, cell.id, elements.length);
    checkCaches(reader, element);
    cells.set(cell.id, cell);
  });
  checkInterconnects(reader, domain, cells);
  return [...cells.values()].sort((a, b) => a.id - b.id);
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
  reader.yesNo(element, 'discard');
  const cpus = reader.set(element, 'cpus') ?? [];
  const memAccess = reader.word(element, 'memAccess', ['shared', 'private'] as const);
  return { id, cpus, memoryKib, memAccess };
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

function checkDistances(reader: Reader, cell: XmlElement, id: number, count: number): void {
  for (const element of all(cell, 'distances', 'sibling')) {
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
    if (right) continue;
    const message = `distance ${value} from cell ${id} to cell ${sibling} is impossible`;
    const expected = own ? '10 (to itself)' : '11 to 255 (to another cell)';
    reader.problem('invalid-distance', element, 'value', message, { expected, found: `${value}` });
  }
}

function checkCaches(reader: Reader, cell: XmlElement): void {
  const seen = new Set<number>();
  for (const element of all(cell, 'cache')) {
    const given = reader.required(element, 'level');
    const level = given === null ? null : reader.uint(element, 'level', 1, 3);
    if (level === null) continue;
    if (seen.has(level)) {
      const message = `a second cache of level ${level} in one cell`;
      reader.problem('duplicate-cell-cache', element, 'level', message);
    }
    seen.add(level);
  }
}

/** Latencies and bandwidths start at a cell with CPUs and end at one that exists (virDomainNumaDefValidate). */
function checkInterconnects(reader: Reader, domain: XmlElement, cells: Map<number, Cell>): void {
  const links = ['latency', 'bandwidth'].flatMap((name) =>
    all(domain, 'cpu', 'numa', 'interconnects', name),
  );
  for (const element of links) {
    for (const end of ['initiator', 'target']) {
      const given = reader.required(element, end);
      const id = given === null ? null : reader.uint(element, end);
      if (id === null) continue;
      const cell = cells.get(id);
      if (cell === undefined) {
        const message = `${end} names cell ${id}, which does not exist`;
        reader.problem('unknown-cell', element, end, message);
      } else if (end === 'initiator' && cell.cpus.length === 0) {
        const message = `initiator cell ${id} has no CPUs`;
        reader.problem('initiator-without-cpus', element, end, message);
      }
    }
  }
}
