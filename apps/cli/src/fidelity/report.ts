import { render } from '../table';
import type { ScoredCase, Summary, Tallies, Tally } from './score';
import { KINDS, type Kind } from './tolerances';

/** What is shown after the kinds' names. */
const REMARKS: Partial<Record<Kind, string>> = {
  pace: 'modelled, not validated',
};
const SHOWN = KINDS.filter((kind) => kind !== 'informative');

const percent = ({ inside, total }: Tally): string => `${((100 * inside) / total).toFixed(1)} %`;

/** One row for each kind: how many values were inside the kernel's range, of how many that count. */
export function summaryTable(summary: Summary): string {
  const rows = SHOWN.flatMap((kind) => {
    const sum = summary[kind];
    if (sum === undefined) return [];
    return [[kind, String(sum.inside), String(sum.total), percent(sum), REMARKS[kind] ?? '']];
  });
  return render(['kind', 'inside', 'of', 'share', ''], rows);
}

/** One row for each kind: of how many values that the kernel moved the boots of one case lie within the tolerance of each other. */
export function bootsTable(tallies: Tallies): string {
  const rows = SHOWN.flatMap((kind) => {
    const sum = tallies[kind];
    return sum === undefined ? [] : [[kind, String(sum.inside), String(sum.total), percent(sum)]];
  });
  return render(['kind', 'boots agree', 'of', 'share'], rows);
}

/** One row for each case: inside / counted by kind, `-` where nothing counts. */
export function caseTable(cases: ScoredCase[]): string {
  const rows = cases.map(({ id, tallies }) => [
    id,
    ...SHOWN.map((kind) => {
      const sum = tallies[kind];
      return sum === undefined ? '-' : `${sum.inside}/${sum.total}`;
    }),
  ]);
  return render(['case', ...SHOWN], rows);
}
