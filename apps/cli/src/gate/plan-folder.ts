import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { textOf } from '@zonewise/libvirt-xml';
import type { PlanProblem } from '@zonewise/plan';

const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** A plan that cannot be read; every problem names its place in the plan. */
export class PlanFileError extends Error {
  constructor(readonly problems: (PlanProblem & { file?: string })[]) {
    super(problems.map((problem) => `${problem.path}: ${problem.message}`).join('\n'));
  }
}

export function fail(code: string, path: string, message: string): never {
  throw new PlanFileError([{ code, path, message }]);
}

/** What a file system refuses, with what to do about it. */
const ADVICE: Record<string, string> = {
  ENOENT: 'there is no such file: write it, or correct the name',
  ENOTDIR: 'a part of its name is a file and no folder: correct the name',
  EACCES: 'whoever runs the command may not read it: give them the right to',
  ELOOP: 'its links lead to each other: put the file itself there',
  ENAMETOOLONG: 'its name is longer than the file system allows: shorten it',
};

/** Why a file cannot be read, and what to do. */
function unreadable(path: string, error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return `${path} cannot be read: ${ADVICE[code] ?? message}`;
}

/**
 * Reads a file up to a limit.
 * @param at the place in the plan that names it, or the option
 * @param smaller what to do where it has more bytes
 * @throws PlanFileError file-unreadable, file-too-large, not-text
 */
export function readLimited(
  path: string,
  at: string,
  limitBytes = MAX_FILE_BYTES,
  smaller = 'check that this is the file meant',
): string {
  const tooLarge = (bytes: string): never => {
    const message = `${path} has ${bytes} bytes; at most ${limitBytes} are read: ${smaller}`;
    return fail('file-too-large', at, message);
  };
  try {
    const status = statSync(path);
    if (!status.isFile()) fail('file-unreadable', at, `${path} is not a file: name one`);
    if (status.size > limitBytes) tooLarge(String(status.size));
    const content = readFileSync(path);
    // /proc files say 0 bytes whatever they hold, so the content is measured again.
    if (content.length > limitBytes) tooLarge(`more than ${limitBytes}`);
    if (!isUtf8(content)) throw notText(path, at, content);
    return content.toString('utf8');
  } catch (error) {
    if (error instanceof PlanFileError) throw error;
    return fail('file-unreadable', at, unreadable(path, error));
  }
}

/** Line of a file in which the byte after a limit stands. */
export function lineAfter(path: string, limitBytes: number): number {
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(limitBytes);
    const read = readSync(file, start, 0, limitBytes, 0);
    let line = 1;
    for (let at = start.indexOf(10); at >= 0 && at < read; at = start.indexOf(10, at + 1))
      line += 1;
    return line;
  } finally {
    closeSync(file);
  }
}

/** Bytes that are no text, with the place of the first of them in their own file. */
function notText(path: string, at: string, content: Buffer): PlanFileError {
  const read = textOf(content);
  const { line, column, found } = read.ok ? {} : (read.problems[0] ?? {});
  const message = `${path} is not UTF-8 text; write it anew as UTF-8`;
  const place = line === undefined ? {} : { line, column, found };
  return new PlanFileError([{ code: 'not-text', path: at, message, file: path, ...place }]);
}

/** The files that a plan may name: those below its folder, or below a wider one that its user gives. */
export class PlanFolder {
  private readonly base: string;
  private readonly root: string;
  private readonly texts = new Map<string, string>();

  /** @param root folder that no file may be outside of; default: the plan's own */
  constructor(planPath: string, root?: string) {
    this.base = dirname(resolve(planPath));
    this.root = root === undefined ? this.base : resolve(root);
  }

  /** A file's name as a report shows it: relative to where the command was called. */
  shown(path: string): string {
    const short = relative(process.cwd(), resolve(this.base, path));
    return short === '' || short.startsWith('..') ? resolve(this.base, path) : short;
  }

  /** Where a name leads to. */
  resolve(path: string): string {
    return resolve(this.base, path);
  }

  read(path: string, at: string, limitBytes?: number, smaller?: string): string {
    const inside = this.inside(path, at);
    const known = this.texts.get(inside);
    if (known !== undefined) return known;
    const text = readLimited(inside, at, limitBytes, smaller);
    this.texts.set(inside, text);
    return text;
  }

  /** Names in a folder, in order. */
  list(path: string, at: string): string[] {
    const inside = this.inside(path, at);
    try {
      return readdirSync(inside).sort();
    } catch (error) {
      return fail('file-unreadable', at, unreadable(path, error));
    }
  }

  /** The path if it is below the root, links followed. */
  private inside(path: string, at: string): string {
    const whole = resolve(this.base, path);
    if (!isBelow(whole, this.root)) this.refuse(path, at);
    let real: string;
    try {
      real = realpathSync(whole);
    } catch (error) {
      const folder = this.shown('.');
      return fail('file-unreadable', at, `${unreadable(path, error)} (names count from ${folder})`);
    }
    if (!isBelow(real, realpathSync(this.root))) this.refuse(path, at);
    return whole;
  }

  private refuse(path: string, at: string): never {
    const message = `${path} is outside of ${this.root}: put it there, or widen the folder with --root DIR`;
    return fail('outside-folder', at, message);
  }
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
