/**
 * What a plan's text may look like before the YAML parser sees it: the parser's time grows with the square of
 * some shapes, and deep nesting overflows its stack in ways that end the process.
 */
const MAX_OPEN_BRACKETS = 100;
const MAX_INDICATORS = 50;
const MAX_INDENTATION = 500;
const MAX_ANCHORS = 1000;

const DEEP = 'It is nested too deeply for a plan: close the brackets before it, or indent it less.';

/** @returns the line with what is wrong with it, or null */
export function yamlLimits(text: string): { line: number; message: string } | null {
  let open = 0;
  let anchors = 0;
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    const refuse = (message: string) => ({ line: i + 1, message });
    const lead = /^ */.exec(line)?.[0].length ?? 0;
    const indicators = /^(?:[-?:][ \t]+)*/.exec(line.slice(lead))?.[0].replace(/[ \t]/g, '').length;
    if (lead > MAX_INDENTATION || (indicators ?? 0) > MAX_INDICATORS) return refuse(DEEP);
    for (const mark of line) {
      if (mark === '[' || mark === '{') open += 1;
      else if (mark === ']' || mark === '}') open = Math.max(0, open - 1);
      else if (mark === '&') anchors += 1;
      if (open > MAX_OPEN_BRACKETS) return refuse(DEEP);
    }
    if (anchors > MAX_ANCHORS)
      return refuse(
        `It has more than ${MAX_ANCHORS} anchors: write the values out, or give what guests have in common as a flavour.`,
      );
  }
  return null;
}
