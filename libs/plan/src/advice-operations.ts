/** What a recommendation does, for those who write its files. */
import type { Operation, RecommendationContent } from '@zonewise/advisor';

/** A file that applies advice or takes it back. */
export interface AdviceFile {
  name: string;
  mediaType: string;
  /** `apply`: what to install; `diff`: what changes, for reading; `rollback`: the way back. */
  purpose: 'apply' | 'diff' | 'rollback';
  /** Domain whose document it is; absent for host files. */
  domain?: string;
  text: string;
}

export const SYSCTL_FILE = '90-zonewise.conf';
export const SYSCTL_ROLLBACK_FILE = 'rollback.conf';
export const TMPFILES_FILE = 'zonewise-tmpfiles.conf';

/** Its operations in order; `test` operations only look. */
export function operationsOf(content: RecommendationContent): Operation[] {
  return content.content.operationGroups
    .flatMap((group) => group.operations)
    .filter(({ action }) => action !== 'test');
}

export function changesSysctl(content: RecommendationContent): boolean {
  return operationsOf(content).some(({ resourceType }) => resourceType === 'sysctl');
}

/** Those on files below /sys, which the kernel forgets at a boot: transparent huge pages and pools. */
export function sysfsOperations(content: RecommendationContent): Operation[] {
  return operationsOf(content).filter(
    ({ resourceType }) => resourceType === 'thp' || resourceType === 'hugepages',
  );
}

/** The operations on one domain, each with its path in the document. */
export function domainOperations(content: RecommendationContent, name: string): Operation[] {
  return operationsOf(content).filter(
    ({ resourceType, resource }) => resourceType === 'domain' && resource === name,
  );
}
