import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, EntityManager, QueryFailedError } from 'typeorm';

/**
 * The only way to the database.
 *
 * TypeORM's SQLite driver has one connection for the whole process: a query issued while somebody
 * else's transaction is open joins that transaction and is undone with it. So on SQLite everything,
 * reads too, takes its turn; on PostgreSQL each transaction has a connection of its own.
 * Await nothing but the database inside `work`.
 */
@Injectable()
export class Transactions {
  private last: Promise<unknown> = Promise.resolve();

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Runs `work` in a transaction: committed when it resolves, rolled back when it throws. */
  run<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.inTurn(() => this.dataSource.transaction(work));
  }

  /** Runs reads that never see another's uncommitted rows. */
  read<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.inTurn(() => work(this.dataSource.manager));
  }

  /**
   * Find options that keep the found row from being changed by others until the transaction ends.
   * SQLite needs none: there transactions take turns.
   */
  get rowLock(): { lock?: { mode: 'pessimistic_write' } } {
    return this.dataSource.options.type === 'sqlite' ? {} : { lock: { mode: 'pessimistic_write' } };
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.dataSource.options.type !== 'sqlite') return work();
    const result = this.last.then(work, work);
    this.last = result.catch(() => undefined);
    return result;
  }
}

/** Whether a write failed because a unique key is taken (SQLite or PostgreSQL). */
export function isUniqueViolation(error: unknown): boolean {
  return isViolation(error, '23505', 'UNIQUE constraint');
}

/** Whether a write failed because the row that it refers to is gone. */
export function isForeignKeyViolation(error: unknown): boolean {
  return isViolation(error, '23503', 'FOREIGN KEY constraint');
}

function isViolation(error: unknown, postgresCode: string, sqliteText: string): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const driver = error.driverError as { code?: unknown; message?: unknown };
  return (
    driver.code === postgresCode ||
    (driver.code === 'SQLITE_CONSTRAINT' && String(driver.message).includes(sqliteText))
  );
}
