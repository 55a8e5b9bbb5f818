/** The files that apply a recommendation and take it back, made from its content and the documents. Pure. */
import { rollbackSysctlFile, sysctlFile } from '@zonewise/advisor';
import type { NumatuneValue, RecommendationContent } from '@zonewise/advisor';
import { patchNumatune, unifiedDiff } from '@zonewise/libvirt-xml';
import type { HostSysctls } from '@zonewise/simulator';
import type { NumatuneChange } from '@zonewise/libvirt-xml';
import type { AdviceFile, DomainDocument } from './tasks';

const SYSCTL_FILE = '90-zonewise.conf';
const SYSCTL_ROLLBACK_FILE = 'rollback.conf';

/** A document could not be changed as advised; a defect of ours, since it was read before. */
export class AdviceFileError extends Error {}

function changesSysctl(content: RecommendationContent): boolean {
  return content.content.operationGroups.some((group) =>
    group.operations.some((operation) => operation.resourceType === 'sysctl'),
  );
}

/** Domains that an operation changes. `test` operations only look. */
function changedDomains(content: RecommendationContent): Set<string> {
  return new Set(
    content.content.operationGroups
      .flatMap((group) => group.operations)
      .filter(({ resourceType, action }) => resourceType === 'domain' && action !== 'test')
      .map((operation) => operation.resource),
  );
}

/**
 * The numatune that the operation on a domain sets. Without `memnodes` the replay gave every cell the
 * domain's own setting: a <memnode> left in the document would place its cell elsewhere.
 */
function numatuneChange(content: RecommendationContent, name: string): NumatuneChange {
  const operation = content.content.operationGroups
    .flatMap((group) => group.operations)
    .find(({ resourceType, resource }) => resourceType === 'domain' && resource === name);
  const { mode, nodeset, memnodes = [] } = operation?.value as NumatuneValue;
  if (mode === 'none') return { memory: null, memnodes: [] };
  const cells = memnodes.flatMap((memnode) =>
    memnode.mode === 'none' ? [] : [{ ...memnode, mode: memnode.mode }],
  );
  return { memory: { mode, nodeset }, memnodes: cells };
}

function domainFiles(document: DomainDocument, change: NumatuneChange): AdviceFile[] {
  const { name, xml } = document;
  const patched = patchNumatune(xml, change);
  if (!patched.ok) {
    const reasons = patched.problems.map((problem) => problem.message).join('; ');
    throw new AdviceFileError(`The advice cannot be written into ${name}: ${reasons}`);
  }
  const common = { domain: name };
  return [
    {
      ...common,
      name: `${name}.xml`,
      mediaType: 'application/xml',
      purpose: 'apply',
      text: patched.value.xml,
    },
    {
      ...common,
      name: `${name}.diff`,
      mediaType: 'text/x-diff',
      purpose: 'diff',
      text: unifiedDiff(`${name}.xml`, xml, patched.value.xml),
    },
    {
      ...common,
      name: `${name}.rollback.xml`,
      mediaType: 'application/xml',
      purpose: 'rollback',
      text: xml,
    },
  ];
}

/** Two files of one name (domains `a` and `a.rollback`) are told apart by a number. */
function distinct(files: AdviceFile[]): AdviceFile[] {
  const taken = new Set<string>();
  return files.map((file) => {
    let name = file.name;
    for (let n = 2; taken.has(name); n += 1) name = file.name.replace(/(\.[a-z]+)$/, `~${n}$1`);
    taken.add(name);
    return { ...file, name };
  });
}

/**
 * `DOMAIN.xml` (the document with nothing changed but its numatune), `DOMAIN.diff`, `DOMAIN.rollback.xml`
 * (the document as it was), `90-zonewise.conf` for /etc/sysctl.d and `rollback.conf`. Only what changes
 * has files, but for `90-zonewise.conf`: it also tells, as comments, the settings that the advice rests on.
 * Advice to leave everything has no files.
 *
 * @param current the host's settings
 *
 * @throws AdviceFileError when a document cannot be changed as advised
 */
export function adviceFiles(
  content: RecommendationContent,
  documents: DomainDocument[],
  current: HostSysctls,
): AdviceFile[] {
  const changed = changedDomains(content);
  const files = documents
    .filter((document) => changed.has(document.name))
    .flatMap((document) => domainFiles(document, numatuneChange(content, document.name)));
  const common = { mediaType: 'text/plain' };
  if (changesSysctl(content) || files.length > 0) {
    const text = sysctlFile(content, current);
    files.push({ ...common, name: SYSCTL_FILE, purpose: 'apply', text });
  }
  if (changesSysctl(content)) {
    const text = rollbackSysctlFile(content);
    files.push({ ...common, name: SYSCTL_ROLLBACK_FILE, purpose: 'rollback', text });
  }
  return distinct(files);
}
