import { FILE_HEADERS_ONLY, createTwoFilesPatch } from 'diff';

/**
 * A unified diff that `patch -p1` and `git apply` take; empty when nothing differs.
 * @param fileName as it should appear behind a/ and b/; line breaks in it are replaced
 */
export function unifiedDiff(fileName: string, before: string, after: string): string {
  if (before === after) return '';
  const name = fileName.replace(/[\r\n\t]/g, '_');
  return createTwoFilesPatch(`a/${name}`, `b/${name}`, before, after, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}
