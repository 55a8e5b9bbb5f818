/** Devices whose back end is another process, which has to see guest memory. */
import { all, attributeOf, first } from './reader';
import type { Reader } from './reader';
import type { XmlElement } from './tree';
import type { DomainView } from './types';
import { SINCE } from './version';

const attribute = (element: XmlElement | null, name: string): string =>
  element === null ? '' : (attributeOf(element, name) ?? '');

/**
 * Guest memory that vhost-user devices can reach (qemuValidateDomainDefVhostUserRequireSharedMemory):
 * every cell is shared, or the memory is where the cell says nothing.
 */
export function checkSharedMemory(
  reader: Reader,
  domain: XmlElement,
  { access }: DomainView['memoryBacking'],
  cells: DomainView['cells'],
): void {
  const shared = (own: string | null): boolean => (own ?? access) === 'shared';
  if (cells.length === 0 ? shared(null) : cells.every((cell) => shared(cell.memAccess))) return;
  const devices = [
    ...all(domain, 'devices', 'filesystem').filter(
      (element) => attribute(first(element, 'driver'), 'type') === 'virtiofs',
    ),
    ...all(domain, 'devices', 'disk').filter((element) =>
      ['vhostuser', 'vhostvdpa'].includes(attribute(element, 'type')),
    ),
    ...(reader.version < SINCE.vhostUserShared
      ? []
      : all(domain, 'devices', 'interface').filter(
          (element) => attribute(element, 'type') === 'vhostuser',
        )),
  ];
  for (const element of devices) {
    const message = `this <${element.name}> needs guest memory that another process can see`;
    reader.problem('shared-memory-required', element, null, message, {
      expected: "<access mode='shared'/> in <memoryBacking>, or memAccess='shared' of every cell",
      found: access ?? 'no access mode',
    });
  }
}
