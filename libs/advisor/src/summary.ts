import type { RecommendationContent } from './types';

/** One sentence per change, after the description of the finding; the margin last. */
export function summarize(content: RecommendationContent): string[] {
  const operations = content.content.operationGroups.flatMap((group) => group.operations);
  return [
    content.description,
    ...operations.map((operation) =>
      operation.resourceType === 'domain'
        ? `${operation.resource}: ${operation.reason}`
        : operation.reason,
    ),
    ...content.immovable.map((entry) => entry.message),
    content.evidence.margin.verdict,
  ];
}
