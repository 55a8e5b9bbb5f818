/** `<numatune>`: which host nodes the guest's memory may or should come from. */
import type { Reader } from './reader';
import { all, attributeOf, first } from './reader';
import type { XmlElement } from './tree';
import type { DomainView, NumatuneMode } from './types';
import { SINCE } from './version';

export const NUMATUNE_MODES = ['strict', 'preferred', 'interleave', 'restrictive'] as const;

type Numatune = DomainView['numatune'];
type Memory = NonNullable<Numatune['memory']>;

/**
 * Reads `<numatune>` with libvirt's defaults (virDomainNumatuneParseXML, virDomainNumatuneSet).
 * @param vcpuPlacement as given by `<vcpu>`: static unless the document says auto
 * @param cellCount guest cells
 */
export function readNumatune(
  reader: Reader,
  domain: XmlElement,
  vcpuPlacement: 'static' | 'auto',
  cellCount: number,
): Numatune {
  const elements = all(domain, 'numatune');
  elements.slice(1).forEach((extra) => {
    reader.problem('multiple-numatune', extra, null, 'only one <numatune> is allowed');
  });
  const numatune = elements[0] ?? null;
  const memory = readMemory(reader, domain, numatune, vcpuPlacement);
  const memnodes = numatune === null ? [] : readMemnodes(reader, numatune, memory, cellCount);
  if (numatune !== null) checkRestrictive(reader, numatune, { memory, memnodes });
  return { memory, memnodes };
}

function readMemory(
  reader: Reader,
  domain: XmlElement,
  numatune: XmlElement | null,
  vcpuPlacement: 'static' | 'auto',
): Memory | null {
  const element = numatune === null ? null : first(numatune, 'memory');
  if (element === null) {
    if (vcpuPlacement === 'static') return null;
    reader.warn(
      'implicit-auto-placement',
      first(domain, 'vcpu') ?? domain,
      null,
      "vcpu placement='auto' without <memory> in numatune: libvirt adds strict memory on the nodes that numad advises",
    );
    return { mode: 'strict', placement: 'auto', nodeset: null };
  }
  warnIgnored(reader, numatune);
  const mode = readMode(reader, element);
  const nodeset = reader.set(element, 'nodeset');
  if (nodeset !== null) reader.remember(element, 'nodeset');
  const placement = readPlacement(reader, element, vcpuPlacement);
  if (placement === 'static') {
    if (attributeOf(element, 'nodeset') === null) {
      const message = "nodeset for NUMA memory tuning must be set if 'placement' is 'static'";
      reader.problem('missing-nodeset', element, null, message, { expected: "nodeset='...'" });
    }
    return { mode, placement, nodeset };
  }
  if (nodeset !== null) {
    const message = "libvirt drops the nodeset of <memory placement='auto'>: numad decides";
    reader.warn('ignored-nodeset', element, 'nodeset', message);
  }
  return { mode, placement, nodeset: null };
}

function warnIgnored(reader: Reader, numatune: XmlElement | null): void {
  const ignored = numatune === null ? [] : all(numatune, 'memory').slice(1);
  for (const extra of ignored) {
    const message = 'only the first <memory> in numatune counts; this one has no effect';
    reader.warn('ignored-memory-element', extra, null, message);
  }
}

function readMode(reader: Reader, element: XmlElement): NumatuneMode {
  const given = attributeOf(element, 'mode');
  if (given !== null && /^weighted[-_ ]interleave$/i.test(given)) {
    const message =
      'weighted interleave is a policy of Linux 6.9 and later that libvirt cannot ask for; interleave gives each node the same share';
    reader.problem('unknown-numatune-mode', element, 'mode', message, {
      expected: NUMATUNE_MODES.join(' | '),
      found: given,
    });
    return 'strict';
  }
  const known = reader.version < SINCE.restrictive ? NUMATUNE_MODES.slice(0, 3) : NUMATUNE_MODES;
  return reader.word(element, 'mode', known, 'unknown-numatune-mode') ?? 'strict';
}

function readPlacement(
  reader: Reader,
  element: XmlElement,
  vcpuPlacement: 'static' | 'auto',
): 'static' | 'auto' {
  const words = ['static', 'auto', 'default'] as const;
  const given = reader.word(element, 'placement', words, 'unknown-numatune-placement');
  if (given === 'static' || given === 'auto') return given;
  if (attributeOf(element, 'nodeset') !== null) return 'static';
  return vcpuPlacement;
}

function readMemnodes(
  reader: Reader,
  numatune: XmlElement,
  memory: Memory | null,
  cellCount: number,
): Numatune['memnodes'] {
  const elements = all(numatune, 'memnode');
  const [one] = elements;
  if (one === undefined) return [];
  if (cellCount === 0) {
    const message = 'memnode needs guest cells in <cpu><numa>, and there are none';
    reader.problem('memnode-without-cells', one, null, message);
  }
  if (memory?.placement === 'auto') {
    const message = 'memnode is not allowed with automatic NUMA placement of the memory';
    reader.problem('memnode-with-auto-placement', one, null, message);
  }
  const memnodes: Numatune['memnodes'] = [];
  const seen = new Set<number>();
  for (const element of elements) {
    const memnode = readMemnode(reader, element, cellCount);
    if (memnode === null) continue;
    if (seen.has(memnode.cellid)) {
      const message = `a second memnode for guest cell ${memnode.cellid}`;
      reader.problem('duplicate-memnode', element, 'cellid', message);
    }
    seen.add(memnode.cellid);
    memnodes.push(memnode);
  }
  return memnodes;
}

function readMemnode(
  reader: Reader,
  element: XmlElement,
  cellCount: number,
): Numatune['memnodes'][number] | null {
  const cellid =
    reader.required(element, 'cellid') === null ? null : reader.uint(element, 'cellid');
  const mode = readMode(reader, element);
  const given = reader.required(element, 'nodeset');
  const nodeset = given === null ? null : reader.set(element, 'nodeset');
  if (nodeset !== null) reader.remember(element, 'nodeset');
  if (cellid !== null && cellCount > 0 && cellid >= cellCount) {
    const message = `memnode names guest cell ${cellid}, which does not exist`;
    const expected = `0 to ${cellCount - 1}`;
    reader.problem('unknown-cell', element, 'cellid', message, { expected, found: `${cellid}` });
  }
  return cellid === null || nodeset === null ? null : { cellid, mode, nodeset };
}

/** restrictive is all or nothing (virDomainNumaDefValidate); its second half came with libvirt 9.4.0. */
function checkRestrictive(reader: Reader, numatune: XmlElement, view: Numatune): void {
  const whole = view.memory?.mode === 'restrictive';
  for (const element of all(numatune, 'memnode')) {
    const restrictive = attributeOf(element, 'mode') === 'restrictive';
    if (whole && !restrictive) {
      const message = "'restrictive' in <memory> requires 'restrictive' in every memnode";
      const found = attributeOf(element, 'mode') ?? 'strict (the default)';
      reader.problem('restrictive-mismatch', element, 'mode', message, {
        expected: 'restrictive',
        found,
      });
    }
    if (!whole && restrictive) {
      const message =
        "a restrictive memnode without <memory mode='restrictive'>: libvirt 9.4.0 and later refuse it";
      if (reader.version < SINCE.restrictiveNeedsMemory) {
        reader.warn('restrictive-memnode-alone', element, 'mode', message);
      } else {
        reader.problem('restrictive-mismatch', element, 'mode', message, {
          expected: "<memory mode='restrictive' .../> beside it, or another mode",
          found: 'restrictive',
        });
      }
    }
  }
  const memory = first(numatune, 'memory');
  if (
    memory !== null &&
    view.memory?.mode === 'preferred' &&
    (view.memory.nodeset?.length ?? 0) > 1
  ) {
    const message =
      'preferred with several nodes starts only with libvirt 9.0.0, kernel 5.15 and libnuma 2.0.15 or later';
    reader.warn('preferred-many-nodes', memory, 'nodeset', message);
  }
}
