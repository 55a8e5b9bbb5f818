/** `<devices><memory>`: dimm, nvdimm, virtio-mem, virtio-pmem, sgx-epc. */
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { XmlElement } from './tree';
import type { DomainView } from './types';
import { SINCE } from './version';

/** Models, each with the libvirt that brought it. */
const MODELS: Record<string, number> = {
  dimm: 0,
  nvdimm: SINCE.nvdimm,
  'virtio-pmem': SINCE.virtioPmem,
  'virtio-mem': SINCE.virtioMem,
  'sgx-epc': SINCE.sgxEpc,
};
/** A block of virtio-mem is at least a transparent huge page of the host. */
const BLOCK_MIN_KIB = 2048;
const LABEL_MIN_KIB = 128;

type MemoryDevice = DomainView['memoryDevices'][number];

/**
 * Reads the memory devices (virDomainMemoryDefParseXML, virDomainMemoryDefValidate); sizes in KiB.
 * @differs transparent huge pages of the host are taken as 2 MiB
 */
export function readMemoryDevices(
  reader: Reader,
  domain: XmlElement,
  cellCount: number,
): MemoryDevice[] {
  const models = Object.keys(MODELS).filter((name) => (MODELS[name] ?? 0) <= reader.version);
  return all(domain, 'devices', 'memory').map((element) => {
    const given = reader.required(element, 'model');
    const model =
      given === null ? '' : reader.word(element, 'model', models, 'unknown-memory-model');
    const size = requiredChild(reader, element, 'target', 'size');
    const device: MemoryDevice = {
      model: given ?? '',
      sizeKib: size === null ? 0 : (reader.sizeText(size) ?? 0),
      node: readTargetNode(reader, element, cellCount),
      nodemask: readNodemask(reader, element),
    };
    const access = reader.word(element, 'access', ['shared', 'private'] as const);
    if (access !== null) device.access = access;
    const discard = reader.yesNo(element, 'discard');
    if (discard !== null) device.discard = discard;
    Object.assign(device, sizesOf(reader, element));
    const path = first(element, 'source', 'path');
    if (path !== null && path.text !== '') device.path = path.text;
    if (model === 'virtio-mem') checkVirtioMem(reader, element, device);
    if (model === 'virtio-pmem') checkVirtioPmem(reader, element, device);
    if (model === 'nvdimm') checkNvdimm(reader, domain, element, device);
    if (model === 'sgx-epc') refuseAddress(reader, element);
    return device;
  });
}

function sizesOf(reader: Reader, device: XmlElement): Partial<MemoryDevice> {
  const size = (...names: string[]): number | null => {
    const element = first(device, ...names);
    return element === null ? null : reader.sizeText(element);
  };
  const requestedKib = size('target', 'requested');
  const pagesizeKib = size('source', 'pagesize');
  const blockKib = size('target', 'block');
  const labelKib = size('target', 'label', 'size');
  return {
    ...(first(device, 'target', 'requested') === null ? {} : { requestedKib: requestedKib ?? 0 }),
    ...(pagesizeKib === null ? {} : { pagesizeKib }),
    ...(blockKib === null ? {} : { blockKib }),
    ...(labelKib === null ? {} : { labelKib }),
  };
}

/** @param path elements below the device, of which the last may be missing */
function refuse(
  reader: Reader,
  device: XmlElement,
  path: string[],
  message: string,
  expected: string,
  found: string,
): void {
  const at = first(device, ...path) ?? device;
  reader.problem('invalid-memory-device', at, null, message, { expected, found });
}

function checkVirtioMem(reader: Reader, element: XmlElement, device: MemoryDevice): void {
  const { sizeKib, requestedKib = 0, blockKib = 0 } = device;
  if (requestedKib > sizeKib) {
    const message = 'more of the virtio-mem device is requested than there is';
    const expected = `at most ${sizeKib} KiB`;
    refuse(reader, element, ['target', 'requested'], message, expected, `${requestedKib} KiB`);
  }
  const block = ['target', 'block'];
  if (blockKib < BLOCK_MIN_KIB || !Number.isInteger(Math.log2(blockKib))) {
    const message = 'the block size of a virtio-mem device is a power of two, 2 MiB or more';
    refuse(reader, element, block, message, `at least ${BLOCK_MIN_KIB} KiB`, `${blockKib} KiB`);
  } else if (requestedKib % blockKib !== 0) {
    const message = 'the requested size of a virtio-mem device is a multiple of its block size';
    const expected = `a multiple of ${blockKib} KiB`;
    refuse(reader, element, ['target', 'requested'], message, expected, `${requestedKib} KiB`);
  }
}

function checkVirtioPmem(reader: Reader, element: XmlElement, device: MemoryDevice): void {
  requirePath(reader, element, device);
  refuseDiscard(reader, element, device);
  // Without a word about it libvirt makes it shared.
  if (device.access === 'private') {
    const message = 'a virtio-pmem device is shared memory';
    reader.problem('invalid-memory-device', element, 'access', message, {
      expected: "access='shared'",
      found: device.access,
    });
  }
  if (device.node !== null) {
    const message = 'a virtio-pmem device belongs to no guest cell';
    refuse(reader, element, ['target', 'node'], message, 'no <node>', `${device.node}`);
  }
}

function checkNvdimm(
  reader: Reader,
  domain: XmlElement,
  element: XmlElement,
  device: MemoryDevice,
): void {
  requirePath(reader, element, device);
  refuseDiscard(reader, element, device);
  const type = first(domain, 'os', 'type');
  const ppc64 = /^ppc64/.test(type === null ? '' : (attributeOf(type, 'arch') ?? ''));
  const uuid = first(element, 'uuid');
  if (uuid !== null && uuid.text !== '' && !ppc64) {
    const message = 'only an nvdimm of a ppc64 guest has a uuid';
    reader.problem('invalid-memory-device', uuid, null, message, { expected: 'no <uuid>' });
  }
  const { labelKib = 0, sizeKib } = device;
  if (labelKib === 0 && ppc64) {
    const message = 'an nvdimm of a ppc64 guest needs the size of its labels';
    const detail = { expected: '<label><size>' };
    reader.problem('missing-element', first(element, 'target') ?? element, null, message, detail);
    return;
  }
  if (labelKib === 0 || (labelKib >= LABEL_MIN_KIB && labelKib < sizeKib)) return;
  const message = 'the labels of an nvdimm take 128 KiB or more, and less than its size';
  const label = ['target', 'label', 'size'];
  refuse(reader, element, label, message, `${LABEL_MIN_KIB} KiB or more`, `${labelKib} KiB`);
}

function requirePath(reader: Reader, element: XmlElement, device: MemoryDevice): void {
  // An empty <path/> is a path to libvirt.
  if (device.path !== undefined || first(element, 'source', 'path') !== null) return;
  const message = `a ${device.model} device needs the path of the file behind it`;
  const detail = { expected: '<source><path>' };
  reader.problem('missing-element', first(element, 'source') ?? element, null, message, detail);
}

function refuseDiscard(reader: Reader, element: XmlElement, device: MemoryDevice): void {
  if (device.discard !== true) return;
  const message = `a ${device.model} device cannot be discarded`;
  const detail = { expected: "discard='no'", found: 'yes' };
  reader.problem('invalid-memory-device', element, 'discard', message, detail);
}

function refuseAddress(reader: Reader, element: XmlElement): void {
  const address = first(element, 'address');
  if (address === null) return;
  const message = 'an sgx-epc device has no address';
  reader.problem('invalid-memory-device', address, null, message, { expected: 'no <address>' });
}

function requiredChild(reader: Reader, element: XmlElement, ...names: string[]): XmlElement | null {
  const found = first(element, ...names);
  if (found === null || found.text === '') {
    const message = `<${element.name}> needs <${names.join('><')}>`;
    reader.problem('missing-element', element, null, message, { expected: names.join('/') });
  }
  return found;
}

function readTargetNode(reader: Reader, device: XmlElement, cellCount: number): number | null {
  const element = first(device, 'target', 'node');
  const node = element === null || element.text === '' ? null : reader.uintText(element);
  if (element !== null && node !== null && node >= cellCount) {
    const message = `memory device in guest cell ${node}, which does not exist`;
    const expected = cellCount === 0 ? 'guest cells in <cpu><numa>' : `0 to ${cellCount - 1}`;
    reader.problem('unknown-cell', element, null, message, { expected, found: `${node}` });
  }
  return node;
}

/** Host nodes behind the device; libvirt looks at them for models that live in host memory. */
function readNodemask(reader: Reader, device: XmlElement): number[] | null {
  const element = first(device, 'source', 'nodemask');
  const model = attributeOf(device, 'model') ?? '';
  if (element === null || model === 'nvdimm' || model === 'virtio-pmem') return null;
  const nodemask = reader.setText(element);
  if (nodemask !== null) reader.remember(element, null);
  return nodemask;
}
