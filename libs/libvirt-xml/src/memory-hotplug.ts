/** Memory devices against `<maxMemory>`, its slots, their cells and each other. */
import { isQemuType } from './memory';
import { all, attributeOf, first } from './reader';
import type { Reader } from './reader';
import type { XmlElement } from './tree';
import type { DomainView } from './types';
import { SINCE } from './version';

type MemoryDevice = DomainView['memoryDevices'][number];

interface Device {
  element: XmlElement;
  view: MemoryDevice;
  address: XmlElement | null;
}

const IN_SLOTS = ['dimm', 'nvdimm'];
/** Models that live in a guest cell. */
const IN_CELLS = ['dimm', 'nvdimm', 'virtio-mem'];
/** Types of `<address>` that a model can have. */
const ADDRESS_TYPES: Record<string, readonly string[]> = {
  dimm: ['dimm'],
  nvdimm: ['dimm'],
  'virtio-pmem': ['pci'],
  'virtio-mem': ['pci', 'ccw'],
};
const BASE_PAGE_KIB = 4;

/**
 * Whether QEMU can have these memory devices (qemuDomainDefValidateMemoryHotplug), and whether their
 * addresses leave each other room (virDomainMemoryDefCheckConflict).
 * @param sizes the guest's memory with devices, its maximum and the slots, as read
 */
export function checkMemoryHotplug(
  reader: Reader,
  domain: XmlElement,
  sizes: Pick<DomainView, 'memoryKib' | 'maxMemoryKib' | 'memorySlots'>,
  { cells, memoryDevices }: Pick<DomainView, 'cells' | 'memoryDevices'>,
): void {
  const elements = all(domain, 'devices', 'memory');
  const devices = memoryDevices.flatMap((view, index): Device[] => {
    const element = elements[index];
    return element === undefined ? [] : [{ element, view, address: first(element, 'address') }];
  });
  if (isQemuType(attributeOf(domain, 'type') ?? '')) {
    checkRoom(reader, domain, devices, sizes, cells.length);
  }
  if (reader.version >= SINCE.memoryAddresses) checkOverlaps(reader, devices);
}

function checkRoom(
  reader: Reader,
  domain: XmlElement,
  devices: Device[],
  sizes: Pick<DomainView, 'memoryKib' | 'maxMemoryKib' | 'memorySlots'>,
  cellCount: number,
): void {
  const { memoryKib, maxMemoryKib } = sizes;
  const slots = sizes.memorySlots ?? 0;
  const [one] = devices;
  if (maxMemoryKib === null) {
    // Slots without a maximum are a problem of their own.
    if (one === undefined || slots > 0) return;
    const message = 'a memory device needs <maxMemory>';
    const detail = { expected: "<maxMemory slots='...'>" };
    reader.problem('memory-device-without-max-memory', one.element, null, message, detail);
    return;
  }
  const maximum = first(domain, 'maxMemory') ?? domain;
  checkCells(reader, domain, maximum, cellCount);
  for (const device of devices) checkDevice(reader, device, slots, cellCount);
  // Before libvirt 9.5.0 each device took a slot.
  const counted = devices.filter(
    ({ view }) => reader.version < SINCE.slotsOfDimmsOnly || IN_SLOTS.includes(view.model),
  );
  if (counted.length > slots) {
    const message = 'more memory devices than slots';
    const detail = { expected: `at most ${slots}`, found: `${counted.length}` };
    reader.problem('memory-slots-exceeded', maximum, 'slots', message, detail);
  }
  const devicesKib = devices.reduce((sum, { view }) => sum + view.sizeKib, 0);
  const roomKib = maxMemoryKib - (memoryKib - devicesKib);
  if (devicesKib > roomKib && maxMemoryKib >= memoryKib) {
    const message = 'memory devices are larger than the room up to the maximum memory';
    const detail = { expected: `at most ${roomKib} KiB`, found: `${devicesKib} KiB` };
    reader.problem('memory-slots-exceeded', maximum, null, message, detail);
  }
}

/** Hot-plug needs a guest cell, except where the machine has no notion of them. */
function checkCells(
  reader: Reader,
  domain: XmlElement,
  maximum: XmlElement,
  cellCount: number,
): void {
  const type = first(domain, 'os', 'type');
  const arch = type === null ? '' : (attributeOf(type, 'arch') ?? '');
  if (/^(ppc64|s390)/.test(arch) || cellCount > 0) return;
  const message = 'at least one guest cell has to be configured when memory hotplug is enabled';
  reader.problem('memory-hotplug-without-cells', maximum, null, message, {
    expected: "a <cell id='0' .../> in <cpu><numa>",
  });
}

function checkDevice(
  reader: Reader,
  { element, view, address }: Device,
  slots: number,
  cellCount: number,
): void {
  const types = ADDRESS_TYPES[view.model];
  const type = address === null ? null : attributeOf(address, 'type');
  if (types !== undefined && address !== null && type !== null && !types.includes(type)) {
    const message = `a ${view.model} device has no address of this type`;
    const detail = { expected: types.join(' | '), found: type };
    reader.problem('invalid-memory-device', address, 'type', message, detail);
  }
  const slot = slotOf(reader, address);
  if (address !== null && slot !== null && slot >= slots) {
    const message = `memory device in slot ${slot}, of ${slots}`;
    const detail = { expected: `below ${slots}`, found: `${slot}` };
    reader.problem('memory-slots-exceeded', address, 'slot', message, detail);
  }
  if (cellCount === 0 || view.node !== null || !IN_CELLS.includes(view.model)) return;
  const message = 'a memory device of a guest with cells names its cell';
  const at = first(element, 'target') ?? element;
  reader.problem('missing-element', at, null, message, { expected: '<node>...</node>' });
}

function slotOf(reader: Reader, address: XmlElement | null): number | null {
  if (address === null || attributeOf(address, 'type') !== 'dimm') return null;
  return reader.required(address, 'slot') === null ? null : reader.uint(address, 'slot');
}

/** Where a device lies in the guest's memory: bytes from `start` up to `end`. */
interface Range {
  device: Device;
  slot: string | null;
  start: bigint;
  end: bigint;
}

function checkOverlaps(reader: Reader, devices: Device[]): void {
  const ranges: Range[] = [];
  for (const device of devices) {
    const range = rangeOf(reader, device);
    if (range === null) continue;
    const same = ranges.find(({ slot }) => slot !== null && slot === range.slot);
    if (same !== undefined) {
      const message = `a second memory device in slot ${range.slot}`;
      reader.problem('memory-device-overlap', device.element, null, message);
    }
    const other = ranges.find(
      ({ start, end }) => start > 0n && range.start > 0n && start < range.end && range.start < end,
    );
    if (other !== undefined) {
      const message = `the memory device overlaps another one at 0x${other.start.toString(16)}`;
      const found = `0x${range.start.toString(16)} to 0x${range.end.toString(16)}`;
      reader.problem('memory-device-overlap', device.element, null, message, { found });
    }
    ranges.push(range);
  }
}

function rangeOf(reader: Reader, device: Device): Range | null {
  const { element, view, address } = device;
  const inSlot = IN_SLOTS.includes(view.model);
  const at = inSlot ? address : first(element, 'target', 'address');
  if (at === null || (inSlot && attributeOf(at, 'type') !== 'dimm')) return null;
  if (!inSlot && !['virtio-mem', 'virtio-pmem'].includes(view.model)) return null;
  const start = baseOf(reader, at);
  if (start === null) return null;
  // An address starts on a page, or on a block of what is plugged at a time.
  const unitKib = inSlot ? 0 : view.model === 'virtio-mem' ? (view.blockKib ?? 0) : BASE_PAGE_KIB;
  if (unitKib > 0 && start % (BigInt(unitKib) * 1024n) !== 0n) {
    const message = `the address of a ${view.model} device is a multiple of ${unitKib} KiB`;
    const found = `0x${start.toString(16)}`;
    reader.problem('invalid-memory-device', at, 'base', message, { found });
  }
  const slot = inSlot ? attributeOf(at, 'slot') : null;
  const labelKib = view.model === 'nvdimm' ? labelRoomKib(element, view) : 0;
  return { device, slot, start, end: start + BigInt(view.sizeKib - labelKib) * 1024n };
}

/** The labels of an nvdimm are not mapped; what is left is rounded down to its alignment. */
function labelRoomKib(element: XmlElement, { labelKib = 0 }: MemoryDevice): number {
  const alignsize = first(element, 'source', 'alignsize');
  const digits = alignsize === null ? '' : alignsize.text;
  const unitKib = Number(digits) > 0 ? Number(digits) : BASE_PAGE_KIB;
  return Math.ceil(labelKib / unitKib) * unitKib;
}

function baseOf(reader: Reader, address: XmlElement): bigint | null {
  const text = attributeOf(address, 'base');
  if (text === null) return 0n;
  const digits = /^\s*\+?(?:0[xX])?([0-9a-fA-F]{1,16})$/.exec(text)?.[1];
  if (digits !== undefined) return BigInt(`0x${digits}`);
  const message = 'the base of a memory device is not an address';
  const detail = { expected: 'a hexadecimal number of 64 bits', found: text };
  reader.problem('invalid-number', address, 'base', message, detail);
  return null;
}
