import type { HostSysctls, Operation, RecommendationContent } from './types';

/** Settings that placement and reclaim rest on, in the order in which an operator thinks of them. */
const BASIS = [
  'zone_reclaim_mode',
  'min_free_kbytes',
  'watermark_scale_factor',
  'watermark_boost_factor',
  'lowmem_reserve_ratio',
  'min_unmapped_ratio',
  'swappiness',
] as const satisfies (keyof HostSysctls)[];

/**
 * The advice's kernel settings as a sysctl.d file; each with its reason as a comment. Without any, the file
 * says so and sets nothing.
 * @param current the host's settings: those that the advice leaves alone but rests on follow as comments
 */
export function sysctlFile(content: RecommendationContent, current?: HostSysctls): string {
  const advised = render(content, 'Settings advised by Zonewise', (operation) => operation.value);
  return current === undefined ? advised : advised + basisComment(content, current);
}

function basisComment(content: RecommendationContent, current: HostSysctls): string {
  const changed = new Set(sysctlOperations(content).map((operation) => operation.resource));
  const lines = BASIS.filter((name) => !changed.has(name)).map(
    (name) => `# vm.${name} = ${formatValue(current[name])}`,
  );
  return [
    '#',
    '# Replayed with these settings as they were; advise again when they change:',
    ...lines,
    '',
  ].join('\n');
}

function sysctlOperations(content: RecommendationContent): Operation[] {
  return content.content.operationGroups
    .flatMap((group) => group.operations)
    .filter(({ resourceType, action }) => resourceType === 'sysctl' && action !== 'test');
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
  const lines = sysctlOperations(content).flatMap((operation) => [
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
