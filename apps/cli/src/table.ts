import { pagesToMib } from '@zonewise/simulator';
import Table from 'cli-table3';

/** No borders: columns survive a log file, a diff and a narrow terminal. */
const PLAIN = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
};
const STYLE = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };

/** Pages of 4 KiB as whole MiB with thousands separators. */
export function mib(pages: number): string {
  return Math.round(pagesToMib(pages)).toLocaleString('en-US');
}

/** A plain table, indented by two columns, without blanks at line ends. */
export function render(head: string[], rows: string[][]): string {
  const table = new Table({ head, chars: PLAIN, style: STYLE });
  table.push(...rows);
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}
