/** Shell scripts that apply a recommendation on the host and take it back, made from its content. Pure. */
import { domainWord, quoted } from '@zonewise/advisor';
import type { Operation, RecommendationContent } from '@zonewise/advisor';
import type { HostModel } from '@zonewise/simulator';
import {
  changesSysctl,
  operationsOf,
  SYSCTL_FILE,
  SYSCTL_ROLLBACK_FILE,
  sysfsOperations,
  TMPFILES_FILE,
  type AdviceFile,
} from './advice-operations';

/** Tests run the scripts below another root; sysctl and virsh are found by PATH. */
const ROOT = '${ZONEWISE_ROOT:-}';
/** Arguments of the shell functions below: kind of the file, the file, and where it is installed. */
const INSTALLED_SYSCTL = `sysctl ${SYSCTL_FILE} "${ROOT}/etc/sysctl.d/${SYSCTL_FILE}"`;
const INSTALLED_TMPFILES = `tmpfiles ${TMPFILES_FILE} "${ROOT}/etc/tmpfiles.d/zonewise.conf"`;

/** One comment line: a reason holds no line breaks, but a domain's name in it could. */
const comment = (text: string): string => `# ${text.replace(/\s+/g, ' ')}`;

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

/**
 * An earlier file of the same name may set what today's advice rests on: it is kept as FILE.before, and so is in the new
 * file what it sets besides. An empty FILE.before stands for no earlier file. It is made once, so that a repetition of
 * apply.sh does not lose it.
 */
const MERGED_LINES = [
  comment('merged KIND FILE BEFORE: the file, and what the one before it sets besides'),
  'merged() {',
  `  awk -v kind="$1" '`,
  '    function name(line, field) {',
  '      if (kind == "tmpfiles") { split(line, field); return field[2] }',
  '      sub(/^[ \\t]*-?[ \\t]*/, "", line); sub(/[ \\t]*=.*/, "", line); sub(/[ \\t]+$/, "", line)',
  '      gsub("/", ".", line)',
  '      return line',
  '    }',
  '    FNR == NR { print; if (!/^[ \\t]*([#;]|$)/) set[name($0)] = 1; next }',
  '    /^[ \\t]*([#;]|$)/ || name($0) in set { next }',
  '    !kept { print "# Kept from the file that was here before:"; kept = 1 }',
  '    { print }',
  `  ' "$2" "$3"`,
  '}',
];

const PLACE_LINES = [
  ...MERGED_LINES,
  comment('place KIND FILE TARGET: installs the file and remembers, once, what was there'),
  'place() {',
  '  if [ ! -e "$2.before" ]; then',
  '    if [ -e "$3" ]; then cp -p "$3" "$2.before.new"; else : > "$2.before.new"; fi',
  '    mv -f "$2.before.new" "$2.before"',
  '  fi',
  '  mkdir -p "${3%/*}"',
  '  merged "$1" "$2" "$2.before" > "$3.new"',
  '  chmod 0644 "$3.new"',
  '  mv -f "$3.new" "$3"',
  '}',
];

const RESTORE_LINES = [
  ...MERGED_LINES,
  comment('unchanged KIND FILE TARGET: ends the script where another advice was installed since'),
  'unchanged() {',
  '  [ -e "$2.before" ] && [ -e "$3" ] || return 0',
  '  cmp -s "$2.before" "$3" && return 0',
  '  merged "$1" "$2" "$2.before" | cmp -s - "$3" && return 0',
  '  echo "$3 was changed after apply.sh: take that back first. Nothing was done." >&2',
  '  exit 1',
  '}',
  comment('restore KIND FILE TARGET: what was there before apply.sh'),
  'restore() {',
  '  if [ ! -e "$2.before" ]; then',
  '    echo "There is no $2.before: apply.sh of this folder did not install $3, which stays as it is." >&2',
  '    return 0',
  '  fi',
  '  if [ -s "$2.before" ]; then',
  '    cp -p "$2.before" "$3.new"',
  '    mv -f "$3.new" "$3"',
  '  else',
  '    rm -f "$3"',
  '  fi',
  '  rm -f "$2.before"',
  '}',
];

/** Arguments of the shell functions for each installed file. */
function installedFiles(content: RecommendationContent): string[] {
  return [
    ...(changesSysctl(content) ? [INSTALLED_SYSCTL] : []),
    ...(sysfsOperations(content).length > 0 ? [INSTALLED_TMPFILES] : []),
  ];
}

function applyLines({ content, files }: Context): string[] {
  const installed = installedFiles(content);
  return [
    ...head('Applies the advice of Zonewise; rollback.sh takes it back.'),
    comment(
      'Guests that run keep their memory where it is: restart or migrate them as apply-live.sh says.',
    ),
    ...(installed.length > 0 ? ['', ...PLACE_LINES] : []),
    ...(changesSysctl(content)
      ? [
          '',
          comment('Kernel settings, now and after a boot'),
          `place ${INSTALLED_SYSCTL}`,
          `sysctl -p ./${SYSCTL_FILE}`,
        ]
      : []),
    ...sysfsLines(content, 'now and after a boot', (operation) => operation.value),
    ...(installed.includes(INSTALLED_TMPFILES)
      ? [
          `place ${INSTALLED_TMPFILES}`,
          `command -v systemd-tmpfiles > /dev/null || echo 'There is no systemd-tmpfiles: have the files below /sys written at every boot.' >&2`,
        ]
      : []),
    ...documentLines(content, files, 'apply'),
  ];
}

function rollbackLines({ content, files }: Context): string[] {
  const installed = installedFiles(content);
  return [
    ...head('Takes the advice of Zonewise back.'),
    ...(installed.length > 0
      ? ['', ...RESTORE_LINES, ...installed.map((file) => `unchanged ${file}`)]
      : []),
    ...(changesSysctl(content)
      ? [
          '',
          comment('Kernel settings as they were'),
          `restore ${INSTALLED_SYSCTL}`,
          `sysctl -p ./${SYSCTL_ROLLBACK_FILE}`,
        ]
      : []),
    ...(installed.includes(INSTALLED_TMPFILES)
      ? ['', comment('Huge pages after a boot'), `restore ${INSTALLED_TMPFILES}`]
      : []),
    ...sysfsLines(content, 'as they were', (operation) => operation.previousValue),
    ...documentLines(content, files, 'rollback'),
  ];
}

/** Files below /sys: huge pages. */
function sysfsLines(
  content: RecommendationContent,
  when: string,
  valueOf: (operation: Operation) => unknown,
): string[] {
  const written = sysfsOperations(content);
  if (written.length === 0) return [];
  return [
    '',
    comment(`Huge pages, ${when}`),
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
    ...(value as string[]).map((name) => `virsh start ${domainWord(name)}`),
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
