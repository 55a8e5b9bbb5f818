import type { Operation, RecommendationContent } from './types';

/**
 * The advice's kernel settings as a sysctl.d file; each with its reason as a comment. Without any, the file
 * says so and sets nothing.
 */
export function sysctlFile(content: RecommendationContent): string {
  return render(content, 'Settings advised by Zonewise', (operation) => operation.value);
}

/** The same settings as they were before, to take the advice back. */
export function rollbackSysctlFile(content: RecommendationContent): string {
  return render(
    content,
    'Settings as they were before the advice of Zonewise',
    (operation) => operation.previousValue,
    false,
  );
}

function render(
  content: RecommendationContent,
  title: string,
  value: (operation: Operation) => unknown,
  withReason = true,
): string {
  const operations = content.content.operationGroups
    .flatMap((group) => group.operations)
    .filter(({ resourceType, action }) => resourceType === 'sysctl' && action !== 'test');
  const lines = operations.flatMap((operation) => [
    ...(withReason ? [comment(operation.reason)] : []),
    `vm.${operation.resource} = ${formatValue(value(operation))}`,
  ]);
  const body = lines.length > 0 ? lines : ['# No kernel setting changes.'];
  return [`# ${title}`, ...body, ''].join('\n');
}

function comment(text: string): string {
  return `# ${text.replace(/\s+/g, ' ')}`;
}

function formatValue(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(' ') : String(value);
}
