import { createHash } from 'node:crypto';
import { importHost, nodeFileName } from '@zonewise/host-facts';
import type { HostImport, HostTexts } from '@zonewise/host-facts';
import { parseCapabilities } from '@zonewise/libvirt-xml';
import type { CapabilitiesView } from '@zonewise/libvirt-xml';
import { validateHostModel } from '@zonewise/simulator';
import type { HostModel } from '@zonewise/simulator';
import type { HostSource } from '../database/entities/host-description';
import { ProblemException } from '../http/problem';
import { xmlProblem } from '../http/xml-problems';
import { TopologyNode, topologyOf } from './host-views';

/** The texts of an import; `capabilities` is XML, the others are what the kernel and numactl print. */
export type ImportTexts = HostTexts & { capabilities?: string };

export interface HostInspection extends Omit<HostImport, 'model'> {
  /** null when only a capabilities document was given: it tells sizes, not what is free. */
  model: HostModel | null;
  topology: { nodes: TopologyNode[] };
}

/**
 * Reads a host out of its texts.
 * @throws ProblemException malformed-xml, invalid-capabilities, invalid-facts, invalid-host-model
 */
export function readHost(given: ImportTexts): HostImport {
  const { capabilities, ...texts } = given;
  return readTexts(texts, capabilities === undefined ? undefined : readCapabilities(capabilities));
}

/** Sources that are what a command printed: an archive has them whether the command did well or not. */
const COMMAND_TEXTS = [
  ...(['capabilities', 'numactlHardware', 'numastat', 'numastatMeminfo'] as const),
  ...(['nodeinfo', 'freepages', 'freecell', 'nodememstats', 'cellMemstats'] as const),
];

/**
 * As {@link readHost} for the texts of an archive, which nobody chose one by one: what a command printed and
 * cannot be read is left out, with a caveat.
 * @throws ProblemException as {@link readHost}, for the kernel's own texts
 */
export function readCollected(given: ImportTexts): { host: HostImport; texts: ImportTexts } {
  const texts = { ...given };
  const caveats: HostImport['caveats'] = [];
  for (;;) {
    try {
      const host = readHost(texts);
      return { host: { ...host, caveats: [...host.caveats, ...caveats] }, texts };
    } catch (error) {
      if (!(error instanceof ProblemException)) throw error;
      const field = commandAtFault(error);
      if (field === undefined || texts[field] === undefined) throw error;
      delete texts[field];
      const message = `${field} of the archive is left out: ${error.message}`;
      caveats.push({ code: 'source-left-out', message });
    }
  }
}

/** The text that a refusal is about, where it is a command's. */
function commandAtFault({ code, problem }: ProblemException) {
  if (code === 'malformed-xml' || code === 'invalid-capabilities') return 'capabilities';
  if (code !== 'invalid-facts') return undefined;
  const path = problem.errors?.[0]?.path ?? '';
  return COMMAND_TEXTS.find(
    (name) => path === name || /^[:.]/.test(path.startsWith(name) ? path.slice(name.length) : ''),
  );
}

/** As {@link readHost}, but a capabilities document alone is enough. */
export function inspectHost(given: ImportTexts): HostInspection {
  const { capabilities, ...texts } = given;
  const view = capabilities === undefined ? undefined : readCapabilities(capabilities);
  const topology = view?.topology;
  if (topology !== undefined && Object.values(texts).every((text) => text === undefined)) {
    const message =
      'A capabilities document tells nodes, sizes and distances, but not what is free.';
    return {
      model: null,
      provenance: [{ path: 'topology', source: 'capabilities', kind: 'read' }],
      differences: [],
      caveats: [{ code: 'topology-only', message }],
      topology,
    };
  }
  const host = readTexts(texts, view);
  return { ...host, topology: topology ?? { nodes: topologyOf(host.model) } };
}

/** @throws ProblemException malformed-xml, invalid-capabilities */
export function readCapabilities(xml: string): CapabilitiesView {
  const outcome = parseCapabilities(xml);
  if (outcome.ok) return outcome.value;
  throw xmlProblem(outcome.problems, 'invalid-capabilities', 'The capabilities document');
}

function readTexts(texts: HostTexts, capabilities: CapabilitiesView | undefined): HostImport {
  const outcome = importHost(texts, capabilities?.topology);
  if (!outcome.ok) {
    const [first] = outcome.problems;
    const detail = first === undefined ? 'The facts are refused.' : first.message;
    throw new ProblemException('invalid-facts', detail, { errors: outcome.problems });
  }
  requireValidModel(outcome.value.model, 'invalid-facts');
  return outcome.value;
}

/** @throws ProblemException (422) listing everything that contradicts itself */
export function requireValidModel(
  model: HostModel,
  code: 'invalid-host-model' | 'invalid-facts' = 'invalid-host-model',
): void {
  const problems = validateHostModel(model);
  const [first] = problems;
  if (first === undefined) return;
  const errors = problems.map((problem) => ({ ...problem, path: under('model', problem.path) }));
  throw new ProblemException(code, first.message, { errors });
}

const under = (parent: string, path: string): string =>
  /^[[/.]/.test(path) ? `${parent}${path}` : `${parent}.${path}`;

/** The given texts by source name (`node0.meminfo` for an entry of a map), with what identifies each. */
export function sourcesOf(given: ImportTexts & { kernelLog?: string }): {
  sources: HostSource[];
  sourceTexts: Record<string, string>;
} {
  const sourceTexts: Record<string, string> = {};
  for (const [field, value] of Object.entries(given) as [string, unknown][]) {
    if (typeof value === 'string') sourceTexts[field] = value;
    else if (typeof value === 'object' && value !== null) {
      for (const [nodeId, text] of Object.entries(value)) {
        sourceTexts[nodeFileName(field, nodeId)] = String(text);
      }
    }
  }
  const sources = Object.entries(sourceTexts).map(([name, text]) => ({
    name,
    bytes: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
  }));
  return { sources, sourceTexts };
}
