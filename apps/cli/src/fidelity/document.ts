import { ALL_CAUSES, causeOf, type Cause } from './causes';
import type { FidelityRun } from './fidelity';
import { caseTable, summaryTable } from './report';
import { WHOLE_CASES, type ScoredObservable } from './score';

/** Misses of one value of one case by one cause, in however many steps. */
interface Miss {
  cause: Cause;
  id: string;
  key: string;
  steps: number[];
  first: ScoredObservable;
}

/** Every counted value outside the kernel's range; pace is not held to any figure and left out. */
function misses({ cases }: FidelityRun): Miss[] {
  return cases.flatMap(({ id, observables }) => {
    const byCauseAndKey = new Map<string, Miss>();
    for (const row of observables) {
      if (row.counts !== true || row.inside === true || row.kind === 'pace') continue;
      const { key, step } = row;
      const cause = causeOf(id, key, step, row.undetermined);
      const known = byCauseAndKey.get(`${cause.title} ${key}`);
      if (known === undefined) {
        byCauseAndKey.set(`${cause.title} ${key}`, { cause, id, key, steps: [step], first: row });
      } else {
        known.steps.push(step);
      }
    }
    return [...byCauseAndKey.values()];
  });
}

const shown = (value: unknown): string =>
  typeof value === 'number' ? value.toLocaleString('en-US') : String(value);

function missRow({ id, key, steps, first }: Miss): string {
  const { min, median, max, simulated, replays } = first;
  const kernel = [min, median, max].map(shown).join(' / ');
  const spread = replays === undefined ? '' : ` (${replays.map(shown).join(' to ')})`;
  return `| ${id} | \`${key}\` | ${steps.join(', ')} | ${kernel} | ${shown(simulated)}${spread} |`;
}

function causeSection(cause: Cause, of: Miss[]): string[] {
  if (of.length === 0) return [];
  const count = of.reduce((sum, { steps }) => sum + steps.length, 0);
  return [
    `### ${cause.title}`,
    '',
    cause.text,
    '',
    `Values: ${count}; cases: ${new Set(of.map(({ id }) => id)).size}.`,
    '',
    '| case | value | steps | kernel (min / median / max) | simulated (replays) |',
    '| --- | --- | --- | --- | --- |',
    ...of.map(missRow),
    '',
  ];
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

/**
 * The blocks of docs/FIDELITY.md that come from a run, by the name in their markers. Those of another kernel than
 * 6.1 bear its name and leave out the misses.
 */
export function documentBlocks(run: FidelityRun): Record<string, string> {
  if (run.summary === null)
    throw new Error('the cases hold no answers, so there is nothing to document');
  const { inside, total } = run.summary[WHOLE_CASES] ?? { inside: 0, total: 0 };
  const summary = fenced(`${summaryTable(run.summary)}\n\n${inside} of ${total} ${WHOLE_CASES}`);
  const cases = fenced(caseTable(run.cases));
  const [kernel = '6.1.y'] = run.kernels;
  if (kernel !== '6.1.y') return { [`summary ${kernel}`]: summary, [`cases ${kernel}`]: cases };
  const all = misses(run);
  const sections = ALL_CAUSES.flatMap((cause) =>
    causeSection(
      cause,
      all.filter((miss) => miss.cause === cause),
    ),
  );
  return {
    summary,
    cases,
    misses: sections.join('\n').trimEnd(),
  };
}

/**
 * Puts the blocks of a run into a document, each between `<!-- name -->` and `<!-- /name -->`.
 * @throws Error when the document lacks one of the markers
 */
export function documented(text: string, run: FidelityRun): string {
  return Object.entries(documentBlocks(run)).reduce((document, [name, block]) => {
    const place = new RegExp(`<!-- ${name} -->[^]*<!-- /${name} -->`);
    if (!place.test(document)) {
      throw new Error(
        `found no place for '${name}': expected <!-- ${name} --> and <!-- /${name} -->`,
      );
    }
    return document.replace(place, () => `<!-- ${name} -->\n${block}\n<!-- /${name} -->`);
  }, text);
}
