/** Edits between two words: insertions, deletions, replacements and swaps of neighbours, each counted once. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) edits = Math.min(edits, at(i - 2, j - 2) + 1);
      rows[i]![j] = edits;
    }
  }
  return at(a.length, b.length);
}

/** Longest word that is looked at; a longer one is no slip of the pen. */
const WORD_MAX = 64;

/** The known word that was probably meant, if one is near: at most a third of its letters differ. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > WORD_MAX) return undefined;
  const lower = word.toLowerCase();
  let best: { name: string; edits: number } | undefined;
  for (const name of known) {
    const edits = editDistance(lower, name.toLowerCase());
    if (edits <= Math.max(1, Math.floor(name.length / 3)) && edits < (best?.edits ?? Infinity)) {
      best = { name, edits };
    }
  }
  return best?.name;
}

/** Names that a hint lists where none is near. */
const LISTED_MAX = 40;

/** `did you mean X?`, or else what there is. */
export function knownHint(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  if (near !== undefined) return `did you mean ${near}?`;
  if (known.length === 0) return 'there are none';
  const more = known.length > LISTED_MAX ? ', ...' : '';
  return `there are ${known.slice(0, LISTED_MAX).join(', ')}${more}`;
}

/** Says that a name is none of those that a document gives, and which one was probably meant. */
export function noSuchName(
  what: string,
  name: string,
  known: readonly string[],
  document: string,
): string {
  const near = nearest(name, known);
  const hint = near === undefined ? '' : ` Did you mean ${JSON.stringify(near)}?`;
  return `There is no ${what} ${JSON.stringify(name)} in the ${document}.${hint}`;
}
