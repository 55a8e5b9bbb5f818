import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSettings, SettingsError } from '../config/settings';

/**
 * Makes sure that an SQLite database can be opened, so that the start fails with what would be right.
 * Missing folders are made one by one: Node's recursive mkdir never returns where a folder neither exists
 * nor can be made (/proc).
 * @throws SettingsError
 */
export function ensureSqliteFile(database: DatabaseSettings): void {
  if (database.kind !== 'sqlite' || database.path === ':memory:') return;
  const file = resolve(database.path);
  try {
    makeFolder(dirname(file));
    if (existsSync(file) && !statSync(file).isFile()) throw new Error('it is not a file');
    closeSync(openSync(file, 'a'));
    // SQLite writes its journal beside the file.
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingsError([
      `DATABASE_URL must be sqlite:PATH with a file that can be written, in a folder that exists or can be made; found "sqlite:${database.path}" (${reason})`,
    ]);
  }
}

function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder);
}
