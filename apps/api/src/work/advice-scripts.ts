/** Shell scripts that apply a recommendation on the host and take it back, made from its content. Pure. */
import { quoted } from '@zonewise/advisor';
import type { Operation, RecommendationContent } from '@zonewise/advisor';
import type { HostModel } from '@zonewise/simulator';
import {
  changesSysctl,
  operationsOf,
  SYSCTL_FILE,
  SYSCTL_ROLLBACK_FILE,
} from './advice-operations';
import type { AdviceFile } from './tasks';

const INSTALLED = '/etc/sysctl.d/90-zonewise.conf';
/** Tests run the scripts below another root; sysctl and virsh are found by PATH. */
const ROOT = '${ZONEWISE_ROOT:-}';

const head = (title: string): string[] => [
  '#!/bin/sh',
  `# ${title}`,
  '# Run it as root on the host, in the folder that holds the files of the recommendation.',
  'set -eu',
];

interface Context {
  content: RecommendationContent;
  /** Names of the patched document and the earlier one, by domain. */
  files: Map<string, { apply: string; rollback: string }>;
}

/** The scripts; those that would do nothing are left out. */
export function adviceScripts(context: Context): AdviceFile[] {
  const { content } = context;
  const script = (name: string, purpose: AdviceFile['purpose'], lines: string[]): AdviceFile => ({
    ...{ name, purpose, mediaType: 'text/x-shellscript' },
    text: `${lines.join('\n')}\n`,
  });
  const scripts: AdviceFile[] = [];
  if (operationsOf(content).length > 0) {
    scripts.push(script('apply.sh', 'apply', applyLines(context)));
    scripts.push(script('rollback.sh', 'rollback', rollbackLines(context)));
  }
  const order = operationsOf(content).find(({ resourceType }) => resourceType === 'start-order');
  if (order !== undefined) scripts.push(script('start.sh', 'apply', startLines(order)));
  if (content.routes.length > 0) scripts.push(script('apply-live.sh', 'apply', liveLines(content)));
  return scripts;
}

/** One comment line: a reason holds no line breaks, but a domain's name in it could. */
const comment = (text: string): string => `# ${text.replace(/\s+/g, ' ')}`;

function applyLines({ content, files }: Context): string[] {
  return [
    ...head('Applies the advice of Zonewise; rollback.sh takes it back.'),
    comment(
      'Guests that run keep their memory where it is: restart or migrate them as apply-live.sh says.',
    ),
    ...(changesSysctl(content)
      ? [
          '',
          comment('Kernel settings, now and after a boot'),
          `install -m 0644 ${SYSCTL_FILE} "${ROOT}${INSTALLED}"`,
          `sysctl -p "${ROOT}${INSTALLED}"`,
        ]
      : []),
    ...fileLines(content, (operation) => operation.value),
    ...documentLines(content, files, 'apply'),
  ];
}

function rollbackLines({ content, files }: Context): string[] {
  return [
    ...head('Takes the advice of Zonewise back.'),
    ...(changesSysctl(content)
      ? [
          '',
          comment('Kernel settings as they were'),
          `rm -f "${ROOT}${INSTALLED}"`,
          `sysctl -p ./${SYSCTL_ROLLBACK_FILE}`,
        ]
      : []),
    ...fileLines(content, (operation) => operation.previousValue),
    ...documentLines(content, files, 'rollback'),
  ];
}

/** Files below /sys: huge pages; they are lost at a boot. */
function fileLines(
  content: RecommendationContent,
  valueOf: (operation: Operation) => unknown,
): string[] {
  const written = operationsOf(content).filter(
    ({ resourceType }) => resourceType === 'thp' || resourceType === 'hugepages',
  );
  if (written.length === 0) return [];
  return [
    '',
    comment('Huge pages, until the next boot'),
    ...written.flatMap((operation) => {
      const file = `"${ROOT}${operation.path}"`;
      const value = String(valueOf(operation));
      const write = `printf '%s\\n' ${quoted(value)} > ${file}`;
      if (operation.resourceType === 'thp') return [write];
      // The kernel makes as many as it can and says nothing.
      return [
        write,
        `[ "$(cat ${file})" -eq ${value} ] || { echo "${operation.resource}: $(cat ${file}) huge pages, not ${value}" >&2; exit 1; }`,
      ];
    }),
  ];
}

function documentLines(
  content: RecommendationContent,
  files: Context['files'],
  purpose: 'apply' | 'rollback',
): string[] {
  const names = [...files.keys()].filter((name) =>
    operationsOf(content).some((one) => one.resourceType === 'domain' && one.resource === name),
  );
  if (names.length === 0) return [];
  return [
    '',
    comment('Documents of the guests: libvirt reads them when a guest starts next'),
    ...names.map((name) => `virsh define ${quoted(`./${files.get(name)?.[purpose] ?? ''}`)}`),
  ];
}

/** CPUs of host nodes, ascending. */
export function cpusOf(host: HostModel, nodes: number[]): number[] {
  return host.nodes
    .filter(({ nodeId }) => nodes.includes(nodeId))
    .flatMap(({ cpus }) => cpus)
    .sort((a, b) => a - b);
}

function startLines({ value, reason }: Operation): string[] {
  return [
    ...head('Starts the planned guests in the order that was replayed.'),
    comment(reason),
    ...(value as string[]).map((name) => `virsh start ${quoted(name)}`),
  ];
}

function liveLines({ routes }: RecommendationContent): string[] {
  return [
    ...head('Ways to move what running guests hold elsewhere. Nothing below runs by itself.'),
    comment('Take the # from the commands of the one way per guest that you choose.'),
    ...routes.flatMap(({ guest, awayPages, routes: ways }) => [
      '',
      comment(`${guest}: ${awayPages} pages away from its CPUs`),
      ...ways.flatMap(({ kind, possible, message, commands }) => [
        comment(`${kind}${possible ? '' : ' (not possible)'}: ${message}`),
        ...(possible ? commands.map((command) => `# ${command}`) : []),
      ]),
    ]),
    '',
    'exit 0',
  ];
}
