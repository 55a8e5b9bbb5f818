import type { XmlProblem } from '@zonewise/libvirt-xml';
import { ProblemException } from './problem';
import type { ProblemCode } from './problem-codes';

/** Codes of libvirt-xml that say that the text is not a document we read at all. */
const NOT_A_DOCUMENT = new Set([
  'xml-syntax',
  'xml-doctype',
  'xml-entity',
  'xml-multiple-roots',
  'nesting-too-deep',
  'too-many-elements',
  'too-many-attributes',
]);

/**
 * The problem to answer for a document that libvirt-xml refused: 413 when it is too large, 400 when it
 * is not well-formed or not allowed as XML, `otherwise` (422) when it is XML that means nothing.
 */
export function xmlProblem(
  problems: XmlProblem[],
  otherwise: ProblemCode,
  document = 'The document',
): ProblemException {
  const errors = problems.map(({ code, path, message, line, column, expected, found }) => ({
    code,
    path,
    message,
    line,
    column,
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  }));
  const [first] = problems;
  if (first === undefined) return new ProblemException(otherwise, `${document} is refused.`);
  const detail = `${document}, line ${first.line} column ${first.column}: ${first.message}`;
  return new ProblemException(codeOf(first.code, otherwise), detail, { errors });
}

function codeOf(code: string, otherwise: ProblemCode): ProblemCode {
  if (code === 'document-too-large') return 'body-too-large';
  if (NOT_A_DOCUMENT.has(code)) return 'malformed-xml';
  return code === 'unknown-host-node' ? 'unknown-host-node' : otherwise;
}
