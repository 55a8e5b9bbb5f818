import { existsSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type DataSource, QueryFailedError } from 'typeorm';
import { SettingsError } from '../config/settings';

/** Who holds the lock; written before it is taken for good, so that the others can say who it is. */
interface Holder {
  pid: number;
  host: string;
  since: string;
}

/**
 * Where the lock of an SQLite file is: beside the file itself, whatever links lead to it.
 * @param file path of the database
 */
export function lockPathOf(file: string): string {
  return `${existsSync(file) ? realpathSync(file) : resolve(file)}-lock`;
}

/**
 * Keeps an SQLite file for one process: another one would take the jobs that this one runs for those of a process
 * that has ended, and run them again.
 *
 * The lock is a write transaction that stays open, on a small database of its own. The system ends it with the
 * process, however that ends; and the file itself stays free to be read, as backups do.
 */
export class SqliteLock {
  /**
   * @param connection to the database at {@link lockPathOf}; its busy timeout is how long a process that is ending is
   *   waited for
   * @param file path of the database that is kept
   */
  constructor(
    private readonly connection: DataSource,
    private readonly file: string,
  ) {}

  /** @throws SettingsError when another process serves the file */
  async take(): Promise<void> {
    await this.connection.initialize();
    try {
      await this.begin();
    } catch (error) {
      const reason = isBusy(error) ? await this.refusal() : undefined;
      await this.connection.destroy();
      throw reason ?? error;
    }
  }

  /** Others may serve the file from then on. */
  async release(): Promise<void> {
    if (this.connection.isInitialized) await this.connection.destroy();
  }

  private async begin(): Promise<void> {
    const { connection } = this;
    await connection.query('BEGIN IMMEDIATE');
    await connection.query(
      'CREATE TABLE IF NOT EXISTS holder (pid integer, host text, since text)',
    );
    await connection.query('DELETE FROM holder');
    const since = new Date().toISOString();
    await connection.query('INSERT INTO holder VALUES (?, ?, ?)', [process.pid, hostname(), since]);
    await connection.query('COMMIT');
    await connection.query('BEGIN IMMEDIATE');
  }

  private async refusal(): Promise<SettingsError> {
    const [holder] = await this.connection
      .query<Holder[]>('SELECT pid, host, since FROM holder')
      .catch(() => []);
    const who =
      holder === undefined
        ? 'another process'
        : `process ${holder.pid} on ${holder.host}, since ${holder.since}`;
    return new SettingsError([
      `DATABASE_URL must name an SQLite file that no other process serves; found "sqlite:${this.file}", which is served by ${who}: end that one, or name another file, or a PostgreSQL database, which several may serve`,
    ]);
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  return (error.driverError as { code?: unknown }).code === 'SQLITE_BUSY';
}
